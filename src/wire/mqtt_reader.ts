// From chunks of a socket to MQTT packets. A packet that lies whole in a chunk is read in place; what a chunk's end cuts
// is kept and put together, in memory that grows with what was received and never by what was announced.

import { copyBytes } from "../lib/out_buffer.ts";
import { FIXED_HEADER_BYTES_MAX, malformed, MqttViolation, PACKET_TOO_LARGE } from "./mqtt_packet.ts";

/** A buffer for cut packets up to this size stays with the reader; larger ones are let go. */
const KEPT_BYTES_MAX = 16 * 1024;
const EMPTY = new Uint8Array(0);

export interface PacketSink {
  /** Whether packets of this type are taken now; false stops the reader in front of it. Hot. */
  admits(type: number): boolean;
  /**
   * A packet without its remaining length: `first` is the first octet, type and flags. What it refers to is valid only
   * during the call. False stops the reader behind it. Hot.
   */
  packet(first: number, bytes: Uint8Array, at: number, size: number): boolean;
}

export class MqttReader {
  /** Largest packet that is taken, its fixed header included. */
  packetBytesMax: number;
  readonly #sink: PacketSink;
  /** The beginning of a packet, or what was left when the sink stopped. */
  #kept: Uint8Array = EMPTY;
  #keptBytes = 0;
  #stopped = false;

  constructor(sink: PacketSink, packetBytesMax: number) {
    this.#sink = sink;
    this.packetBytesMax = packetBytesMax;
  }

  /** The sink has stopped; `resume` goes on. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Throws an MqttViolation, and whatever the sink throws; after either the reader is of no use any more. Hot. */
  push(chunk: Uint8Array): void {
    if (this.#stopped) return this.#keep(chunk, 0);
    let at = 0;
    if (this.#keptBytes > 0) at = this.#complete(chunk);
    if (!this.#stopped) at = this.#read(chunk, at, chunk.length);
    if (at < chunk.length) this.#keep(chunk, at);
  }

  /** Goes on with what was kept when the sink stopped. */
  resume(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    const kept = this.#kept;
    const count = this.#keptBytes;
    this.#release();
    const at = this.#read(kept, 0, count);
    if (at < count) this.#keep(kept.subarray(0, count), at);
  }

  /** Hands on what lies whole in bytes[at..end); returns where the rest begins. Hot. */
  #read(bytes: Uint8Array, at: number, end: number): number {
    const sink = this.#sink;
    while (end - at >= 2) {
      let size = bytes[at + 1]!;
      let headerBytes = 2;
      if (size >= 0x80) {
        headerBytes = remainingLengthEnd(bytes, at, end);
        if (headerBytes === 0) return at;
        size = remainingLength(bytes, at);
      }
      if (headerBytes + size > this.packetBytesMax) this.#refuse(headerBytes + size);
      const from = at + headerBytes;
      if (from + size > end) return at;
      const first = bytes[at]!;
      if (!sink.admits(first >>> 4)) {
        this.#stopped = true;
        return at;
      }
      at = from + size;
      if (!sink.packet(first, bytes, from, size)) {
        this.#stopped = true;
        return at;
      }
    }
    return at;
  }

  /** Completes the packet whose beginning is kept; returns how much of the chunk it took. */
  #complete(chunk: Uint8Array): number {
    let at = 0;
    let headerBytes = 0;
    while (headerBytes === 0) {
      headerBytes = this.#keptBytes < 2 ? 0 : remainingLengthEnd(this.#kept, 0, this.#keptBytes);
      if (headerBytes > 0) break;
      if (at === chunk.length) return at;
      this.#keep(chunk.subarray(at, at + 1), 0);
      at++;
    }
    const total = headerBytes + remainingLength(this.#kept, 0);
    if (total > this.packetBytesMax) this.#refuse(total);
    const count = Math.min(total - this.#keptBytes, chunk.length - at);
    if (count > 0) this.#keep(chunk.subarray(at, at + count), 0, total);
    at += Math.max(0, count);
    if (this.#keptBytes < total) return at;
    const kept = this.#kept;
    this.#release();
    // The sink may make us keep what follows: not in the buffer that it reads from.
    const consumed = this.#read(kept, 0, total);
    if (consumed < total) this.#keep(kept.subarray(0, total), consumed);
    else if (kept.length <= KEPT_BYTES_MAX && this.#kept.length === 0) this.#kept = kept;
    return at;
  }

  #keep(bytes: Uint8Array, from: number, atMost = Infinity): void {
    const count = bytes.length - from;
    const needed = this.#keptBytes + count;
    if (needed > this.#kept.length) {
      const size = Math.max(needed, Math.min(atMost, 2 * this.#kept.length), FIXED_HEADER_BYTES_MAX);
      const larger = new Uint8Array(size);
      larger.set(this.#kept.subarray(0, this.#keptBytes));
      this.#kept = larger;
    }
    copyBytes(bytes, from, this.#kept, this.#keptBytes, count);
    this.#keptBytes = needed;
  }

  #release(): void {
    this.#kept = EMPTY;
    this.#keptBytes = 0;
  }

  #refuse(bytes: number): never {
    throw new MqttViolation(PACKET_TOO_LARGE, `a packet of ${bytes} bytes, at most ${this.packetBytesMax} are taken`);
  }
}

/** Bytes of the fixed header at `at`; 0 when its end is not there yet. */
function remainingLengthEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let index = 1; index < FIXED_HEADER_BYTES_MAX; index++) {
    if (at + index >= end) return 0;
    if (bytes[at + index]! < 0x80) return index + 1;
  }
  throw malformed("a remaining length of more than four octets");
}

function remainingLength(bytes: Uint8Array, at: number): number {
  let value = 0;
  let shift = 0;
  for (let index = at + 1;; index++) {
    const octet = bytes[index]!;
    value |= (octet & 0x7f) << shift;
    if (octet < 0x80) return value;
    shift += 7;
  }
}
