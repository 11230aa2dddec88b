// What a queue finds on disk when it is opened: checks every segment and every record, applies the acknowledgement
// logs, cuts torn tails, steps over damaged records, and tells the operator. Messages that are not persistent end with
// the process that took them in: they count as settled. Reads each file once, front to back.
// Nothing is ever written into a segment that was found.

import { ACK_ENTRY_BYTES, type AckLogReading, readAckLog, rewriteAckLog } from "./ack_log.ts";
import { MESSAGE_EXPIRES, MESSAGE_PERSISTENT } from "./message.ts";
import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import { RangeList } from "./range_list.ts";
import type { ReadWindow } from "./read_window.ts";
import { bodyBytesAt, flagsAt, paddedBytes } from "./record.ts";
import { type Segment, SEGMENT_HEADER_BYTES, type SegmentHeader } from "./segment.ts";
import type { SegmentChain } from "./segment_chain.ts";
import { type OpenedSegment, SegmentOpener } from "./segment_opener.ts";

/** What stands on disk of a queue, for who wants to know. */
export interface QueueContent {
  readonly segments: number;
  readonly segmentBytes: number;
  readonly records: number;
  readonly logEntries: number;
}

export interface Recovered {
  readonly content: QueueContent;
  readonly readyCount: number;
  readonly readyBytes: number;
  /** How often a message was given back, by position; null when none was. */
  readonly returns: ReadonlyMap<number, number> | null;
  /** Among the ready ones are some with an expiration. */
  readonly expiring: boolean;
}

export class QueueRecovery {
  readonly #queueId: number;
  readonly #directory: QueueDirectory;
  readonly #host: QueueStoreHost;
  readonly #window: ReadWindow;
  readonly #opener: SegmentOpener;
  #returns: Map<number, number> | null = null;
  #expiring = false;
  #logEntries = 0;

  constructor(queueId: number, directory: QueueDirectory, host: QueueStoreHost) {
    this.#queueId = queueId;
    this.#directory = directory;
    this.#host = host;
    this.#window = host.recoveryWindow;
    this.#opener = new SegmentOpener(queueId, directory, host, this.#window);
  }

  /** Adds what is there to `chain`; every file is closed again. */
  run(chain: SegmentChain): Recovered {
    const { segments, logs, foreign, highest } = this.#directory.list();
    for (const path of foreign) this.#report("foreign-file", path, 0, 0, "not one of ours, left alone");
    const found: OpenedSegment[] = [];
    try {
      this.#scanAll(segments, logs, found);
    } catch (error) {
      for (const { segment } of found) segment.file?.close();
      throw error;
    }
    let readyCount = 0;
    let readyBytes = 0;
    for (const { segment } of found) {
      if (segment.settled) {
        this.#directory.remove(segment.path);
      } else {
        chain.add(segment);
        readyCount += segment.recordCount - segment.settledCount;
        readyBytes += segment.bodyBytes;
      }
    }
    this.#removeOrphans(logs, chain);
    // A number is not used again while any file of it may be about.
    chain.lastNumber = highest;
    const content = {
      segments: found.length,
      segmentBytes: found.reduce((sum, { segment }) => sum + segment.capacity, 0),
      records: found.reduce((sum, { segment }) => sum + segment.recordCount, 0),
      logEntries: this.#logEntries,
    };
    return { content, readyCount, readyBytes, returns: this.#returns, expiring: this.#expiring };
  }

  #scanAll(segments: readonly number[], logs: readonly number[], found: OpenedSegment[]): void {
    for (const number of segments) {
      const one = this.#opener.open(number, logs.includes(number), number === segments.at(-1));
      if (one === null) continue;
      // The last one's file stays open until it is known what the next one says about its end.
      const last = found.at(-1);
      found.push(one);
      if (last !== undefined) this.#finish(last, one.header);
      this.#scan(one, logs.includes(number));
    }
    const last = found.at(-1);
    if (last !== undefined) this.#finish(last, null);
  }

  #scan(found: OpenedSegment, logged: boolean): void {
    const { segment } = found;
    const { settled, returns } = this.#applyLog(segment, logged);
    const begunMs = found.header?.createdMs ?? 0;
    if (begunMs < (this.#host.unsureBeforeMs ?? 0)) segment.redeliveredBefore = segment.capacity;
    const holes = new RangeList();
    const window = this.#window;
    let offset = SEGMENT_HEADER_BYTES;
    let range = 0;
    for (;;) {
      const at = window.record(segment, offset, segment.capacity);
      if (at < 0) {
        const next = window.findRecord(segment, offset + 8, segment.capacity);
        if (next < 0) break;
        this.#opener.stepOver(segment, offset, next);
        holes.add(offset / 8, next / 8);
        offset = next;
        continue;
      }
      const words = window.buffer.words;
      const padded = paddedBytes(words[at / 4 + 1]!);
      const unit = offset / 8;
      while (range < settled.count && settled.to[range]! <= unit) range++;
      segment.recordCount++;
      const isSettled = range < settled.count && settled.from[range]! <= unit;
      if (isSettled || (flagsAt(words, at) & MESSAGE_PERSISTENT) === 0) {
        segment.settledCount++;
        holes.add(unit, unit + padded / 8);
      } else {
        segment.bodyBytes += bodyBytesAt(words, at);
        if ((flagsAt(words, at) & MESSAGE_EXPIRES) !== 0) this.#expiring = true;
        const count = returns?.get(unit);
        if (count !== undefined) (this.#returns ??= new Map()).set(segment.base + unit, count);
      }
      offset += padded;
    }
    segment.end = offset;
    segment.holes = holes.count > 0 ? holes : null;
  }

  #applyLog(segment: Segment, logged: boolean): Pick<AckLogReading, "settled" | "returns"> {
    if (!logged) return { settled: new RangeList(), returns: null };
    const path = this.#directory.logPath(segment.number);
    const reading = readAckLog(this.#host.files.disk, path, this.#queueId, segment);
    if (reading === null) {
      this.#directory.remove(path);
      this.#report("orphan-log", path, 0, 0, "it belongs to another life of the segment");
      return { settled: new RangeList(), returns: null };
    }
    this.#logEntries += reading.intactEntries;
    segment.acks = reading.log;
    if (reading.damagedEntries > 0) {
      const bytes = reading.damagedEntries * ACK_ENTRY_BYTES;
      const detail = `${reading.damagedEntries} entries are not intact: what they settled is delivered again`;
      this.#report("damaged-acks", path, 0, bytes, detail);
    }
    // Entries end in zeros: a part of one may be whole when the file has grown and the power goes once more.
    if ((reading.damagedEntries > 0 || reading.torn) && this.#directory.repairs) {
      segment.acks = rewriteAckLog(this.#host.files.disk, reading, this.#queueId, segment) ?? reading.log;
    }
    segment.redeliveredBefore = reading.deliveredTo;
    segment.deliveredTo = reading.deliveredTo;
    return reading;
  }

  /** Looks behind the last intact record; `next` is the header of the segment that followed, if one did. */
  #finish(found: OpenedSegment, next: SegmentHeader | null): void {
    const { segment, header } = found;
    if (next === null || next.previousNumber !== segment.number) {
      this.#opener.lookBehind(segment, header);
    } else if (next.previousEnd > segment.end) {
      // The next segment knows that there were records.
      this.#opener.stepOver(segment, segment.end, Math.min(next.previousEnd, segment.capacity));
    }
    this.#window.forget(segment);
    segment.file?.close();
    segment.file = null;
  }

  #removeOrphans(logs: readonly number[], chain: SegmentChain): void {
    const live = new Set<number>();
    for (let segment = chain.first; segment !== null; segment = segment.next) live.add(segment.number);
    for (const number of logs) {
      if (live.has(number)) continue;
      this.#directory.remove(this.#directory.logPath(number));
    }
  }

  #report(
    kind: Parameters<QueueStoreHost["report"]>[0]["kind"],
    path: string,
    offset: number,
    bytes: number,
    detail: string,
  ): void {
    this.#host.report({ kind, path, offset, bytes, detail });
  }
}
