// The tail of a queue: the segment that grows, and the buffer in front of it. Records are encoded into the buffer and
// reach the file in one piece; they stay readable in the buffer until it starts over, so that a consumer in step with
// the publishers never touches the file.
//
//   segment:  64 ............ base ............................ base + end ............... capacity
//   buffer:                   0 ...... written ................ end ........ limit
//                             records in the file  not yet there

import type { Message } from "./message.ts";
import type { CommitSink } from "./queue_store_host.ts";
import { encodeRecord, NO_RECORD, NO_RECORDS, RecordBuffer, sealRecords } from "./record.ts";
import { type Segment, SEGMENT_HEADER_BYTES } from "./segment.ts";

/** A queue's first buffer, bytes: what each of 50,000 quiet queues may cost. */
const BUFFER_BYTES_MIN = 2 * 1024;
/** A chunk of one socket is at most this long; so consumers find in the buffer what was published in their turn. */
const BUFFER_BYTES_MAX = 512 * 1024;
/** A buffer that was never a quarter full during so many restarts is made smaller. */
const RESTARTS_UNTIL_SHRINK = 64;

const TWO_32 = 2 ** 32;

export class Tail {
  segment: Segment | null = null;
  buffer: RecordBuffer = NO_RECORDS;
  /** The offset in the segment that the buffer's first byte has. */
  base = SEGMENT_HEADER_BYTES;
  /** One past the last record in the buffer. */
  end = 0;
  /** Up to here the buffer stands in the file. */
  written = 0;
  /** Records in the buffer that are not in the file, and the bytes of their bodies. */
  freshCount = 0;
  freshBodyBytes = 0;
  /** Records may reach up to here: the buffer's size, or what is left of the segment. 0 without buffer or open file. */
  limit = 0;
  readonly #commit: CommitSink;
  readonly #beforeWrite: () => void;
  #timestampMs = 0;
  #timestampLow = 0;
  #timestampHigh = 0;
  #restarts = 0;
  #fullest = 0;

  /** `beforeWrite`: what is new in the buffer is about to be in the file. */
  constructor(commit: CommitSink, beforeWrite: () => void = () => {}) {
    this.#commit = commit;
    this.#beforeWrite = beforeWrite;
  }

  /** Where the next record begins in the segment. */
  get offset(): number {
    return this.base + this.end;
  }

  /** Adds a record, for which there must be room up to `limit`; returns its offset in the segment. Hot. */
  put(message: Message, recordBytes: number, padded: number): number {
    const at = this.end;
    if (message.timestampMs !== this.#timestampMs) this.#setTime(message.timestampMs);
    encodeRecord(this.buffer, at, message, recordBytes, this.#timestampLow, this.#timestampHigh);
    this.end = at + padded;
    this.freshCount++;
    this.freshBodyBytes += message.bodyBytes;
    return this.base + at;
  }

  /** Makes the buffer large enough for `padded` bytes more; the segment is known to be. */
  makeRoom(padded: number): void {
    const size = this.buffer.bytes.length;
    if (this.end + padded > size) {
      const fresh = this.end - this.written;
      // Filled within one turn: consumers have not had their chance to read it.
      if (size > 0 && fresh > size / 2 && size < BUFFER_BYTES_MAX) this.#resize(size * 2);
      else this.restart();
      let wanted = Math.max(this.buffer.bytes.length, BUFFER_BYTES_MIN);
      while (wanted < BUFFER_BYTES_MAX && wanted < this.end + padded) wanted *= 2;
      if (wanted < this.end + padded) {
        this.restart();
        wanted = Math.max(BUFFER_BYTES_MAX, padded);
      }
      if (wanted > this.buffer.bytes.length) this.#resize(wanted);
    }
    this.#setLimit();
  }

  /** Brings what is new in the buffer to the file. */
  write(): void {
    const { segment, written, end } = this;
    if (segment === null || written === end) return;
    this.#beforeWrite();
    const file = segment.file!;
    const from = this.base + written;
    sealRecords(this.buffer.words, written, end, (segment.nonce + from / 8) | 0);
    const { bytes } = this.buffer;
    // Behind the records of a recycled file stand zeros, in the same piece where the buffer has room for them.
    const zeros = segment.recycled ? Math.min(NO_RECORD.length, segment.capacity - this.base - end) : 0;
    const inBuffer = end + zeros <= bytes.length ? zeros : 0;
    bytes.fill(0, end, end + inBuffer);
    file.write(from, bytes, written, end - written + inBuffer);
    if (zeros > inBuffer) file.write(this.base + end, NO_RECORD, 0, zeros);
    this.written = end;
    this.freshCount = 0;
    this.freshBodyBytes = 0;
    if (file.fd >= 0) this.#commit.dirty(file.fd);
  }

  /** What is not in the file never was: the next record comes in its place. */
  takeBack(): void {
    if (this.end > this.#fullest) this.#fullest = this.end;
    this.end = this.written;
    this.freshCount = 0;
    this.freshBodyBytes = 0;
  }

  /** Forgets what stands in the buffer, once it is written: the next record comes first in it. */
  restart(): void {
    this.write();
    if (this.end > this.#fullest) this.#fullest = this.end;
    this.base += this.end;
    this.end = 0;
    this.written = 0;
    const size = this.buffer.bytes.length;
    if (size > BUFFER_BYTES_MAX) this.buffer = NO_RECORDS;
    else if (++this.#restarts === RESTARTS_UNTIL_SHRINK) {
      if (this.#fullest < size / 4 && size > BUFFER_BYTES_MIN) this.buffer = new RecordBuffer(size / 2);
      this.#restarts = 0;
      this.#fullest = 0;
    }
    this.#setLimit();
  }

  /** Goes on in `segment`, which is new. */
  begin(segment: Segment): void {
    this.restart();
    this.segment = segment;
    this.base = SEGMENT_HEADER_BYTES;
    this.#setLimit();
  }

  /** Gives the buffer up and keeps the place. The next record asks for room first. */
  cool(): void {
    this.restart();
    this.buffer = NO_RECORDS;
    this.limit = 0;
    this.#restarts = 0;
    this.#fullest = 0;
  }

  /** The segment goes; the next record asks for a new one. */
  forget(): void {
    this.segment = null;
    this.base = SEGMENT_HEADER_BYTES;
  }

  #setLimit(): void {
    const segment = this.segment;
    this.limit = segment === null || segment.file === null
      ? 0
      : Math.min(this.buffer.bytes.length, segment.capacity - this.base);
  }

  #resize(size: number): void {
    const old = this.buffer;
    this.buffer = new RecordBuffer((size + 7) & ~7);
    this.buffer.bytes.set(old.bytes.subarray(0, this.end));
  }

  #setTime(timestampMs: number): void {
    this.#timestampMs = timestampMs;
    this.#timestampLow = timestampMs % TWO_32 | 0;
    this.#timestampHigh = Math.floor(timestampMs / TWO_32) & 0xffff;
  }
}
