// What is settled in a turn: counted per segment, collected as ranges, written to the acknowledgement logs at the
// turn's end with one write per log. Settling in order only moves the end of one range.

import { assert } from "../lib/assert.ts";
import { isDiskFull } from "../lib/disk_full.ts";
import { AckLog, AckScratch } from "./ack_log.ts";
import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import type { Segment } from "./segment.ts";
import type { SegmentChain } from "./segment_chain.ts";

/** Ranges of one segment that may wait for the end of the turn. */
const PENDING_MAX = 8 * 1024;
/** Logs of one queue that stay open; consumers that settle out of order write to several in turn. */
const OPEN_LOGS_MAX = 4;

export class Settlements {
  readonly #queueId: number;
  readonly #chain: SegmentChain;
  readonly #directory: QueueDirectory;
  readonly #host: QueueStoreHost;
  /** The running range, positions. */
  #runSegment: Segment | null = null;
  #runFrom = -1;
  #runTo = -1;
  #runCount = 0;
  readonly #changed: Segment[] = [];
  readonly #open: AckLog[] = [];
  #scratch = new AckScratch();
  /** Where "delivered" has to be noted from. */
  #noteFrom: Segment | null = null;
  /** A log could not be written; the operator has been told. */
  #delayed = false;
  /** Something was written before the end of the turn. */
  #ahead = false;

  constructor(queueId: number, chain: SegmentChain, directory: QueueDirectory, host: QueueStoreHost) {
    this.#queueId = queueId;
    this.#chain = chain;
    this.#directory = directory;
    this.#host = host;
  }

  /** The record at `position`, which the one at `to` follows, is settled. Hot. */
  settle(position: number, to: number): void {
    if (position === this.#runTo) {
      this.#runTo = to;
      this.#runCount++;
    } else {
      this.#startRun(position, to);
    }
  }

  /** `count` records that begin in [from, to), offsets in the segment, are settled. */
  settleRange(segment: Segment, from: number, to: number, count: number): void {
    this.#closeRun();
    segment.settledCount += count;
    this.#collect(segment, from / 8, to / 8);
  }

  /** Whether nothing is to be logged but what lies behind `offset` of `segment`. */
  isBehind(segment: Segment | null, offset: number): boolean {
    if (this.#runSegment !== null && (this.#runSegment !== segment || this.#runFrom < segment.base + offset / 8)) {
      return false;
    }
    return this.#changed.every((changed) =>
      changed === segment && changed.returns === null && changed.pending.isFrom(offset / 8)
    );
  }

  /** Whether all from `from` to `to`, offsets in the segment divided by 8, is settled and in no log yet. */
  covers(segment: Segment, from: number, to: number): boolean {
    this.#closeRun();
    return segment.pending.covers(from, to);
  }

  /**
   * `count` records of `segment`, all behind `offset`, are settled and stand in no file: they never were. False when the
   * logs know of them already.
   */
  takeBack(segment: Segment, offset: number, count: number): boolean {
    if (this.#ahead || segment.returns !== null) return false;
    this.#closeRun();
    segment.settledCount -= count;
    segment.pending.cut(offset / 8);
    return true;
  }

  /** The record at `position` was given back so often: the log shall say so. */
  noteReturns(position: number, count: number): void {
    if (!this.#directory.persistent) return;
    const segment = this.#chain.find(position);
    assert(segment !== null, "a message of a segment that is gone was given back");
    (segment.returns ??= []).push(position - segment.base, count);
    this.look(segment);
  }

  /** Looks at the segment at the end of the turn: it may have become releasable. */
  look(segment: Segment): void {
    if (segment.changed) return;
    segment.changed = true;
    this.#changed.push(segment);
  }

  /** Counts everything settled so far in its segment. */
  count(): void {
    this.#closeRun();
  }

  /** Everything before `offset` of `head` may have been delivered and is not known to be settled. */
  noteDelivered(head: Segment, offset: number): void {
    let segment = this.#noteFrom ?? this.#chain.first;
    while (segment !== null) {
      const to = segment === head ? offset : segment.end;
      if (to > segment.deliveredTo && !segment.settled) {
        segment.deliveredWanted = to;
        this.look(segment);
      }
      if (segment === head) break;
      segment = segment.next;
    }
    this.#noteFrom = head;
  }

  /** What is known of this segment's messages stands in its log before they stand in the segment. */
  writeAhead(segment: Segment): void {
    this.#closeRun();
    if (this.#directory.persistent) this.#write(segment);
  }

  /** End of turn: releases what is wholly settled and not the tail, writes the logs of the rest. */
  flush(tail: Segment | null, owner: { release(segment: Segment): void }): void {
    this.#closeRun();
    const changed = this.#changed;
    let kept = 0;
    for (let i = 0; i < changed.length; i++) {
      const segment = changed[i]!;
      segment.changed = false;
      if (segment.settled && segment !== tail) owner.release(segment);
      else if (this.#directory.persistent && !this.#write(segment)) {
        segment.changed = true;
        changed[kept++] = segment;
      }
    }
    changed.length = kept;
    this.#ahead = false;
  }

  /** The segment goes: neither its log nor what waits for it is needed any more. */
  forget(segment: Segment): void {
    if (this.#noteFrom === segment) this.#noteFrom = segment.next;
    if (this.#runSegment === segment) this.#endRun();
    const log = segment.acks;
    if (log === null) return;
    this.#close(log, true);
    this.#directory.remove(log.path);
    segment.acks = null;
  }

  /** Closes what is open; everything is flushed. `forget`: the files are about to be removed. */
  cool(forget: boolean): void {
    this.#endRun();
    while (this.#open.length > 0) this.#close(this.#open[0]!, forget);
    this.#scratch = new AckScratch();
  }

  #startRun(position: number, to: number): void {
    this.#closeRun();
    const segment = this.#chain.find(position);
    assert(segment !== null, "a message of a segment that is gone was settled");
    this.#runSegment = segment;
    this.#runFrom = position;
    this.#runTo = to;
    this.#runCount = 1;
  }

  /** The run's records are counted and collected; what follows them begins a run of its own, which joins the range. */
  #closeRun(): void {
    const segment = this.#runSegment;
    if (segment === null) return;
    segment.settledCount += this.#runCount;
    this.#collect(segment, this.#runFrom - segment.base, this.#runTo - segment.base);
    this.#endRun();
  }

  #endRun(): void {
    this.#runSegment = null;
    this.#runFrom = -1;
    this.#runTo = -1;
    this.#runCount = 0;
  }

  #collect(segment: Segment, from: number, to: number): void {
    this.look(segment);
    if (!this.#directory.persistent) return;
    segment.pending.add(from, to);
    if (segment.pending.count < PENDING_MAX || this.#delayed) return;
    this.#ahead = true;
    this.#write(segment);
  }

  /** False when the disk is full: what is pending stays so. */
  #write(segment: Segment): boolean {
    const deliveredTo = segment.deliveredWanted > segment.deliveredTo ? segment.deliveredWanted : 0;
    if (segment.pending.count === 0 && deliveredTo === 0 && segment.returns === null) return true;
    const log = segment.acks ??= new AckLog(
      this.#host.files.disk,
      this.#directory.logPath(segment.number),
      this.#queueId,
      segment.number,
      segment.nonce,
    );
    const made = !log.exists;
    if (log.fd < 0 && !this.#open.includes(log)) {
      if (this.#open.length >= OPEN_LOGS_MAX) this.#close(this.#open[0]!, false);
      this.#open.push(log);
    }
    let problem = log.append(segment, deliveredTo, this.#scratch);
    if (problem !== null && isDiskFull({ code: problem }) && this.#host.space?.makeRoom()) {
      problem = log.append(segment, deliveredTo, this.#scratch);
    }
    if (made && log.exists) this.#directory.entriesChanged(true);
    if (problem !== null) return this.#delay(segment, log, problem);
    this.#delayed = false;
    segment.pending.clear();
    segment.returns = null;
    if (deliveredTo > 0) segment.deliveredTo = deliveredTo;
    this.#host.commit.dirtyLazily(log.fd);
    return true;
  }

  #delay(segment: Segment, log: AckLog, problem: string): boolean {
    segment.pending.normalise();
    if (!this.#delayed) {
      this.#delayed = true;
      const { path } = log;
      this.#host.report({ kind: "acks-delayed", path, offset: 0, bytes: 0, detail: `not written: ${problem}` });
    }
    return false;
  }

  #close(log: AckLog, forget: boolean): void {
    const index = this.#open.indexOf(log);
    if (index >= 0) this.#open.splice(index, 1);
    const fd = log.detach();
    if (fd >= 0) this.#host.commit.release(fd, forget, () => this.#host.files.disk.close(fd));
  }
}
