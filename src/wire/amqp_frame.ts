// AMQP 0-9-1 frames (AMQP 4.2.3): finds whole frames in the chunks of a connection, whatever way they are cut, and
// writes heartbeats and bodies. Knows nothing of what stands in a frame; methods, headers and tables have their files.
//
//   octet   short     long   size octets   octet
//  +------+---------+------+-------------+------+
//  | type | channel | size |   payload   | 0xCE |
//  +------+---------+------+-------------+------+

import { assert } from "../lib/assert.ts";
import { copyBytes, type OutBuffer } from "../lib/out_buffer.ts";
import { PRE_AUTH_FRAME_BYTES_MAX } from "../limits.ts";

export const FRAME_METHOD = 1;
export const FRAME_HEADER = 2;
export const FRAME_BODY = 3;
export const FRAME_HEARTBEAT = 8;
export const FRAME_END = 0xCE;
/** Type, channel and size. */
export const FRAME_HEADER_BYTES = 7;
/** What a frame has beside its payload. */
export const FRAME_OVERHEAD_BYTES = 8;
/** "AMQP", 0, 0-9-1: the first bytes of a client, and what a server answers to any others. */
export const PROTOCOL_HEADER: Uint8Array = Uint8Array.of(0x41, 0x4D, 0x51, 0x50, 0, 0, 9, 1);

/** AMQP 1.1 reply codes that a codec gives. */
export const REPLY_FRAME_ERROR = 501;
export const REPLY_NOT_IMPLEMENTED = 540;

/** A carry buffer up to this size stays with an idle reader; larger ones are let go. */
const CARRY_KEPT_BYTES_MAX = 1024;
const CARRY_BYTES_MIN = 256;
const EMPTY = new Uint8Array(0);

/** The peer broke the protocol: its connection must be closed with `code` and `text`. */
export class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
  /** The reply code for connection.close. */
  readonly code: number;
  /** For the reply text of connection.close, without the code's name. */
  readonly text: string;

  constructor(code: number, text: string) {
    super(text);
    this.code = code;
    this.text = text;
  }
}

export interface FrameSink {
  /**
   * A whole frame; its payload is bytes[at..at+size). The bytes stay as they are until the running `push` or `resume`
   * of the reader returns. Returns false to stop reading: the rest is kept for `resume`. A throw passes through
   * `push` and stops the reader likewise, so that `resume` goes on behind the frame. Must not call the reader.
   */
  frame(type: number, channel: number, bytes: Uint8Array, at: number, size: number): boolean;
}

/** Cuts the bytes of one connection into frames. Throws ProtocolViolation 501, and then discards all that follows. */
export class FrameReader {
  /** Largest frame taken, with its 8 octets of overhead; the owner raises it when connection.tune-ok has said so. */
  frameBytesMax = PRE_AUTH_FRAME_BYTES_MAX;
  readonly #sink: FrameSink;
  /** Bytes received and not handed out: #carry[#carryStart..#carryEnd). A cut frame, or when stopped also whole ones. */
  #carry: Uint8Array = EMPTY;
  #carryStart = 0;
  #carryEnd = 0;
  /** Takes turns with #carry: a frame completed there is intact while the end of the same chunk is carried over. */
  #spare: Uint8Array = EMPTY;
  #stopped = false;
  #broken = false;
  #running = false;
  /** Where the frame behind the one in the sink's hands begins. */
  #next = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** The sink has stopped reading, and `resume` has not been called since. Never so after a violation of the framing. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The framing was violated: nothing that follows can be read. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Hands all whole frames of `chunk` to the sink. The chunk may be reused afterwards. While stopped it is only kept. */
  push(chunk: Uint8Array): void {
    if (this.#broken) return;
    if (this.#stopped) return this.#keep(chunk, 0, chunk.length);
    this.#enter();
    this.#next = 0;
    try {
      if (this.#carryEnd === this.#carryStart || this.#complete(chunk)) this.#parse(chunk, this.#next, chunk.length);
    } catch (error) {
      this.#stopped = !this.#broken;
      throw error;
    } finally {
      this.#running = false;
      if (this.#next < chunk.length && !this.#broken) this.#keep(chunk, this.#next, chunk.length);
      if (this.#carryEnd === this.#carryStart) this.#release();
    }
  }

  /** Goes on after the sink has stopped or thrown: with what was kept, then with the next `push`. */
  resume(): void {
    if (!this.#stopped) return;
    this.#enter();
    this.#stopped = false;
    this.#next = this.#carryStart;
    try {
      this.#parse(this.#carry, this.#carryStart, this.#carryEnd);
    } catch (error) {
      this.#stopped = !this.#broken;
      throw error;
    } finally {
      this.#running = false;
      this.#carryStart = this.#next;
      if (this.#carryEnd === this.#carryStart) this.#release();
    }
  }

  /** Hands out the whole frames of bytes[at..end); #next is then where the first cut or unread one begins. Hot. */
  #parse(bytes: Uint8Array, at: number, end: number): void {
    const sink = this.#sink;
    while (end - at >= FRAME_HEADER_BYTES) {
      const size = this.#checkHead(bytes, at);
      const next = at + size + FRAME_OVERHEAD_BYTES;
      if (next > end) break;
      if (bytes[next - 1] !== FRAME_END) this.#fail(`frame end octet ${FRAME_END} expected, got ${bytes[next - 1]}`);
      this.#next = next;
      const channel = bytes[at + 1]! << 8 | bytes[at + 2]!;
      if (!sink.frame(bytes[at]!, channel, bytes, at + FRAME_HEADER_BYTES, size)) {
        this.#stopped = true;
        return;
      }
      at = next;
    }
  }

  /** Takes from `chunk` what the carried frame lacks and hands it out. False when it is still cut, or the sink stopped. */
  #complete(chunk: Uint8Array): boolean {
    let have = this.#carryEnd - this.#carryStart;
    if (have < FRAME_HEADER_BYTES) {
      const count = Math.min(FRAME_HEADER_BYTES - have, chunk.length);
      this.#keep(chunk, 0, count);
      this.#next = count;
      have += count;
      if (have < FRAME_HEADER_BYTES) return false;
    }
    const frameBytes = this.#checkHead(this.#carry, this.#carryStart) + FRAME_OVERHEAD_BYTES;
    const count = Math.min(frameBytes - have, chunk.length - this.#next);
    this.#keep(chunk, this.#next, this.#next + count);
    this.#next += count;
    if (have + count < frameBytes) return false;
    const bytes = this.#carry;
    const at = this.#carryStart;
    const last = at + frameBytes - 1;
    if (bytes[last] !== FRAME_END) this.#fail(`frame end octet ${FRAME_END} expected, got ${bytes[last]}`);
    this.#carry = this.#spare;
    this.#spare = bytes;
    this.#carryStart = 0;
    this.#carryEnd = 0;
    const channel = bytes[at + 1]! << 8 | bytes[at + 2]!;
    const size = frameBytes - FRAME_OVERHEAD_BYTES;
    if (!this.#sink.frame(bytes[at]!, channel, bytes, at + FRAME_HEADER_BYTES, size)) {
      this.#stopped = true;
      return false;
    }
    return true;
  }

  /** Checks type and size of the frame at `at`, whose head is there; returns the size of its payload. Hot. */
  #checkHead(bytes: Uint8Array, at: number): number {
    const type = bytes[at]!;
    if (type !== FRAME_METHOD && type !== FRAME_HEADER && type !== FRAME_BODY && type !== FRAME_HEARTBEAT) {
      this.#fail(`unknown frame type ${type}`);
    }
    const size = bytes[at + 3]! * 0x1000000 + (bytes[at + 4]! << 16 | bytes[at + 5]! << 8 | bytes[at + 6]!);
    if (size > this.frameBytesMax - FRAME_OVERHEAD_BYTES) {
      this.#fail(`frame of ${size + FRAME_OVERHEAD_BYTES} octets exceeds the maximum of ${this.frameBytesMax}`);
    }
    return size;
  }

  /** Adds source[from..to) to what is carried. The buffer grows by what is there, never by a declared length. */
  #keep(source: Uint8Array, from: number, to: number): void {
    const count = to - from;
    const have = this.#carryEnd - this.#carryStart;
    if (this.#carryEnd + count > this.#carry.length) {
      // Moved only when it frees at least as much as it moves: never the same bytes again and again.
      if (have + count <= this.#carry.length && this.#carryStart >= have) {
        this.#carry.copyWithin(0, this.#carryStart, this.#carryEnd);
      } else {
        const larger = new Uint8Array(Math.max(CARRY_BYTES_MIN, 2 * have, have + count));
        larger.set(this.#carry.subarray(this.#carryStart, this.#carryEnd));
        this.#carry = larger;
      }
      this.#carryStart = 0;
      this.#carryEnd = have;
    }
    copyBytes(source, from, this.#carry, this.#carryEnd, count);
    this.#carryEnd += count;
  }

  #enter(): void {
    assert(!this.#running, "the sink called the reader that calls it");
    this.#running = true;
  }

  #release(): void {
    this.#carryStart = 0;
    this.#carryEnd = 0;
    if (this.#carry.length > CARRY_KEPT_BYTES_MAX) this.#carry = EMPTY;
    if (this.#spare.length > CARRY_KEPT_BYTES_MAX) this.#spare = EMPTY;
  }

  #fail(text: string): never {
    this.#broken = true;
    this.#carryEnd = this.#carryStart;
    throw new ProtocolViolation(REPLY_FRAME_ERROR, text);
  }
}

/** Writes a heartbeat frame. */
export function writeHeartbeat(out: OutBuffer): void {
  writeFrameHead(out, FRAME_HEARTBEAT, 0, 0, FRAME_OVERHEAD_BYTES);
  out.bytes[out.end - 1] = FRAME_END;
}

/** Writes body[at..at+count) as body frames of at most `frameBytesMax`, none when `count` is 0. */
export function writeBody(
  out: OutBuffer,
  channel: number,
  body: Uint8Array,
  at: number,
  count: number,
  frameBytesMax: number,
): void {
  const payloadMax = frameBytesMax - FRAME_OVERHEAD_BYTES;
  const end = at + count;
  if (count > payloadMax) out.ensure(count + Math.ceil(count / payloadMax) * FRAME_OVERHEAD_BYTES);
  while (at < end) {
    const size = Math.min(payloadMax, end - at);
    const to = writeFrameHead(out, FRAME_BODY, channel, size, size + FRAME_OVERHEAD_BYTES);
    copyBytes(body, at, out.bytes, to, size);
    out.bytes[to + size] = FRAME_END;
    at += size;
  }
}

/** Reserves `reserved` octets and writes the first 7 of a frame; returns where the payload begins. Hot. */
export function writeFrameHead(out: OutBuffer, type: number, channel: number, size: number, reserved: number): number {
  const at = out.reserve(reserved);
  return putFrameHead(out.bytes, at, type, channel, size);
}

/** Writes the first 7 octets of a frame where there is room; returns where the payload begins. Hot. */
export function putFrameHead(bytes: Uint8Array, at: number, type: number, channel: number, size: number): number {
  bytes[at] = type;
  bytes[at + 1] = channel >>> 8;
  bytes[at + 2] = channel;
  bytes[at + 3] = size >>> 24;
  bytes[at + 4] = size >>> 16;
  bytes[at + 5] = size >>> 8;
  bytes[at + 6] = size;
  return at + FRAME_HEADER_BYTES;
}
