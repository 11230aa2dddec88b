// What a stream finds on disk when it is opened. Of a full segment whose successor tells where its records end only the
// beginning is read, so that opening costs by segment; the last one of each process, and those beside damage, are read
// whole. Damage in the others is found by who reads them. Nothing is ever written into a segment that was found.

import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import type { ReadWindow } from "./read_window.ts";
import { paddedBytes, RECORD_HEADER_BYTES, recordBytesAt, timestampAt } from "./record.ts";
import { type Segment, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment.ts";
import type { SegmentChain } from "./segment_chain.ts";
import { type OpenedSegment, SegmentOpener } from "./segment_opener.ts";
import type { StoreEventKind } from "./store_event.ts";
import type { StreamIndex } from "./stream_index.ts";

interface Content {
  readonly count: number;
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
}

export class StreamRecovery {
  readonly #directory: QueueDirectory;
  readonly #host: QueueStoreHost;
  /** Every byte is looked at, also where the beginning would do. */
  readonly #thorough: boolean;
  readonly #window: ReadWindow;
  readonly #opener: SegmentOpener;

  constructor(queueId: number, directory: QueueDirectory, host: QueueStoreHost, thorough = false) {
    this.#directory = directory;
    this.#host = host;
    this.#thorough = thorough;
    this.#window = host.recoveryWindow;
    this.#opener = new SegmentOpener(queueId, directory, host, this.#window);
  }

  /** Adds what is there to both; every file is closed again. */
  run(chain: SegmentChain, index: StreamIndex): void {
    const { segments, logs, foreign, highest } = this.#directory.list();
    // Streams have no acknowledgement logs: not ours either, and harmless.
    for (const path of [...foreign, ...logs.map((number) => this.#directory.logPath(number))]) {
      this.#report("foreign-file", path, "not one of ours, left alone");
    }
    let current: OpenedSegment | null = null;
    try {
      for (const number of segments) {
        const opened = this.#opener.open(number, false, number === segments.at(-1));
        if (opened === null) continue;
        if (current !== null) this.#add(current, opened.header, chain, index);
        current = opened;
      }
      if (current !== null) this.#add(current, null, chain, index);
    } catch (error) {
      current?.segment.file?.close();
      throw error;
    }
    chain.lastNumber = highest;
  }

  /** `next` is the intact header of the segment that follows, if one does. */
  #add(opened: OpenedSegment, next: SegmentHeader | null, chain: SegmentChain, index: StreamIndex): void {
    const { segment, header } = opened;
    const follows = next !== null && next.previousNumber === segment.number && next.previousEnd <= segment.capacity;
    const isKnown = header !== null && follows && next.firstOffset >= header.firstOffset && isFull(segment, next);
    const content = isKnown && !this.#thorough
      ? this.#glance(segment, header, next)
      : this.#scan(segment, header, follows ? next : null);
    this.#window.forget(segment);
    segment.file?.close();
    segment.file = null;
    // Without a header of its own, the neighbours tell.
    const told = header?.firstOffset ?? (next === null ? index.nextOffset : next.firstOffset - content.count);
    const firstOffset = Math.max(told, index.entries.length > 0 ? index.last!.firstOffset : 0);
    const { firstTimestampMs, lastTimestampMs } = content;
    const before = index.last;
    if (before !== null && header !== null && header.previousNumber !== before.segment.number) {
      const missing = firstOffset - index.nextOffset;
      const detail = `what stood before it is not there, ${missing} messages`;
      if (missing > 0) this.#report("missing-segment", segment.path, detail);
    }
    chain.add(segment);
    index.add({ segment, firstOffset, firstTimestampMs, lastTimestampMs });
    index.nextOffset = firstOffset + content.count;
  }

  #report(kind: StoreEventKind, path: string, detail: string): void {
    this.#host.report({ kind, path, offset: 0, bytes: 0, detail });
  }

  /** Reads only the first record's head. The last message is hardly older than the segment that it had no room for. */
  #glance(segment: Segment, header: SegmentHeader, next: SegmentHeader): Content {
    segment.end = next.previousEnd;
    const at = this.#window.hold(segment, SEGMENT_HEADER_BYTES, RECORD_HEADER_BYTES, segment.end);
    const { words } = this.#window.buffer;
    const seed = (segment.nonce + SEGMENT_HEADER_BYTES / 8) | 0;
    const intact = at >= 0 && recordBytesAt(words, at, segment.end - SEGMENT_HEADER_BYTES, seed) > 0;
    return {
      count: next.firstOffset - header.firstOffset,
      firstTimestampMs: intact ? timestampAt(words, at) : header.createdMs,
      lastTimestampMs: next.createdMs,
    };
  }

  /** Reads every record; a damaged stretch counts as one message. */
  #scan(segment: Segment, header: SegmentHeader | null, next: SegmentHeader | null): Content {
    const window = this.#window;
    const opener = this.#opener;
    let offset = SEGMENT_HEADER_BYTES;
    let count = 0;
    let firstTimestampMs = 0;
    let lastTimestampMs = 0;
    for (;;) {
      const at = window.record(segment, offset, segment.capacity);
      if (at < 0) {
        const found = window.findRecord(segment, offset + 8, segment.capacity);
        if (found < 0) break;
        opener.stepOver(segment, offset, found);
        offset = found;
      } else {
        const { words } = window.buffer;
        const timestampMs = timestampAt(words, at);
        if (lastTimestampMs === 0) firstTimestampMs = timestampMs;
        lastTimestampMs = Math.max(lastTimestampMs, timestampMs);
        offset += paddedBytes(words[at / 4 + 1]!);
      }
      count++;
    }
    segment.end = offset;
    if (next === null) opener.lookBehind(segment, header);
    else if (next.previousEnd > offset) opener.stepOver(segment, offset, next.previousEnd);
    if (lastTimestampMs === 0) firstTimestampMs = lastTimestampMs = header?.createdMs ?? 0;
    return { count, firstTimestampMs, lastTimestampMs };
  }
}

/** Not left behind by a process that ended: its successor was made when there was no room in it. */
function isFull({ capacity }: Segment, next: SegmentHeader): boolean {
  return capacity - next.previousEnd <= capacity / 8;
}
