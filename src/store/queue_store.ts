// The messages of one queue, on disk or in memory, in order: how tail, reader, requeued positions and settlements play
// together, and the counts. There is no index of messages: memory is the same for ten of them and ten million.
//
//   first segment ............ head segment ............ tail segment
//   settled, unacked, requeued | head -> ready .......... ready | next record

import { assert } from "../lib/assert.ts";
import type { Message } from "./message.ts";
import type { MessageStore } from "./message_store.ts";
import { QueueDirectory } from "./queue_directory.ts";
import { QueueRecovery } from "./queue_recovery.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import { Reader } from "./reader.ts";
import { pointAt, RECORD_HEADER_BYTES } from "./record.ts";
import { Requeued } from "./requeued.ts";
import { type Segment, SEGMENT_HEADER_BYTES } from "./segment.ts";
import { SegmentChain } from "./segment_chain.ts";
import { SegmentKeeper, type SegmentSizes } from "./segment_keeper.ts";
import { offsetOf, POSITIONS_PER_SEGMENT } from "./segment_position.ts";
import { Settlements } from "./settlements.ts";
import { StoreFault } from "./store_event.ts";
import { Tail } from "./tail.ts";

export type { CommitSink, QueueStoreHost, SegmentPool } from "./queue_store_host.ts";

const SEGMENT_BYTES_MIN = 64 * 1024;
const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;
/** More messages than this are written at once, whoever may settle them soon. */
const HELD_MAX = 64;

const USUAL_SIZES = sizesOf(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);

export interface QueueStoreOptions {
  readonly queueId: number;
  /** "" in memory. */
  readonly directory: string;
  /** The first segment of a queue that was idle, bytes; they double from there. 64 KiB. */
  readonly segmentBytesMin?: number;
  /** Full size, bytes; a larger message gets a segment of its own size. 8 MiB. */
  readonly segmentBytesMax?: number;
}

// What queues at rest have instead of their own: of the same classes, so that the paths of messages need not ask.
const NOBODY = {} as never;
const NO_TAIL = new Tail(NOBODY);
const NO_CHAIN = new SegmentChain();
const NO_READER = new Reader(NO_TAIL, NOBODY, NOBODY, () => {});
const NO_REQUEUED = new Requeued();
const NO_SETTLEMENTS = new Settlements(0, NO_CHAIN, NOBODY, NOBODY);
const NO_KEEPER = new SegmentKeeper(0, USUAL_SIZES, NO_CHAIN, NO_TAIL, NOBODY, NOBODY);

export class QueueStore implements MessageStore {
  // Counts: read by everybody, written only here. Bytes are those of bodies.
  readyCount = 0;
  readyBytes = 0;
  unackedCount = 0;
  unackedBytes = 0;
  readonly recoveredExpiring: boolean;
  // What a queue needs while it is in use; those of nobody while it is empty and at rest.
  #tail: Tail = NO_TAIL;
  #reader: Reader = NO_READER;
  #requeued: Requeued = NO_REQUEUED;
  #settlements: Settlements = NO_SETTLEMENTS;
  #chain: SegmentChain = NO_CHAIN;
  #keeper: SegmentKeeper = NO_KEEPER;
  /** The highest number that a segment ever had, while it is at rest. */
  #lastNumber: number;
  /** Body bytes of the requeued ones. */
  #requeuedBytes = 0;
  readonly #queueId: number;
  readonly #sizes: SegmentSizes;
  readonly #host: QueueStoreHost;
  readonly #directory: QueueDirectory;
  /** What recovery found; until somebody takes it. */
  #returns: ReadonlyMap<number, number> | null;
  /** The end of this turn will flush. */
  #touched = false;
  #closed = false;

  /** Reads what is on disk: nothing there is an empty queue, and stays nothing until the first message. */
  static open(options: QueueStoreOptions, host: QueueStoreHost): QueueStore {
    return new QueueStore(options, host);
  }

  private constructor(options: QueueStoreOptions, host: QueueStoreHost) {
    const { queueId, segmentBytesMin = SEGMENT_BYTES_MIN, segmentBytesMax = SEGMENT_BYTES_MAX } = options;
    const isUsual = segmentBytesMin === SEGMENT_BYTES_MIN && segmentBytesMax === SEGMENT_BYTES_MAX;
    this.#sizes = isUsual ? USUAL_SIZES : sizesOf(segmentBytesMin, segmentBytesMax);
    this.#queueId = queueId;
    this.#host = host;
    this.#directory = new QueueDirectory(options.directory, queueId, host);
    const chain = new SegmentChain();
    const recovered = new QueueRecovery(queueId, this.#directory, host).run(chain);
    this.#lastNumber = chain.lastNumber;
    this.readyCount = recovered.readyCount;
    this.readyBytes = recovered.readyBytes;
    this.#returns = recovered.returns;
    this.recoveredExpiring = recovered.expiring;
    if (chain.first !== null) this.#rise(chain);
  }

  get segmentCount(): number {
    return this.#chain.count;
  }

  /** Positions of its messages are at or above this one ... */
  get positionsFrom(): number {
    return this.#chain.first?.base ?? this.positionsTo;
  }

  /** ... and below this one. */
  get positionsTo(): number {
    return (this.#highestNumber + 1) * POSITIONS_PER_SEGMENT;
  }

  /** Hot. */
  append(message: Message): number {
    const { bodyBytes } = message;
    const recordBytes = RECORD_HEADER_BYTES + message.routeBytes + message.headerBytes + bodyBytes;
    const padded = (recordBytes + 7) & ~7;
    let tail = this.#tail;
    if (tail.end + padded > tail.limit) tail = this.#makeRoom(padded);
    if (!this.#touched) this.#touch();
    const offset = tail.put(message, recordBytes, padded);
    const segment = tail.segment!;
    segment.recordCount++;
    segment.bodyBytes += bodyBytes;
    this.readyCount++;
    this.readyBytes += bodyBytes;
    return segment.base + (offset >>> 3);
  }

  /** The oldest ready message, requeued ones first. Hot. */
  next(message: Message): boolean {
    const tail = this.#tail;
    const reader = this.#reader;
    const { segment, offset } = reader;
    const at = offset - tail.base;
    if (segment !== tail.segment || at < 0 || this.#requeued.count !== 0) return this.#find(message, true);
    if (at >= tail.end || segment === null) return false;
    if (!this.#touched) this.#touch();
    reader.offset = offset + pointAt(tail.buffer, at, message);
    message.position = segment.base + (offset >>> 3);
    message.redelivered = false;
    const { bodyBytes } = message;
    this.readyCount--;
    this.readyBytes -= bodyBytes;
    this.unackedCount++;
    this.unackedBytes += bodyBytes;
    return true;
  }

  peek(message: Message): boolean {
    return this.#find(message, false);
  }

  read(position: number, message: Message): void {
    const segment = this.#segmentAt(position);
    const offset = offsetOf(position);
    if (!this.#reader.locate(segment, offset)) {
      throw new StoreFault(segment.path, `an intact record was expected at ${offset}, none was found`);
    }
    pointAt(this.#reader.buffer, this.#reader.at, message);
    message.position = position;
    message.redelivered = offset < segment.redeliveredBefore;
  }

  /** Hot. */
  settle(position: number, recordBytes: number, bodyBytes: number): void {
    assert(this.unackedCount > 0, "a message was settled that is not unacked");
    if (!this.#touched) this.#touch();
    this.#settlements.settle(position, position + ((recordBytes + 7) >>> 3));
    this.unackedCount--;
    this.unackedBytes -= bodyBytes;
  }

  requeue(position: number, bodyBytes: number): void {
    assert(this.unackedCount > 0, "a message was requeued that is not unacked");
    if (!this.#touched) this.#touch();
    this.#requeued.push(position);
    this.#requeuedBytes += bodyBytes;
    this.unackedCount--;
    this.unackedBytes -= bodyBytes;
    this.readyCount++;
    this.readyBytes += bodyBytes;
  }

  noteReturns(position: number, count: number): void {
    if (!this.#touched) this.#touch();
    this.#settlements.noteReturns(position, count);
  }

  takeReturns(): ReadonlyMap<number, number> | null {
    const returns = this.#returns;
    this.#returns = null;
    return returns;
  }

  purge(): number {
    const count = this.readyCount;
    if (count === 0) return 0;
    if (!this.#touched) this.#touch();
    const reader = this.#reader;
    const inHead = this.#readyInHead();
    while (this.#requeued.count > 0) this.#settlePosition(this.#requeued.pop());
    this.#requeuedBytes = 0;
    for (let segment = reader.segment; segment !== null; segment = segment.next) {
      const isHead = segment === reader.segment;
      const ready = isHead ? inHead : segment.recordCount - segment.settledCount;
      const from = isHead ? reader.offset : SEGMENT_HEADER_BYTES;
      const to = segment === this.#tail.segment ? this.#tail.offset : segment.end;
      if (ready > 0) this.#settlements.settleRange(segment, from, to, ready);
    }
    reader.skipAll();
    this.readyCount = 0;
    this.readyBytes = 0;
    return count;
  }

  /** See `Holdable`. */
  get mayHold(): boolean {
    const tail = this.#tail;
    const { freshCount } = tail;
    if (freshCount === 0 || freshCount > HELD_MAX || this.readyCount > 0 || this.unackedCount > freshCount) {
      return false;
    }
    return this.#directory.persistent && this.#settlements.isBehind(tail.segment, tail.base + tail.written);
  }

  /** See `Holdable`. */
  get endPosition(): number {
    const { segment, offset } = this.#tail;
    return segment === null ? 0 : segment.base + offset / 8;
  }

  /** See `Holdable`. False as well when it has been written since. */
  isSettledTo(position: number): boolean {
    const { segment, base, written } = this.#tail;
    if (segment === null || position < segment.base || position >= segment.base + POSITIONS_PER_SEGMENT) return false;
    const [from, to] = [(base + written) / 8, position - segment.base];
    return from < to && this.#settlements.covers(segment, from, to);
  }

  /** Nobody holds a message, and what is settled was never in a file. */
  get mayWait(): boolean {
    if (this.unackedCount > 0) return false;
    const tail = this.#tail;
    return this.#settlements.isBehind(tail.segment, tail.base + tail.written);
  }

  /** End of turn: the tail buffer to the segment's file, acknowledgements to the logs, settled segments away. */
  flush(): void {
    this.#touched = false;
    if (this.#closed || this.#rests) return;
    const tail = this.#tail;
    const reader = this.#reader;
    if (this.readyCount === 0 && this.unackedCount === 0 && tail.freshCount > 0) this.#takeBack();
    tail.write();
    this.#noteDelivered();
    this.#settlements.flush(tail.segment, this);
    // Consumers have read it all: start over in the same, warm memory.
    if (tail.end > 0 && reader.segment === tail.segment && reader.offset === tail.offset) tail.restart();
  }

  /**
   * Messages may be with consumers before they are in the file: what became of them stands in the log first, or a kill in
   * between would have them come again as if for the first time.
   */
  #noteAhead(): void {
    const { segment, base, written } = this.#tail;
    const reader = this.#reader;
    if (segment === null || reader.segment !== segment || reader.offset <= base + written) return;
    this.#noteDelivered();
    this.#settlements.writeAhead(segment);
  }

  #noteDelivered(): void {
    const { segment, offset } = this.#reader;
    if (segment === null || !this.#directory.persistent) return;
    if (this.unackedCount > 0 || this.#requeued.count > 0) this.#settlements.noteDelivered(segment, offset);
  }

  /** What came and went within a turn need not be on disk: it leaves no trace, and its place is free again. */
  #takeBack(): void {
    const tail = this.#tail;
    const reader = this.#reader;
    const { segment, freshCount, freshBodyBytes } = tail;
    if (segment === null || reader.segment !== segment || reader.offset !== tail.offset) return;
    const from = tail.base + tail.written;
    if (!this.#settlements.takeBack(segment, from, freshCount)) return;
    segment.recordCount -= freshCount;
    segment.bodyBytes -= freshBodyBytes;
    tail.takeBack();
    reader.offset = from;
    if (tail.end === 0) tail.restart();
  }

  cool(): void {
    if (this.#closed || this.#rests) return;
    this.flush();
    this.#tail.cool();
    this.#keeper.cool();
    const isEmpty = this.readyCount === 0 && this.unackedCount === 0;
    if (isEmpty) {
      this.#tail.forget();
      while (this.#chain.first !== null) this.release(this.#chain.first);
    }
    this.#reader.cool();
    this.#settlements.cool(false);
    if (isEmpty) this.#rest();
    else if (this.#directory.persistent) this.#closeFiles(false);
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
    if (!this.#rests) {
      this.#settlements.cool(true);
      this.#closeFiles(true);
    }
    this.#directory.destroy();
  }

  #touch(): void {
    assert(!this.#closed, "a queue store was used that is closed");
    this.#touched = true;
    this.#host.commit.touch(this);
  }

  #makeRoom(padded: number): Tail {
    assert(!this.#closed, "a message was appended to a queue store that is closed");
    if (this.#rests) this.#rise(new SegmentChain(this.#lastNumber));
    const left = this.#keeper.makeRoom(padded);
    this.#tail.makeRoom(padded);
    // Without a head everything before is delivered: the head begins where this message lies.
    this.#reader.segment ??= this.#tail.segment;
    if (left !== null) {
      this.#settlements.look(left);
      this.#reader.retire(left);
    }
    return this.#tail;
  }

  get #rests(): boolean {
    return this.#tail === NO_TAIL;
  }

  get #highestNumber(): number {
    return this.#rests ? this.#lastNumber : this.#chain.lastNumber;
  }

  /** It is used, or something was found: it gets all it needs. */
  #rise(chain: SegmentChain): void {
    const [queueId, directory, host] = [this.#queueId, this.#directory, this.#host];
    this.#chain = chain;
    this.#tail = new Tail(host.commit, () => this.#noteAhead());
    this.#reader = new Reader(this.#tail, directory, host, () => this.#countLost());
    this.#reader.segment = chain.first;
    this.#requeued = new Requeued();
    this.#settlements = new Settlements(queueId, chain, directory, host);
    this.#keeper = new SegmentKeeper(queueId, this.#sizes, chain, this.#tail, directory, host);
  }

  /** It is empty and nobody uses it: of tens of thousands each takes as little as can be. */
  #rest(): void {
    this.#lastNumber = this.#chain.lastNumber;
    this.#tail = NO_TAIL;
    this.#reader = NO_READER;
    this.#requeued = NO_REQUEUED;
    this.#settlements = NO_SETTLEMENTS;
    this.#chain = NO_CHAIN;
    this.#keeper = NO_KEEPER;
  }

  /** A segment is settled and goes. */
  release(segment: Segment): void {
    this.#reader.forget(segment);
    this.#keeper.release(segment);
    this.#settlements.forget(segment);
  }

  #find(message: Message, take: boolean): boolean {
    const reader = this.#reader;
    while (this.#requeued.count > 0) {
      const position = this.#requeued.first;
      const segment = this.#segmentAt(position);
      if (reader.locate(segment, offsetOf(position))) {
        pointAt(reader.buffer, reader.at, message);
        message.position = position;
        message.redelivered = true;
        if (!take) return true;
        this.#requeued.pop();
        this.#requeuedBytes -= message.bodyBytes;
        this.#taken(message);
        return true;
      }
      this.#dropRequeued(segment);
    }
    if (!reader.advance()) return false;
    const { segment, offset } = reader;
    const padded = pointAt(reader.buffer, reader.at, message);
    message.position = segment!.base + offset / 8;
    message.redelivered = offset < segment!.redeliveredBefore;
    if (take) reader.offset = offset + padded;
    if (take) this.#taken(message);
    return true;
  }

  #taken(message: Message): void {
    if (!this.#touched) this.#touch();
    this.readyCount--;
    this.readyBytes -= message.bodyBytes;
    this.unackedCount++;
    this.unackedBytes += message.bodyBytes;
  }

  #segmentAt(position: number): Segment {
    const segment = this.#chain.find(position);
    assert(segment !== null, "a message was asked for whose segment is gone");
    return segment;
  }

  #settlePosition(position: number): void {
    const segment = this.#segmentAt(position);
    const offset = offsetOf(position);
    this.#settlements.settleRange(segment, offset, offset + 8, 1);
  }

  /** Ready messages in the head's segment, requeued ones not counted: what is not anywhere else. */
  #readyInHead(): number {
    let elsewhere = this.#requeued.count;
    for (let segment = this.#reader.segment?.next ?? null; segment !== null; segment = segment.next) {
      elsewhere += segment.recordCount - segment.settledCount;
    }
    return this.readyCount - elsewhere;
  }

  /** The head had to step over damaged bytes: what was in them is known by what is left. */
  #countLost(): void {
    const segment = this.#reader.segment!;
    const left = this.#reader.countInHead();
    const lost = this.#readyInHead() - left.count;
    let bodyBytes = this.#requeuedBytes + left.bodyBytes;
    for (let other = segment.next; other !== null; other = other.next) bodyBytes += other.bodyBytes;
    segment.recordCount -= lost;
    this.readyCount -= lost;
    this.readyBytes = bodyBytes;
    if (!this.#touched) this.#touch();
    this.#settlements.look(segment);
  }

  /** The oldest requeued message is damaged: it is settled. How long its body was is known when no other is left. */
  #dropRequeued(segment: Segment): void {
    const position = this.#requeued.pop();
    const offset = offsetOf(position);
    this.#reader.reportDamage(segment, offset, offset + RECORD_HEADER_BYTES);
    if (!this.#touched) this.#touch();
    this.#settlePosition(position);
    this.readyCount--;
    if (this.#requeued.count > 0) return;
    this.readyBytes -= this.#requeuedBytes;
    this.#requeuedBytes = 0;
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

function sizesOf(bytesMin: number, bytesMax: number): SegmentSizes {
  return { bytesMin: Math.min(bytesMin, bytesMax), bytesMax };
}
