import assert from "node:assert/strict";
import { test } from "node:test";
import { Message } from "./message.ts";
import { bodyOf, messageOf } from "./queue_store_testing.ts";
import {
  encodeRecord,
  paddedBytes,
  pointAt,
  RECORD_HEADER_BYTES,
  RecordBuffer,
  recordBytesAt,
  recordIntact,
  sealRecords,
} from "./record.ts";

const SEED = 0x7fffffff;

/** In one piece, as most messages arrive, or in three. */
function encode(buffer: RecordBuffer, at: number, message: Message, whole = false): number {
  const recordBytes = RECORD_HEADER_BYTES + message.routeBytes + message.headerBytes + message.bodyBytes;
  const low = message.timestampMs % 2 ** 32 | 0;
  if (whole) gather(message);
  encodeRecord(buffer, at, message, recordBytes, low, Math.floor(message.timestampMs / 2 ** 32));
  return at + paddedBytes(recordBytes);
}

function gather(message: Message): void {
  const { route, header, body } = message;
  const bytes = new Uint8Array([9, 9, 9, ...route, 8, ...header, 7, 7, ...body]);
  message.route = message.header = message.body = bytes;
  message.routeAt = 3;
  message.headerAt = 4 + message.routeBytes;
  message.bodyAt = message.headerAt + message.headerBytes + 2;
}

test("a record is as long as what is in it, padded with zeros to 8 bytes", () => {
  for (let length = 0; length < 150; length++) {
    const buffer = new RecordBuffer(512);
    buffer.bytes.fill(0xee);
    const body = "0123456789abcdef".repeat(10).slice(0, length);
    const end = encode(buffer, 8, messageOf(body, "rr", "hhhh"));
    sealRecords(buffer.words, 8, end, SEED);
    assert.equal(end, 8 + paddedBytes(30 + length));
    assert.ok(buffer.bytes.subarray(8 + 30 + length, end).every((byte) => byte === 0));
    assert.ok(buffer.bytes.subarray(end).every((byte) => byte === 0xee), "nothing behind it is touched");
    const message = new Message();
    assert.equal(pointAt(buffer, 8, message), end - 8);
    assert.equal(bodyOf(message), body);
    assert.deepEqual([message.routeBytes, message.headerBytes, message.recordBytes], [2, 4, 30 + length]);
    assert.equal(message.timestampMs, 1_800_000_000_123);
    const other = new RecordBuffer(512);
    other.bytes.fill(0xee);
    assert.equal(encode(other, 8, messageOf(body, "rr", "hhhh"), true), end);
    sealRecords(other.words, 8, end, SEED);
    assert.deepEqual(other.bytes, buffer.bytes);
  }
});

test("several records are sealed at once, each for its own place", () => {
  const buffer = new RecordBuffer(1024);
  const ends = [0];
  for (const body of ["", "one", "twenty-two bytes of it", "3"]) {
    ends.push(encode(buffer, ends.at(-1)!, messageOf(body)));
  }
  sealRecords(buffer.words, 0, ends.at(-1)!, SEED);
  for (let i = 0; i + 1 < ends.length; i++) {
    const at = ends[i]!;
    const seed = (SEED + at / 8) | 0;
    const recordBytes = recordBytesAt(buffer.words, at, 1024 - at, seed);
    assert.equal(paddedBytes(recordBytes), ends[i + 1]! - at);
    assert.ok(recordIntact(buffer.words, at, recordBytes, seed));
    assert.ok(!recordIntact(buffer.words, at, recordBytes, seed + 1));
    assert.equal(recordBytesAt(buffer.words, at, 1024 - at, seed + 1), 0, "not at another place");
    assert.equal(recordBytesAt(buffer.words, at, recordBytes - 1, seed), 0, "not longer than its room");
  }
});

test("any flipped bit of a sealed record is found", () => {
  const buffer = new RecordBuffer(128);
  const end = encode(buffer, 0, messageOf("a body"));
  sealRecords(buffer.words, 0, end, SEED);
  for (let bit = 0; bit < end * 8; bit++) {
    buffer.bytes[bit >>> 3]! ^= 1 << (bit & 7);
    const recordBytes = recordBytesAt(buffer.words, 0, 128, SEED);
    assert.ok(recordBytes === 0 || !recordIntact(buffer.words, 0, recordBytes, SEED), `bit ${bit}`);
    buffer.bytes[bit >>> 3]! ^= 1 << (bit & 7);
  }
});

test("bytes that only look like a record are told apart without a checksum over them", () => {
  const buffer = new RecordBuffer(64 * 1024);
  let random = 1;
  let plausible = 0;
  for (let at = 0; at < 64 * 1024 - 24; at += 8) {
    const word = at / 4;
    random = Math.imul(random, 1664525) + 1013904223 | 0;
    buffer.words[word + 1] = 64;
    buffer.words[word + 2] = 10;
    buffer.words[word + 4] = 5 << 16;
    buffer.words[word + 5] = random;
    if (recordBytesAt(buffer.words, at, 64 * 1024 - at, SEED + at / 8) !== 0) plausible++;
  }
  assert.equal(plausible, 0);
});
