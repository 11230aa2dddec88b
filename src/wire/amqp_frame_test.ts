import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { PRE_AUTH_FRAME_BYTES_MAX } from "../limits.ts";
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FrameReader,
  PROTOCOL_HEADER,
  writeBody,
  writeHeartbeat,
} from "./amqp_frame.ts";
import { beginFrame, endFrame } from "./amqp_values.ts";
import { concat, cut, hexOf, octets, passesOrViolates, violation, written } from "./amqp_testing.ts";

interface Seen {
  readonly type: number;
  readonly channel: number;
  readonly payload: string;
}

/** Keeps what it is handed as text, and looks at the end of each call whether the bytes are still the same. */
class Recorder {
  readonly seen: Seen[] = [];
  readonly reader = new FrameReader(this);
  stopAfter = Infinity;
  #held: { bytes: Uint8Array; at: number; size: number; payload: string }[] = [];

  frame(type: number, channel: number, bytes: Uint8Array, at: number, size: number): boolean {
    const payload = hexOf(bytes.subarray(at, at + size));
    this.seen.push({ type, channel, payload });
    this.#held.push({ bytes, at, size, payload });
    return this.seen.length % this.stopAfter !== 0;
  }

  /** Pushes a copy, checks that what was handed out stayed, then spoils the copy. */
  push(chunk: Uint8Array): void {
    const copy = chunk.slice();
    this.#checked(() => this.reader.push(copy));
    copy.fill(0xEE);
  }

  resume(): void {
    this.#checked(() => this.reader.resume());
  }

  #checked(run: () => void): void {
    try {
      run();
    } finally {
      for (const { bytes, at, size, payload } of this.#held) {
        assert.equal(hexOf(bytes.subarray(at, at + size)), payload, "a payload changed before the call was over");
      }
      this.#held = [];
    }
  }
}

function frameOf(type: number, channel: number, payload: Uint8Array): Uint8Array {
  return written((out) => {
    const mark = beginFrame(out, type, channel);
    out.append(payload);
    endFrame(out, mark);
  });
}

const frames = fc.array(
  fc.record({
    type: fc.constantFrom(FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT),
    channel: fc.integer({ min: 0, max: 65535 }),
    payload: fc.uint8Array({ maxLength: 400, size: "max" }),
  }),
  { maxLength: 12 },
);

function expected(list: readonly { type: number; channel: number; payload: Uint8Array }[]): Seen[] {
  return list.map(({ type, channel, payload }) => ({ type, channel, payload: hexOf(payload) }));
}

test("the protocol header is that of 0-9-1", () => {
  assert.deepEqual(PROTOCOL_HEADER, octets("'AMQP' 00 00 09 01"));
});

test("a heartbeat is eight octets", () => {
  assert.equal(hexOf(written(writeHeartbeat)), "08 00 00 00 00 00 00 ce");
});

test("a body is cut into frames of the negotiated size", () => {
  const body = octets("'abcdefg'");
  const bytes = written((out) => writeBody(out, 0x0102, body, 1, 6, 12));
  assert.deepEqual(bytes, octets("03 0102 00000004 'bcde' CE 03 0102 00000002 'fg' CE"));
});

test("an empty body has no frames", () => {
  assert.equal(written((out) => writeBody(out, 1, octets(""), 0, 0, 4096)).length, 0);
});

test("frames arrive the same whole, byte by byte and however they are split", () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), (list, sizes) => {
      const bytes = concat(list.map(({ type, channel, payload }) => frameOf(type, channel, payload)));
      for (const chunks of [[bytes], cut(bytes, [1]), cut(bytes, sizes)]) {
        const recorder = new Recorder();
        for (const chunk of chunks) recorder.push(chunk);
        assert.deepEqual(recorder.seen, expected(list));
      }
    }),
    { numRuns: 60 },
  );
});

test("a sink that stops again and again still gets every frame once and in order", () => {
  const args = [
    frames,
    fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1 }),
    fc.integer({ min: 1, max: 3 }),
  ] as const;
  fc.assert(
    fc.property(...args, (list, sizes, stopAfter) => {
      const bytes = concat(list.map(({ type, channel, payload }) => frameOf(type, channel, payload)));
      const recorder = new Recorder();
      recorder.stopAfter = stopAfter;
      cut(bytes, sizes).forEach((chunk, i) => {
        recorder.push(chunk);
        // Every other chunk arrives while the reader is stopped.
        while (recorder.reader.stopped && i % 2 === 1) recorder.resume();
      });
      while (recorder.reader.stopped) recorder.resume();
      assert.deepEqual(recorder.seen, expected(list));
    }),
    { numRuns: 100 },
  );
});

test("a stopped reader hands out nothing until it is resumed", () => {
  const recorder = new Recorder();
  recorder.stopAfter = 1;
  const heartbeat = written(writeHeartbeat);
  recorder.push(concat([heartbeat, heartbeat]));
  recorder.push(heartbeat);
  assert.equal(recorder.reader.stopped, true);
  assert.equal(recorder.seen.length, 1);
  recorder.resume();
  assert.equal(recorder.seen.length, 2);
  recorder.stopAfter = Infinity;
  recorder.resume();
  assert.equal(recorder.seen.length, 3);
  assert.equal(recorder.reader.stopped, false);
});

test("a sink that throws stops the reader behind its frame", () => {
  for (const sizes of [[1000], [1], [11, 3]]) {
    const seen: number[] = [];
    const reader = new FrameReader({
      frame(_type, channel) {
        seen.push(channel);
        if (channel === 2) throw new RangeError("of the sink");
        return true;
      },
    });
    const bytes = concat([1, 2, 3].map((channel) => frameOf(FRAME_METHOD, channel, octets("0102030405"))));
    let thrown = 0;
    for (const chunk of cut(bytes, sizes)) {
      try {
        reader.push(chunk);
      } catch (error) {
        assert.ok(error instanceof RangeError);
        thrown++;
      }
    }
    assert.equal(thrown, 1);
    assert.equal(reader.stopped, true);
    assert.deepEqual(seen, [1, 2]);
    reader.resume();
    assert.deepEqual(seen, [1, 2, 3]);
  }
});

test("a sink that calls its reader is a fault", () => {
  const heartbeat = written(writeHeartbeat);
  const reader: FrameReader = new FrameReader({
    frame() {
      reader.push(heartbeat);
      return true;
    },
  });
  assert.throws(() => reader.push(heartbeat), { name: "AssertionFault" });
});

test("a frame of exactly the maximum passes, one octet more is refused", () => {
  const recorder = new Recorder();
  recorder.push(frameOf(FRAME_BODY, 1, new Uint8Array(PRE_AUTH_FRAME_BYTES_MAX - 8)));
  assert.equal(recorder.seen.length, 1);
  const error = violation(() => recorder.push(frameOf(FRAME_BODY, 1, new Uint8Array(PRE_AUTH_FRAME_BYTES_MAX - 7))));
  assert.equal(error.code, 501);
});

test("a raised maximum holds from the next frame on", () => {
  const payload = new Uint8Array(PRE_AUTH_FRAME_BYTES_MAX);
  let count = 0;
  const reader: FrameReader = new FrameReader({
    frame() {
      count++;
      reader.frameBytesMax = 131_072;
      return true;
    },
  });
  reader.push(concat([written(writeHeartbeat), frameOf(FRAME_BODY, 1, payload)]));
  assert.equal(count, 2);
});

test("a length of 4 GiB is refused as soon as it has been read, also byte by byte", () => {
  const head = octets("01 0000 FFFFFFFF");
  assert.equal(violation(() => new Recorder().push(head)).code, 501);
  const recorder = new Recorder();
  for (const octet of head.subarray(0, 6)) recorder.push(Uint8Array.of(octet));
  assert.equal(violation(() => recorder.push(head.subarray(6))).code, 501);
});

test("unknown types and wrong end octets are frame errors, whole and byte by byte", () => {
  const wrongEnd = frameOf(FRAME_METHOD, 1, octets("0102"));
  wrongEnd[wrongEnd.length - 1] = FRAME_END - 1;
  for (const bytes of [frameOf(4, 0, octets("")), frameOf(0, 0, octets("")), wrongEnd]) {
    for (const chunks of [[bytes], cut(bytes, [1]), cut(bytes, [8])]) {
      const recorder = new Recorder();
      assert.equal(violation(() => chunks.forEach((chunk) => recorder.push(chunk))).code, 501);
      assert.deepEqual(recorder.seen, []);
    }
  }
});

test("after a frame error everything is discarded", () => {
  const recorder = new Recorder();
  violation(() => recorder.push(octets("FF FF FF FF FF FF FF FF FF")));
  recorder.push(written(writeHeartbeat));
  assert.equal(recorder.reader.stopped, false);
  recorder.resume();
  assert.deepEqual(recorder.seen, []);
});

test("frames before a broken one are handed out", () => {
  const recorder = new Recorder();
  violation(() => recorder.push(concat([written(writeHeartbeat), octets("FF FF FF FF FF FF FF")])));
  assert.equal(recorder.seen.length, 1);
});

test("random bytes end in a frame error or wait for more, and never in anything else", () => {
  const args = [
    fc.uint8Array({ maxLength: 200, size: "max" }),
    fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
  ] as const;
  fc.assert(
    fc.property(...args, (bytes, sizes) => {
      const whole = new Recorder();
      const split = new Recorder();
      const passes = passesOrViolates(() => whole.push(bytes));
      assert.equal(passesOrViolates(() => cut(bytes, sizes).forEach((chunk) => split.push(chunk))), passes);
      assert.deepEqual(split.seen, whole.seen);
    }),
    { numRuns: 300 },
  );
});
