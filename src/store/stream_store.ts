// The messages of one stream, on disk or in memory: appended, read by any number of cursors, never settled; the oldest
// segments go when a limit says so. Segments, records and tail are those of a queue. All messages are kept whatever
// their delivery mode. Memory is by segment and by cursor, never by message.
//
//   first segment ............................................ tail segment
//   offset 4000 ..... | cursor A ...... | ....... cursor B ... | next offset

import { join } from "node:path";
import { assert } from "../lib/assert.ts";
import type { Message } from "./message.ts";
import { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import { RECORD_HEADER_BYTES } from "./record.ts";
import { type Segment, SEGMENT_HEADER_BYTES } from "./segment.ts";
import { SegmentChain } from "./segment_chain.ts";
import { SegmentKeeper } from "./segment_keeper.ts";
import { StreamCursor, type StreamParts } from "./stream_cursor.ts";
import { StreamIndex } from "./stream_index.ts";
import { StreamOffsets } from "./stream_offsets.ts";
import { StreamRecovery } from "./stream_recovery.ts";
import { Tail } from "./tail.ts";

const SEGMENT_BYTES_MIN = 64 * 1024;
const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;
/** Smaller segments would be mostly files. */
const SEGMENT_BYTES_LEAST = 4096;

/** What may stay; whole segments go, the one that is written to never. Infinity: no limit. */
export interface Retention {
  readonly maxAgeMs: number;
  /** Of the segments' records. */
  readonly maxBytes: number;
  readonly maxLength: number;
}

export interface StreamStoreOptions {
  readonly queueId: number;
  /** "" in memory. */
  readonly directory: string;
  readonly retention: Retention;
  /** The first segment, bytes; they double from there. 64 KiB. */
  readonly segmentBytesMin?: number;
  /** Full size, bytes; a larger message gets a segment of its own size. 8 MiB. */
  readonly segmentBytesMax?: number;
}

/** Where a stream keeps how far its named consumers came. */
export function streamOffsetsPath(directory: string): string {
  return join(directory, "offsets");
}

export class StreamStore {
  /** Message bytes on disk, record heads included. */
  bytes = 0;
  readonly offsets: StreamOffsets;
  readonly #host: QueueStoreHost;
  readonly #directory: QueueDirectory;
  readonly #chain = new SegmentChain();
  readonly #index = new StreamIndex();
  readonly #tail: Tail;
  readonly #keeper: SegmentKeeper;
  /** May change: what is beyond it goes with the next `retain`. */
  retention: Retention;
  readonly #cursors = new Set<StreamCursor>();
  readonly #parts: StreamParts;
  /** The end of this turn will flush. */
  #touched = false;
  #closed = false;

  /** Reads what is on disk: nothing there is an empty stream, and stays nothing until the first message. */
  static open(options: StreamStoreOptions, host: QueueStoreHost): StreamStore {
    return new StreamStore(options, host);
  }

  private constructor(options: StreamStoreOptions, host: QueueStoreHost) {
    const { queueId, segmentBytesMin = SEGMENT_BYTES_MIN, segmentBytesMax = SEGMENT_BYTES_MAX } = options;
    const [chain, index] = [this.#chain, this.#index];
    const directory = new QueueDirectory(options.directory, queueId, host);
    const tail = new Tail(host.commit);
    this.#host = host;
    this.#directory = directory;
    this.#tail = tail;
    this.retention = options.retention;
    new StreamRecovery(queueId, directory, host).run(chain, index);
    const bytesMax = Math.max(segmentBytesMax, SEGMENT_BYTES_LEAST);
    // A stream that grew goes on with large segments.
    const bytesMin = Math.min(Math.max(segmentBytesMin, chain.last?.capacity ?? 0), bytesMax);
    this.#keeper = new SegmentKeeper(queueId, { bytesMin, bytesMax }, chain, tail, directory, host, () => {
      return index.nextOffset;
    });
    const offsetsPath = directory.persistent ? streamOffsetsPath(options.directory) : "";
    this.offsets = new StreamOffsets(offsetsPath, queueId, directory, host);
    this.#parts = {
      chain,
      index,
      tail,
      directory,
      host,
      retire: (segment) => this.#retire(segment),
      closed: (cursor) => this.#cursors.delete(cursor),
    };
    for (const { segment } of index.entries) this.bytes += segment.end - SEGMENT_HEADER_BYTES;
  }

  /** The offset of the oldest message there is, `nextOffset` when there is none. */
  get firstOffset(): number {
    return this.#index.firstOffset;
  }

  /** The offset that the next message will have. */
  get nextOffset(): number {
    return this.#index.nextOffset;
  }

  get messageCount(): number {
    return this.#index.nextOffset - this.#index.firstOffset;
  }

  get segmentCount(): number {
    return this.#chain.count;
  }

  /** Returns the message's offset. Throws a FileFault (ENOSPC) with nothing changed. Hot. */
  append(message: Message): number {
    const recordBytes = RECORD_HEADER_BYTES + message.routeBytes + message.headerBytes + message.bodyBytes;
    const padded = (recordBytes + 7) & ~7;
    const tail = this.#tail;
    if (tail.end + padded > tail.limit) this.#makeRoom(padded, message.timestampMs);
    if (!this.#touched) this.#touch();
    tail.put(message, recordBytes, padded);
    const last = this.#index.last!;
    if (message.timestampMs > last.lastTimestampMs) last.lastTimestampMs = message.timestampMs;
    this.bytes += padded;
    return this.#index.nextOffset++;
  }

  /** A cursor at the first message. */
  cursor(): StreamCursor {
    const cursor = new StreamCursor(this.#parts);
    this.#cursors.add(cursor);
    return cursor;
  }

  /** A named consumer has done with everything before `offset`. */
  track(name: string, offset: number): void {
    this.offsets.set(name, offset);
    if (!this.#touched) this.#touch();
  }

  /** Removes the segments that are beyond a limit. */
  retain(nowMs: number): void {
    if (!this.#closed) this.#retain(nowMs, this.#chain.last);
  }

  /** End of turn: the tail buffer to the segment's file, offsets to their log. */
  flush(): void {
    this.#touched = false;
    if (this.#closed) return;
    const tail = this.#tail;
    tail.write();
    this.offsets.flush();
    // Everybody has read it all: start over in the same, warm memory.
    if (tail.end > 0 && this.#allAtEnd()) tail.restart();
  }

  cool(): void {
    if (this.#closed) return;
    this.flush();
    this.#tail.cool();
    for (const cursor of this.#cursors) cursor.cool();
    this.offsets.cool();
    if (this.#directory.persistent) this.#closeFiles(false);
  }

  close(): void {
    if (this.#closed) return;
    this.cool();
    this.#closed = true;
    this.#closeFiles(false);
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.offsets.cool(true);
    this.#closeFiles(true);
    this.#directory.destroy();
  }

  #touch(): void {
    assert(!this.#closed, "a stream store was used that is closed");
    this.#touched = true;
    this.#host.commit.touch(this);
  }

  #makeRoom(padded: number, timestampMs: number): void {
    assert(!this.#closed, "a message was appended to a stream store that is closed");
    const [tail, index] = [this.#tail, this.#index];
    const before = tail.segment;
    const left = this.#keeper.makeRoom(padded);
    tail.makeRoom(padded);
    const segment = tail.segment!;
    if (segment === before) return;
    index.add({
      segment,
      firstOffset: index.nextOffset,
      firstTimestampMs: timestampMs,
      lastTimestampMs: timestampMs,
    });
    if (left === null) return;
    this.#retire(left);
    // The one that was left stays for now: until the new one is on disk it alone tells where the offsets stand.
    this.#retain(this.#host.now(), left);
  }

  /** `upTo` and what follows it stay. */
  #retain(nowMs: number, upTo: Segment | null): void {
    const { maxAgeMs, maxBytes, maxLength } = this.retention;
    for (let first = this.#index.entries[0]; first !== undefined; first = this.#index.entries[0]) {
      if (first.segment === upTo) return;
      const isOld = nowMs - first.lastTimestampMs > maxAgeMs;
      if (!isOld && this.bytes <= maxBytes && this.messageCount <= maxLength) return;
      this.#remove(first.segment);
    }
  }

  #remove(segment: Segment): void {
    this.#index.removeFirst();
    this.bytes -= segment.end - SEGMENT_HEADER_BYTES;
    for (const cursor of this.#cursors) cursor.forget(segment);
    this.#keeper.release(segment);
  }

  #allAtEnd(): boolean {
    for (const cursor of this.#cursors) if (!cursor.atEnd) return false;
    return true;
  }

  /** Closes the segment's file unless somebody still works in it; a sync that it needs comes first. */
  #retire(segment: Segment): void {
    const { file } = segment;
    if (file === null || !this.#directory.persistent || segment === this.#tail.segment) return;
    for (const cursor of this.#cursors) if (cursor.uses(segment)) return;
    segment.file = null;
    this.#host.commit.release(file.fd, false, () => file.close());
  }

  #closeFiles(forget: boolean): void {
    for (let segment = this.#chain.first; segment !== null; segment = segment.next) {
      const { file } = segment;
      segment.file = null;
      if (file !== null && file.fd < 0) file.close();
      else if (file !== null) this.#host.commit.release(file.fd, forget, () => file.close());
    }
  }
}
