// A place in a stream from which one consumer reads on: any number of them read the same segments, each at its own pace.
// Holds a window over the file, nothing per message.

import { assert } from "../lib/assert.ts";
import type { Message } from "./message.ts";
import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import { ReadWindow } from "./read_window.ts";
import { NO_RECORDS, paddedBytes, pointAt, type RecordBuffer, recordBytesAt, timestampAt } from "./record.ts";
import { type Segment, SEGMENT_HEADER_BYTES } from "./segment.ts";
import type { SegmentChain } from "./segment_chain.ts";
import { offsetOf, positionAt } from "./segment_position.ts";
import type { StreamIndex, StreamSegment } from "./stream_index.ts";
import type { Tail } from "./tail.ts";

const READ_AHEAD_BYTES = 64 * 1024;

/** Where to begin reading. */
export type StreamStart =
  | { readonly kind: "first" | "last" | "next" }
  /** A negative one counts back from the end. */
  | { readonly kind: "offset"; readonly offset: number }
  /** The first message that was taken in at this time or later. */
  | { readonly kind: "timestamp"; readonly timestampMs: number };

/** What cursors see of their stream. */
export interface StreamParts {
  readonly chain: SegmentChain;
  readonly index: StreamIndex;
  readonly tail: Tail;
  readonly directory: QueueDirectory;
  readonly host: QueueStoreHost;
  /** Nobody may need the segment's file any more. */
  retire(segment: Segment): void;
  closed(cursor: StreamCursor): void;
}

export class StreamCursor {
  /** The offset of the message that is read next. */
  offset = 0;
  /** Null before a stream's first message. */
  segment: Segment | null = null;
  /** Where the message that `next` found last lies: for `read`. */
  position = 0;
  /** Where in the segment the next record begins. */
  #at = SEGMENT_HEADER_BYTES;
  #buffer: RecordBuffer = NO_RECORDS;
  readonly #parts: StreamParts;
  readonly #window: ReadWindow;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.#window = new ReadWindow(parts.host.files, READ_AHEAD_BYTES);
    this.seek({ kind: "first" });
  }

  /** What lies outside of the stream is moved to its nearer end. */
  seek(start: StreamStart): void {
    const { index } = this.#parts;
    const { firstOffset, nextOffset } = index;
    switch (start.kind) {
      case "first":
        return this.#seekOffset(firstOffset);
      case "last":
        return this.#seekOffset(nextOffset - 1);
      case "next":
        return this.#seekOffset(nextOffset);
      case "offset":
        return this.#seekOffset(start.offset < 0 ? nextOffset + start.offset : start.offset);
      case "timestamp":
        return this.#seekTimestamp(start.timestampMs);
    }
  }

  /**
   * Fills `message` with the next message, its offset as its position; false at the end of the stream. What it refers to
   * is valid until the next call of any method of the stream or its cursors. Hot.
   */
  next(message: Message): boolean {
    const { tail } = this.#parts;
    const segment = this.segment;
    const inTail = this.#at - tail.base;
    if (segment === null || segment !== tail.segment || inTail < 0) return this.#find(message);
    if (inTail >= tail.end) return false;
    this.#take(segment, tail.buffer, inTail, message);
    return true;
  }

  /** Fills `message` with the message that lies where `position` was once; false when it is gone or damaged. */
  read(position: number, offset: number, message: Message): boolean {
    const { chain } = this.#parts;
    const segment = chain.find(position);
    if (segment === null) return false;
    const at = this.#locate(segment, offsetOf(position));
    if (segment !== this.segment) this.#parts.retire(segment);
    if (at < 0) return false;
    pointAt(this.#buffer, at, message);
    message.position = offset;
    message.redelivered = false;
    return true;
  }

  /** The segment goes, the oldest one: reading goes on behind it. */
  forget(segment: Segment): void {
    this.#window.forget(segment);
    if (this.segment !== segment) return;
    assert(segment.next !== null, "the last segment of a stream is never removed");
    this.#enter(segment.next);
  }

  /** Whether it holds on to the segment's file. */
  uses(segment: Segment): boolean {
    return this.segment === segment;
  }

  /** Everything there is has been read. */
  get atEnd(): boolean {
    return this.offset === this.#parts.index.nextOffset;
  }

  /** Gives the window up, until the next read. */
  cool(): void {
    this.#window.clear();
    this.#buffer = NO_RECORDS;
  }

  close(): void {
    const { segment } = this;
    this.segment = null;
    this.cool();
    this.#parts.closed(this);
    if (segment !== null) this.#parts.retire(segment);
  }

  #take(segment: Segment, buffer: RecordBuffer, at: number, message: Message): void {
    this.position = positionAt(segment.number, this.#at);
    this.#at += pointAt(buffer, at, message);
    message.position = this.offset++;
    message.redelivered = false;
  }

  #find(message: Message): boolean {
    for (;;) {
      const at = this.#advance();
      if (at === -1) return false;
      if (at === -2) continue;
      this.#take(this.segment!, this.#buffer, at, message);
      return true;
    }
  }

  /** Where in the buffer the next record lies; -1 at the end of the stream, -2 when damage was stepped over. */
  #advance(): number {
    for (;;) {
      const segment = this.segment ?? this.#parts.chain.first;
      if (segment === null) return -1;
      if (this.segment === null) this.#enter(segment);
      if (this.#at < this.#endOf(segment)) {
        const at = this.#locate(segment, this.#at);
        if (at >= 0) return at;
        this.#stepOver(segment);
        return -2;
      }
      if (segment.next === null) return -1;
      this.#enter(segment.next);
    }
  }

  #enter(segment: Segment): void {
    const left = this.segment;
    this.segment = segment;
    this.#at = SEGMENT_HEADER_BYTES;
    this.offset = this.#parts.index.of(segment).firstOffset;
    if (left !== null && left !== segment) {
      this.#window.forget(left);
      this.#parts.retire(left);
    }
  }

  /** Where in #buffer the record at `at` lies; -1 when it is damaged. */
  #locate(segment: Segment, at: number): number {
    const { tail } = this.#parts;
    if (segment === tail.segment && at >= tail.base) {
      this.#buffer = tail.buffer;
      return at - tail.base;
    }
    const found = this.#window.record(segment, at, this.#fileEndOf(segment));
    this.#buffer = this.#window.buffer;
    return found;
  }

  #endOf(segment: Segment): number {
    const { tail } = this.#parts;
    return segment === tail.segment ? tail.offset : segment.end;
  }

  /** Up to here its records are to be read from the file. */
  #fileEndOf(segment: Segment): number {
    const { tail } = this.#parts;
    return segment === tail.segment ? tail.base : segment.end;
  }

  /** Goes on at the next intact record. How many were lost is known by how many are left. */
  #stepOver(segment: Segment): void {
    const { directory, host, index } = this.#parts;
    const from = this.#at;
    const end = this.#fileEndOf(segment);
    const found = this.#window.findRecord(segment, from + 8, end);
    const to = found < 0 ? end : found;
    if (directory.quarantine(segment, from, to - from)) {
      const detail = "not intact when it was to be delivered, stepped over, kept in quarantine/";
      host.report({ kind: "damaged-record", path: segment.path, offset: from, bytes: to - from, detail });
    }
    this.#at = to;
    this.offset = Math.max(this.offset + 1, index.endOffset(segment) - this.#countFrom(segment, to));
  }

  /** Messages from `at`, where one begins, to the end of the segment; a damaged stretch counts as one. */
  #countFrom(segment: Segment, at: number): number {
    const window = this.#window;
    const fileEnd = this.#fileEndOf(segment);
    let count = 0;
    while (at >= 0 && at < fileEnd) {
      const found = window.record(segment, at, fileEnd);
      count++;
      at = found < 0
        ? window.findRecord(segment, at + 8, fileEnd)
        : at + paddedBytes(window.buffer.words[found / 4 + 1]!);
    }
    const { tail } = this.#parts;
    if (segment !== tail.segment) return count;
    const { words } = tail.buffer;
    for (let inTail = 0; inTail < tail.end; count++) inTail += paddedBytes(words[inTail / 4 + 1]!);
    return count;
  }

  #seekOffset(wanted: number): void {
    const { index } = this.#parts;
    const offset = Math.min(Math.max(wanted, index.firstOffset), index.nextOffset);
    if (offset === index.nextOffset) return this.#seekEnd();
    this.#begin(index.holding(offset));
    this.#skipWhile(() => this.offset < offset);
  }

  #seekTimestamp(timestampMs: number): void {
    const { index } = this.#parts;
    const entry = index.since(timestampMs);
    if (entry === null) return this.#seekEnd();
    this.#begin(entry);
    this.#skipWhile((words, at) => timestampAt(words, at) < timestampMs);
  }

  #seekEnd(): void {
    const { last } = this.#parts.index;
    this.#begin(last);
    if (last !== null) this.#at = this.#endOf(last.segment);
    this.offset = this.#parts.index.nextOffset;
  }

  #begin(entry: StreamSegment | null): void {
    if (entry === null) this.offset = this.#parts.index.nextOffset;
    else this.#enter(entry.segment);
  }

  /** Steps over messages for which `skips` holds, looking at their heads alone. */
  #skipWhile(skips: (words: Int32Array, at: number) => boolean): void {
    for (;;) {
      const at = this.#glance();
      if (at === -1) return;
      if (at === -2) continue;
      const { words } = this.#buffer;
      if (!skips(words, at)) return;
      this.#at += paddedBytes(words[at / 4 + 1]!);
      this.offset++;
    }
  }

  /** As `#advance`, without a look at the record's content while its head is sound. */
  #glance(): number {
    const segment = this.segment;
    if (segment === null || this.#at >= this.#fileEndOf(segment)) return this.#advance();
    const limit = this.#fileEndOf(segment);
    const at = this.#window.hold(segment, this.#at, 24, limit);
    const seed = (segment.nonce + this.#at / 8) | 0;
    if (at < 0 || recordBytesAt(this.#window.buffer.words, at, limit - this.#at, seed) === 0) return this.#advance();
    this.#buffer = this.#window.buffer;
    return at;
  }
}
