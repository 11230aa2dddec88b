// A record: one message as it lies in a segment and in the buffers over it. Encodes, seals, checks and points at it.
//
//   word 0         1         2         3           4                     5
//   +----------+---------+---------+-----------+----------+----------+-------+--------+--------+--------+------+-----+
//   | checksum | record  | header  | timestamp | u16 ts   | u16      | u8    | u24    | route  | header | body | pad |
//   |          | bytes   | bytes   | ms, low   | high     | route    | flags | mark   |        |        |      | to 8|
//   +----------+---------+---------+-----------+----------+----------+-------+--------+--------+--------+------+-----+
//
// Checksum and mark are seeded with nonce + offset/8. The mark is a hash of the lengths alone: it tells in a few
// nanoseconds whether a header of this life of the file stands here, so that a search for the next record does not
// have to run a checksum over every length that somebody's bytes happen to spell.

import { copyBytes } from "../lib/out_buffer.ts";
import { xxh32Words } from "./checksum.ts";
import type { Message } from "./message.ts";

export const RECORD_HEADER_BYTES = 24;

const TWO_32 = 2 ** 32;
const MARK_1 = 0x9e3779b1 | 0;
const MARK_2 = 0x85ebca77 | 0;
const MARK_3 = 0xc2b2ae3d | 0;

/** Ordinary memory under records: bytes and 32-bit words over the same buffer. */
export class RecordBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Int32Array<ArrayBuffer>;

  /** `size` in bytes, a multiple of 8. */
  constructor(size: number) {
    const buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
  }
}

export const NO_RECORDS: RecordBuffer = new RecordBuffer(0);

/** What stands behind the last record: no record's head. */
export const NO_RECORD: Uint8Array = new Uint8Array(RECORD_HEADER_BYTES);

/** What a record takes in a segment. */
export function paddedBytes(recordBytes: number): number {
  return (recordBytes + 7) & ~7;
}

/** Writes the record of `message` at `at`, all but mark and checksum: `sealRecords` adds them. Hot. */
export function encodeRecord(
  buffer: RecordBuffer,
  at: number,
  message: Message,
  recordBytes: number,
  timestampLow: number,
  timestampHigh: number,
): void {
  const { words } = buffer;
  const word = at >>> 2;
  const end = (at + paddedBytes(recordBytes)) >>> 2;
  const routeBytes = message.routeBytes;
  const headerBytes = message.headerBytes;
  // The padding; the content is written over it.
  words[end - 1] = 0;
  words[end - 2] = 0;
  words[word + 1] = recordBytes;
  words[word + 2] = headerBytes;
  words[word + 3] = timestampLow;
  words[word + 4] = timestampHigh | (routeBytes << 16);
  words[word + 5] = message.flags;
  const routeTo = at + RECORD_HEADER_BYTES;
  const headerTo = routeTo + routeBytes;
  const bodyTo = headerTo + headerBytes;
  copyBytes(message.route, message.routeAt, buffer.bytes, routeTo, routeBytes);
  copyBytes(message.header, message.headerAt, buffer.bytes, headerTo, headerBytes);
  copyBytes(message.body, message.bodyAt, buffer.bytes, bodyTo, message.bodyBytes);
}

/** Gives every record in [from, to) its mark and checksum. `seed` is that of `from`. Hot. */
export function sealRecords(words: Int32Array, from: number, to: number, seed: number): void {
  let at = from;
  while (at < to) {
    const word = at >>> 2;
    const padded = paddedBytes(words[word + 1]!);
    const own = (seed + ((at - from) >>> 3)) | 0;
    words[word + 5] = (words[word + 5]! & 0xff) | markOf(words, word, own);
    words[word] = xxh32Words(words, word + 1, (padded >>> 2) - 1, own);
    at += padded;
  }
}

/**
 * The length of the record whose header stands at `at`, 0 when none of this life of the file does. `room` is what may
 * belong to a record at most; only the header itself must be in the buffer.
 */
export function recordBytesAt(words: Int32Array, at: number, room: number, seed: number): number {
  const word = at >>> 2;
  const recordBytes = words[word + 1]!;
  if (recordBytes < RECORD_HEADER_BYTES || recordBytes > room) return 0;
  const headerBytes = words[word + 2]!;
  const routeBytes = words[word + 4]! >>> 16;
  if (headerBytes < 0 || RECORD_HEADER_BYTES + headerBytes + routeBytes > recordBytes) return 0;
  return (words[word + 5]! & ~0xff) === markOf(words, word, seed) ? recordBytes : 0;
}

/** Whether every byte of the record at `at` is as it was sealed. The whole record must be in the buffer. */
export function recordIntact(words: Int32Array, at: number, recordBytes: number, seed: number): boolean {
  const word = at >>> 2;
  return words[word] === xxh32Words(words, word + 1, (paddedBytes(recordBytes) >>> 2) - 1, seed);
}

/** Points `message` at the record at `at`; returns what the record takes, padding included. Hot. */
export function pointAt(buffer: RecordBuffer, at: number, message: Message): number {
  const { bytes, words } = buffer;
  const word = at >>> 2;
  const recordBytes = words[word + 1]!;
  const headerBytes = words[word + 2]!;
  const high = words[word + 4]!;
  const routeBytes = high >>> 16;
  const routeAt = at + RECORD_HEADER_BYTES;
  const headerAt = routeAt + routeBytes;
  const bodyAt = headerAt + headerBytes;
  message.timestampMs = (words[word + 3]! >>> 0) + (high & 0xffff) * TWO_32;
  message.flags = words[word + 5]! & 0xff;
  message.route = bytes;
  message.routeAt = routeAt;
  message.routeBytes = routeBytes;
  message.header = bytes;
  message.headerAt = headerAt;
  message.headerBytes = headerBytes;
  message.body = bytes;
  message.bodyAt = bodyAt;
  message.bodyBytes = at + recordBytes - bodyAt;
  message.recordBytes = recordBytes;
  return paddedBytes(recordBytes);
}

/** Body bytes of the record at `at`. */
export function bodyBytesAt(words: Int32Array, at: number): number {
  const word = at >>> 2;
  return words[word + 1]! - RECORD_HEADER_BYTES - words[word + 2]! - (words[word + 4]! >>> 16);
}

/** When the message of the record at `at` was taken in, milliseconds since 1970. */
export function timestampAt(words: Int32Array, at: number): number {
  const word = at >>> 2;
  return (words[word + 3]! >>> 0) + (words[word + 4]! & 0xffff) * TWO_32;
}

/** Flags of the record at `at`. */
export function flagsAt(words: Int32Array, at: number): number {
  return words[(at >>> 2) + 5]! & 0xff;
}

function markOf(words: Int32Array, word: number, seed: number): number {
  let hash = Math.imul(seed ^ words[word + 1]!, MARK_1);
  hash = Math.imul((hash ^ (hash >>> 15)) + words[word + 2]!, MARK_2);
  hash = Math.imul((hash ^ (hash >>> 13)) + words[word + 4]!, MARK_3);
  return (hash ^ (hash >>> 16)) << 8;
}
