// Files of the store as a fuzzer makes them: whole first, then with a field that is wrong, sealed again so that the
// checksums hold: what damage can hardly make, and what a check must not trust all the same.

import { xxh32 } from "../../../src/store/checksum.ts";
import { RecordBuffer, sealRecords } from "../../../src/store/record.ts";
import { encodeSegmentHeader } from "../../../src/store/segment.ts";
import { joined } from "../mutate.ts";
import type { FuzzRandom } from "../random.ts";

export const NONCE = 0x1234_5678;
const SEGMENT_HEADER = 64;
const RECORD_HEADER = 24;
const encoder = new TextEncoder();

/** Two segments of a queue, one behind the other, the first one's length before them. */
export function twoSegments(random: FuzzRandom, queueId: number): Uint8Array {
  const first = segment(random, queueId, 1, 0, 0);
  const second = segment(random, queueId, 2, random.oneIn(8) ? edge32(random) : 1, first.end);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, first.bytes.length, true);
  return joined(length, first.bytes, second.bytes);
}

export function splitSegments(input: Uint8Array): Uint8Array[] {
  if (input.length < 4) return [input];
  const length = new DataView(input.buffer, input.byteOffset).getUint32(0, true);
  const rest = input.subarray(4);
  return length >= rest.length ? [rest] : [rest.subarray(0, length), rest.subarray(length)];
}

function segment(random: FuzzRandom, queueId: number, number: number, previousNumber: number, previousEnd: number) {
  const nonce = NONCE + number;
  const parts: Uint8Array[] = [];
  let end = SEGMENT_HEADER;
  for (let i = random.below(12); i > 0; i--) {
    const one = record(random, end, nonce);
    parts.push(one);
    end += one.length;
  }
  const rest = new Uint8Array(random.pick([0, 8, 24, 200, 1000]));
  if (random.oneIn(4)) rest.set(random.bytes(Math.min(rest.length, 40)));
  const lie = (value: number) => random.oneIn(10) ? edge32(random) : value;
  const header = encodeSegmentHeader({
    queueId: lie(queueId),
    number: lie(number),
    createdMs: random.oneIn(10) ? random.pick([NaN, -1, Infinity, 1e300]) : 1_800_000_000_000,
    capacity: lie(end + rest.length),
    nonce,
    previousNumber,
    previousEnd: lie(previousEnd),
    flags: random.below(8),
    firstOffset: Number(BigInt.asUintN(64, random.oneIn(3) ? random.edge() : BigInt(number - 1) * 20n)),
  });
  return { bytes: joined(header, ...parts, rest), end };
}

/** Segment 1 with so many messages, nothing wrong with it. */
export function wholeSegment(queueId: number, messages: number): Uint8Array {
  const nonce = NONCE + 1;
  const parts: Uint8Array[] = [];
  let end = SEGMENT_HEADER;
  for (let i = 0; i < messages; i++) {
    const one = sealed(encoder.encode(`message ${i}`), end, nonce);
    parts.push(one);
    end += one.length;
  }
  const [createdMs, previousNumber, previousEnd, flags, firstOffset] = [1_800_000_000_000, 0, 0, 1, 0];
  const of = { queueId, number: 1, createdMs, capacity: end, nonce, previousNumber, previousEnd, flags, firstOffset };
  return joined(encodeSegmentHeader(of), ...parts);
}

function sealed(
  body: Uint8Array,
  offset: number,
  nonce: number,
  change = (_words: Int32Array): void => {},
): Uint8Array {
  const [route, header] = [encoder.encode("\0\x01q"), new Uint8Array(14)];
  const recordBytes = RECORD_HEADER + route.length + header.length + body.length;
  const buffer = new RecordBuffer(recordBytes + 7 & ~7);
  const { words } = buffer;
  buffer.bytes.set(joined(route, header, body), RECORD_HEADER);
  words[1] = recordBytes;
  words[2] = header.length;
  words[4] = route.length << 16;
  words[5] = 1;
  change(words);
  const claimed = words[1]! + 7 & ~7;
  const canSeal = claimed >= RECORD_HEADER && claimed <= buffer.bytes.length;
  if (canSeal) sealRecords(words, 0, claimed, (nonce + offset / 8) | 0);
  return buffer.bytes;
}

/** A record that stands at `offset`, with now and then a field that is wrong. */
function record(random: FuzzRandom, offset: number, nonce: number): Uint8Array {
  return sealed(random.bytes(random.size(300)), offset, nonce, (words) => {
    words[3] = random.next();
    words[4]! |= random.below(65_536);
    words[5] = random.oneIn(3) ? 0 : random.below(256);
    if (random.oneIn(6)) words[random.between(1, 4)] = edge32(random) | 0;
  });
}

/** The acknowledgement log of segment 1. */
export function ackLog(random: FuzzRandom, queueId: number): Uint8Array {
  const nonce = NONCE + 1;
  const head = new Int32Array([0x4b41564c, 1 | 24 << 16, queueId, 1, nonce, 0]);
  if (random.oneIn(6)) head[random.below(5)] = edge32(random) | 0;
  const bytes = new Uint8Array(head.buffer);
  head[5] = xxh32(bytes, 0, 20, 0);
  const parts: Uint8Array[] = [bytes];
  for (let i = 0, count = random.size(40); i < count; i++) {
    const from = 8 + random.below(400);
    const words = new Int32Array([0, random.between(1, 3), from, from + random.below(60)]);
    if (random.oneIn(4)) words[random.between(1, 3)] = edge32(random) | 0;
    const entry = new Uint8Array(words.buffer);
    words[0] = xxh32(entry, 4, 12, (nonce + i) | 0);
    parts.push(entry);
  }
  return joined(...parts);
}

export function definitions(random: FuzzRandom): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(0x4c, 0x56, 0x44, 0x46, 1, 0, 8, 0)];
  for (let count = random.size(20); count > 0; count--) {
    const texts = [
      "{}",
      '{"op":"queue"}',
      "{ ",
      "{x}",
      '{"a":{"b":[1,2]}}',
      '{"__proto__":1}',
      '{"a":"\u0000"}',
      "{\xff}",
    ];
    const json = encoder.encode(random.pick(texts));
    const entry = new Uint8Array(8 + json.length);
    const view = new DataView(entry.buffer);
    const length = random.oneIn(8) ? edge32(random) : json.length;
    entry.set(json, 8);
    view.setUint32(0, length, true);
    view.setInt32(4, xxh32(json, 0, json.length, length | 0), true);
    parts.push(entry);
  }
  return joined(...parts);
}

export function offsets(random: FuzzRandom, queueId: number): Uint8Array {
  const head = new Int32Array([0x464f564c, 1 | 20 << 16, queueId, NONCE, 0]);
  if (random.oneIn(6)) head[random.below(4)] = edge32(random) | 0;
  const bytes = new Uint8Array(head.buffer);
  head[4] = xxh32(bytes, 0, 16, 0);
  const parts: Uint8Array[] = [bytes];
  for (let count = random.size(20); count > 0; count--) {
    const name = random.oneIn(4) ? random.bytes(random.below(256)) : encoder.encode(random.pick(["a", "b", "ä", ""]));
    const entry = new Uint8Array(11 + name.length);
    const view = new DataView(entry.buffer);
    entry[4] = name.length;
    view.setUint32(5, edge32(random), true);
    view.setUint16(9, random.oneIn(4) ? 0xffff : 0, true);
    entry.set(name, 11);
    view.setInt32(0, xxh32(entry, 4, entry.length - 4, NONCE), true);
    parts.push(entry);
  }
  return joined(...parts);
}

/** Mostly near a limit. */
function edge32(random: FuzzRandom): number {
  return Number(BigInt.asUintN(32, random.edge()));
}
