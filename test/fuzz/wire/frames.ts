// Target `frames`: however a stream is cut, and wherever the sink stops, FrameReader finds the frames that a simple
// parser finds in the whole, and ends in the same error.
//
// Input: an octet that chooses the largest frame, an octet that chooses cuts and stops, then the stream.

import assert from "node:assert/strict";
import { FrameReader, ProtocolViolation } from "../../../src/wire/amqp_frame.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { joined, mutate } from "../mutate.ts";
import { FuzzRandom } from "../random.ts";
import { Builder } from "./builder.ts";

const OPTIONS_BYTES = 2;
const TYPES: readonly number[] = [1, 2, 3, 8];
const FRAME_MAX: readonly number[] = [64, 256, 4096, 131_072];

export const frames: FuzzTarget = {
  name: "frames",
  form: "hex",
  share: 2,

  make(random, corpus) {
    if (corpus.length > 0 && random.oneIn(4)) return mutate(random.pick(corpus), random, corpus);
    const builder = new Builder(random);
    builder.raw(random.bytes(OPTIONS_BYTES));
    for (let count = random.between(1, 12); count > 0; count--) {
      const type = random.oneIn(30) ? random.below(256) : random.pick(TYPES);
      builder.frame(
        type,
        random.oneIn(3) ? random.below(65_536) : 1,
        () => builder.raw(random.bytes(random.size(300))),
      );
    }
    if (random.oneIn(2)) builder.breakOne();
    return random.oneIn(3) ? mutate(builder.take(), random, corpus) : builder.take();
  },

  check(input) {
    const [option = 0, cuts = 0] = input;
    const frameBytesMax = FRAME_MAX[option % FRAME_MAX.length]!;
    const stream = input.subarray(OPTIONS_BYTES);
    const expected = parse(stream, frameBytesMax);
    compare(read(stream, frameBytesMax, [stream.length], 0), expected, "in one piece");
    if (stream.length < 200 || cuts % 8 === 0) compare(read(stream, frameBytesMax, [1], 0), expected, "octet by octet");
    const random = new FuzzRandom(cuts * 256 + option);
    for (let round = 0; round < 2; round++) {
      const sizes = Array.from({ length: 8 }, () => 1 + random.size(90));
      compare(read(stream, frameBytesMax, sizes, round * random.between(1, 3)), expected, `in pieces of ${sizes}`);
    }
  },

  pieces: (input) => [input.subarray(0, OPTIONS_BYTES), ...framesOf(input.subarray(OPTIONS_BYTES))],
};

interface Found {
  /** type, channel, payload. */
  readonly frames: string[];
  readonly broken: boolean;
}

/** What a parser finds that has the whole stream before it. */
function parse(stream: Uint8Array, frameBytesMax: number): Found {
  const found: string[] = [];
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  for (let at = 0; at + 7 <= stream.length;) {
    const size = view.getUint32(at + 3);
    if (!TYPES.includes(stream[at]!) || size + 8 > frameBytesMax) return { frames: found, broken: true };
    if (at + size + 8 > stream.length) break;
    if (stream[at + size + 7] !== 0xce) return { frames: found, broken: true };
    found.push(describe(stream[at]!, view.getUint16(at + 1), stream.subarray(at + 7, at + 7 + size)));
    at += size + 8;
  }
  return { frames: found, broken: false };
}

/** What the reader finds; with `stopEvery` its sink stops, or throws, at every so many frames. */
function read(stream: Uint8Array, frameBytesMax: number, sizes: readonly number[], stopEvery: number): Found {
  const found: string[] = [];
  let broken = false;
  const reader = new FrameReader({
    frame(type, channel, bytes, at, size) {
      found.push(describe(type, channel, bytes.subarray(at, at + size)));
      if (stopEvery === 0 || found.length % stopEvery !== 0) return true;
      if (found.length % 2 === 0) throw STOP;
      return false;
    },
  });
  reader.frameBytesMax = frameBytesMax;
  const step = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      if (error === STOP) return;
      if (!(error instanceof ProtocolViolation) || error.code !== 501) throw error;
      assert.ok(!broken, "a violation is told once");
      broken = true;
    }
  };
  for (let at = 0, index = 0; at < stream.length; index++) {
    const size = Math.max(1, sizes[index % sizes.length]!);
    const chunk = stream.slice(at, at + size);
    at += size;
    step(() => reader.push(chunk));
    chunk.fill(0xdb);
    // Now and then it goes on only when more has come.
    while (reader.stopped && (index % 3 !== 0 || at >= stream.length)) step(() => reader.resume());
  }
  assert.equal(reader.broken, broken, "a broken reader says so");
  return { frames: found, broken };
}

/** Thrown, and no error: those are slow to make. */
const STOP = Symbol("stop");

function compare(found: Found, expected: Found, how: string): void {
  assert.equal(found.broken, expected.broken, `read ${how}, the stream is ${expected.broken ? "" : "not "}broken`);
  if (
    found.frames.length === expected.frames.length && found.frames.every((frame, i) => frame === expected.frames[i])
  ) {
    return;
  }
  assert.deepEqual(found.frames, expected.frames, `read ${how}, the frames are the same`);
}

function describe(type: number, channel: number, payload: Uint8Array): string {
  let sum = 0;
  for (const octet of payload) sum = (Math.imul(sum, 31) + octet) | 0;
  return `${type} ${channel} ${payload.length} ${sum}`;
}

/** Whole frames, and what is left. */
export function framesOf(stream: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  let at = 0;
  while (at + 8 <= stream.length && at + view.getUint32(at + 3) + 8 <= stream.length) {
    const next = at + view.getUint32(at + 3) + 8;
    pieces.push(stream.subarray(at, next));
    at = next;
  }
  return [...pieces, joined(stream.subarray(at))];
}
