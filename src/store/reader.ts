// Reads the queue: where the head stands, and how a record is come by, in the tail buffer or through the window. Steps
// over what is damaged and says so. Closes the files that reading leaves behind.

import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import { ReadWindow } from "./read_window.ts";
import { bodyBytesAt, NO_RECORDS, paddedBytes, type RecordBuffer } from "./record.ts";
import { type Segment, SEGMENT_HEADER_BYTES } from "./segment.ts";
import type { Tail } from "./tail.ts";

/** Read ahead by a consumer that is behind, bytes. */
const READ_AHEAD_BYTES = 64 * 1024;

export class Reader {
  /** The head: the record that is read next begins at or behind `offset` of `segment`. */
  segment: Segment | null = null;
  offset = SEGMENT_HEADER_BYTES;
  /** Where the record that was looked for lies. */
  buffer: RecordBuffer = NO_RECORDS;
  at = 0;
  /** The segment that the head left last: its acknowledgements are about to come, then its file is recycled. */
  #left: Segment | null = null;
  readonly #tail: Tail;
  readonly #window: ReadWindow;
  readonly #directory: QueueDirectory;
  readonly #host: QueueStoreHost;
  /** Told of bytes behind the head that could not be read; the head stands behind them. */
  readonly #onDamage: () => void;

  constructor(
    tail: Tail,
    directory: QueueDirectory,
    host: QueueStoreHost,
    onDamage: () => void,
  ) {
    this.#tail = tail;
    this.#window = new ReadWindow(host.files, READ_AHEAD_BYTES);
    this.#directory = directory;
    this.#host = host;
    this.#onDamage = onDamage;
  }

  /** Moves the head to the next record that is not settled and finds it; false when there is none. */
  advance(): boolean {
    for (;;) {
      const segment = this.segment;
      if (segment === null) return false;
      const offset = this.offset = segment.skipHoles(this.offset);
      if (offset >= this.#endOf(segment)) {
        if (segment.next === null) return false;
        this.#enter(segment.next);
      } else if (this.locate(segment, offset)) {
        return true;
      } else {
        this.#stepOver(segment, offset);
      }
    }
  }

  /** Finds the record at `offset`; false when it is damaged. */
  locate(segment: Segment, offset: number): boolean {
    const tail = this.#tail;
    if (segment === tail.segment && offset >= tail.base) {
      this.buffer = tail.buffer;
      this.at = offset - tail.base;
      return true;
    }
    const window = this.#window;
    const before = window.segment;
    const at = window.record(segment, offset, this.#fileEndOf(segment));
    this.buffer = window.buffer;
    this.at = at;
    if (before !== null && before !== segment) this.retire(before);
    return at >= 0;
  }

  /** Keeps a damaged record for a human and tells the operator. */
  reportDamage(segment: Segment, from: number, to: number): void {
    this.#directory.quarantine(segment, from, to - from);
    this.#host.report({
      kind: "damaged-record",
      path: segment.path,
      offset: from,
      bytes: to - from,
      detail: "not intact when it was to be delivered, stepped over, kept in quarantine/",
    });
  }

  /** Counts what can be read and is not settled from the head to the end of its segment. */
  countInHead(): { count: number; bodyBytes: number } {
    const segment = this.segment!;
    const { holes, holeIndex } = segment;
    const tail = this.#tail;
    const fileEnd = this.#fileEndOf(segment);
    let count = 0;
    let bodyBytes = 0;
    let offset = this.offset;
    while (offset >= 0 && (offset = segment.skipHoles(offset)) < fileEnd) {
      const at = this.#window.record(segment, offset, fileEnd);
      if (at < 0) {
        offset = this.#window.findRecord(segment, offset + 8, fileEnd);
      } else {
        const { words } = this.#window.buffer;
        count++;
        bodyBytes += bodyBytesAt(words, at);
        offset += paddedBytes(words[at / 4 + 1]!);
      }
    }
    segment.holes = holes;
    segment.holeIndex = holeIndex;
    if (segment !== tail.segment) return { count, bodyBytes };
    const { words } = tail.buffer;
    let at = Math.max(0, this.offset - tail.base);
    for (; at < tail.end; at += paddedBytes(words[at / 4 + 1]!)) {
      count++;
      bodyBytes += bodyBytesAt(words, at);
    }
    return { count, bodyBytes };
  }

  /** The head jumps over everything. */
  skipAll(): void {
    const last = this.#tail.segment;
    while (this.segment !== null && this.segment.next !== null) this.#enter(this.segment.next);
    if (this.segment !== null) this.offset = this.segment === last ? this.#tail.offset : this.segment.end;
  }

  /** The segment goes. */
  forget(segment: Segment): void {
    this.#window.forget(segment);
    if (this.#left === segment) this.#left = null;
    if (this.segment === segment) {
      this.segment = segment.next;
      this.offset = SEGMENT_HEADER_BYTES;
    }
  }

  /** Closes the segment's file unless somebody still works in it; a sync that it needs comes first. */
  retire(segment: Segment): void {
    const { file } = segment;
    if (file === null || !this.#directory.persistent) return;
    if (segment === this.segment || segment === this.#left || segment === this.#tail.segment) return;
    if (segment === this.#window.segment) return;
    segment.file = null;
    this.#host.commit.release(file.fd, false, () => file.close());
  }

  /** Gives the window up. */
  cool(): void {
    this.#window.clear();
    this.#left = null;
    this.buffer = NO_RECORDS;
  }

  #enter(segment: Segment): void {
    const left = this.#left;
    this.#left = this.segment;
    this.segment = segment;
    this.offset = SEGMENT_HEADER_BYTES;
    if (left !== null) this.retire(left);
  }

  #endOf(segment: Segment): number {
    return segment === this.#tail.segment ? this.#tail.offset : segment.end;
  }

  /** Up to here its records are to be read from the file. */
  #fileEndOf(segment: Segment): number {
    return segment === this.#tail.segment ? this.#tail.base : segment.end;
  }

  #stepOver(segment: Segment, offset: number): void {
    const end = this.#fileEndOf(segment);
    const found = this.#window.findRecord(segment, offset + 8, end);
    const next = found < 0 ? end : found;
    this.reportDamage(segment, offset, next);
    this.offset = next;
    this.#onDamage();
  }
}
