// The elementary values of AMQP 0-9-1 (AMQP 4.2.5): octets, integers, short and long strings, read from a run of bytes
// and written to an OutBuffer, and the begin and end of a frame of unknown size. No tables; they have their own file.

import { assert } from "../lib/assert.ts";
import { copyBytes, type OutBuffer } from "../lib/out_buffer.ts";
import { SHORT_STRING_BYTES_MAX } from "../limits.ts";
import { FRAME_END, FRAME_HEADER_BYTES, FRAME_METHOD, ProtocolViolation, REPLY_FRAME_ERROR } from "./amqp_frame.ts";

const TWO_POW_32 = 0x1_0000_0000;
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const ENCODER = new TextEncoder();

/** Reads values one behind the other. A value that goes over the end is a ProtocolViolation 501, as in RabbitMQ. */
export class ValueReader {
  readonly bytes: Uint8Array;
  at: number;
  end: number;

  constructor(bytes: Uint8Array, at: number, size: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = at + size;
  }

  /** Steps over `count` bytes, which must be there, and returns where they begin. */
  take(count: number): number {
    const at = this.at;
    if (count > this.end - at) throw malformed(`${count} octets expected, ${this.end - at} left`);
    this.at = at + count;
    return at;
  }

  /** Nothing may be left. */
  finish(): void {
    if (this.at !== this.end) throw malformed(`${this.end - this.at} octets too many`);
  }

  octet(): number {
    return this.bytes[this.take(1)]!;
  }

  short(): number {
    const at = this.take(2);
    return this.bytes[at]! << 8 | this.bytes[at + 1]!;
  }

  long(): number {
    return readLong(this.bytes, this.take(4));
  }

  /** An unsigned 64-bit integer; inexact above 2^53, where no delivery tag of ours ever is. */
  longlong(): number {
    return readLonglong(this.bytes, this.take(8));
  }

  /** An unsigned 64-bit integer: a number when that is exact, else a bigint. */
  uint64(): number | bigint {
    const at = this.take(8);
    const number = readLonglong(this.bytes, at);
    return Number.isSafeInteger(number) ? number : this.#bits64(at);
  }

  /** A signed 64-bit integer: a number when that is exact, else a bigint. */
  int64(): number | bigint {
    const at = this.take(8);
    const number = (readLong(this.bytes, at) | 0) * TWO_POW_32 + readLong(this.bytes, at + 4);
    return Number.isSafeInteger(number) ? number : BigInt.asIntN(64, this.#bits64(at));
  }

  #bits64(at: number): bigint {
    return BigInt(readLong(this.bytes, at)) << 32n | BigInt(readLong(this.bytes, at + 4));
  }

  shortString(): string {
    const count = this.octet();
    return this.text(this.take(count), count);
  }

  longString(): string {
    const count = this.long();
    return this.text(this.take(count), count);
  }

  /** A long string that need not be text: a copy. */
  longBytes(): Uint8Array {
    const count = this.long();
    return copyOf(this.bytes, this.take(count), count);
  }

  /** bytes[at..at+count) as text, which must be UTF-8. */
  text(at: number, count: number): string {
    const text = decodeUtf8(this.bytes, at, count);
    if (text === null) throw malformed("malformed UTF-8 in a string");
    return text;
  }
}

/** The violation that all codecs throw on bytes that do not fit the specification. */
export function malformed(text: string): ProtocolViolation {
  return new ProtocolViolation(REPLY_FRAME_ERROR, text);
}

export function readLong(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 0x1000000 + (bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!);
}

/** Of what fits in 32 bits never a product: that would be a float to engines, and all that is counted with it. */
export function readLonglong(bytes: Uint8Array, at: number): number {
  const high = readLong(bytes, at);
  const low = readLong(bytes, at + 4);
  return high === 0 ? low : high * TWO_POW_32 + low;
}

/** A copy of bytes[at..at+count); `slice` is none when the bytes are a Buffer. */
export function copyOf(bytes: Uint8Array, at: number, count: number): Uint8Array {
  const copy = new Uint8Array(count);
  copyBytes(bytes, at, copy, 0, count);
  return copy;
}

/** bytes[at..at+count) as text, or null when they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, at: number, count: number): string | null {
  if (count === 0) return "";
  if (!isUtf8(bytes, at, at + count)) return null;
  return DECODER.decode(bytes.subarray(at, at + count));
}

/** RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. A loop, since a decoder that throws is slow. */
function isUtf8(bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end) {
    const lead = bytes[at++]!;
    if (lead < 0x80) continue;
    const more = lead < 0xC2 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : lead < 0xF5 ? 3 : 0;
    if (more === 0 || more > end - at) return false;
    const second = bytes[at]!;
    const lowest = lead === 0xE0 ? 0xA0 : lead === 0xF0 ? 0x90 : 0x80;
    const highest = lead === 0xED ? 0x9F : lead === 0xF4 ? 0x8F : 0xBF;
    if (second < lowest || second > highest) return false;
    for (let i = 1; i < more; i++) if ((bytes[at + i]! & 0xC0) !== 0x80) return false;
    at += more;
  }
  return true;
}

export function putOctet(out: OutBuffer, value: number): void {
  const at = out.reserve(1);
  out.bytes[at] = value;
}

export function putShort(out: OutBuffer, value: number): void {
  const at = out.reserve(2);
  out.view.setUint16(at, value);
}

export function putLong(out: OutBuffer, value: number): void {
  const at = out.reserve(4);
  out.view.setUint32(at, value);
}

export function putLonglong(out: OutBuffer, value: number): void {
  const at = out.reserve(8);
  out.view.setUint32(at, value / TWO_POW_32);
  out.view.setUint32(at + 4, value);
}

/** An AssertionFault when the text has more than 255 octets. */
export function putShortString(out: OutBuffer, text: string): void {
  const lengthAt = out.reserve(1) - out.start;
  const count = putText(out, text);
  assert(count <= SHORT_STRING_BYTES_MAX, `a short string has ${count} octets, at most 255 are possible`);
  out.bytes[out.start + lengthAt] = count;
}

export function putLongString(out: OutBuffer, text: string): void {
  const lengthAt = out.reserve(4) - out.start;
  const count = putText(out, text);
  out.view.setUint32(out.start + lengthAt, count);
}

export function putLongBytes(out: OutBuffer, bytes: Uint8Array): void {
  putLong(out, bytes.length);
  out.append(bytes);
}

/** Appends `text` as UTF-8; returns its count of octets. */
function putText(out: OutBuffer, text: string): number {
  const length = text.length;
  const at = out.reserve(length);
  const bytes = out.bytes;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) {
      out.end -= length;
      const encoded = ENCODER.encode(text);
      out.append(encoded);
      return encoded.length;
    }
    bytes[at + i] = code;
  }
  return length;
}

/** The longest beginning of `text` that fits into a short string: for reply texts, which quote what peers have sent. */
export function fitShortString(text: string): string {
  const encoded = ENCODER.encode(text);
  if (encoded.length <= SHORT_STRING_BYTES_MAX) return text;
  let end = SHORT_STRING_BYTES_MAX;
  while ((encoded[end]! & 0xC0) === 0x80) end--;
  return DECODER.decode(encoded.subarray(0, end));
}

/** Writes the head of a method frame and the method's number; returns the mark for `endFrame` or `dropFrame`. */
export function beginMethod(out: OutBuffer, channel: number, kind: number): number {
  const mark = beginFrame(out, FRAME_METHOD, channel);
  putLong(out, kind);
  return mark;
}

/** Writes the head of a frame whose size is not known yet. The mark survives a move of the buffer. */
export function beginFrame(out: OutBuffer, type: number, channel: number): number {
  const at = out.reserve(FRAME_HEADER_BYTES);
  out.bytes[at] = type;
  out.view.setUint16(at + 1, channel);
  return at - out.start;
}

/** Closes the frame: its size, its end octet. */
export function endFrame(out: OutBuffer, mark: number): void {
  putOctet(out, FRAME_END);
  const at = out.start + mark;
  out.view.setUint32(at + 3, out.end - at - FRAME_HEADER_BYTES - 1);
}

/** Takes a begun frame back: nothing half written may stand in the buffer. */
export function dropFrame(out: OutBuffer, mark: number): void {
  out.end = out.start + mark;
}
