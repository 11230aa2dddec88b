// Where segments come from and where they go: their sizes, spare and recycled files, the tail's roll to the next one.

import { assert } from "../lib/assert.ts";
import { isDiskFull } from "../lib/disk_full.ts";
import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import { NO_RECORD } from "./record.ts";
import { encodeSegmentHeader, Segment, SEGMENT_ENDED, SEGMENT_FRESH, SEGMENT_HEADER_BYTES } from "./segment.ts";
import type { SegmentChain } from "./segment_chain.ts";
import { SEGMENT_BYTES_LIMIT } from "./segment_position.ts";
import type { Tail } from "./tail.ts";

/** A segment for one large message is a multiple of this, bytes. */
const PAGE_BYTES = 4096;

export interface SegmentSizes {
  readonly bytesMin: number;
  readonly bytesMax: number;
}

export class SegmentKeeper {
  readonly #queueId: number;
  readonly #sizes: SegmentSizes;
  readonly #chain: SegmentChain;
  readonly #tail: Tail;
  readonly #directory: QueueDirectory;
  readonly #host: QueueStoreHost;
  readonly #firstOffset: () => number;
  #nextBytes: number;

  /** `firstOffset`: of a stream, the offset that the next message will have. */
  constructor(
    queueId: number,
    sizes: SegmentSizes,
    chain: SegmentChain,
    tail: Tail,
    directory: QueueDirectory,
    host: QueueStoreHost,
    firstOffset: () => number = () => 0,
  ) {
    this.#queueId = queueId;
    this.#sizes = sizes;
    this.#chain = chain;
    this.#tail = tail;
    this.#directory = directory;
    this.#host = host;
    this.#firstOffset = firstOffset;
    this.#nextBytes = sizes.bytesMin;
  }

  /** Sees to it that the tail has a segment with room for `padded` bytes; returns the one that it left, if it did. */
  makeRoom(padded: number): Segment | null {
    const tail = this.#tail;
    const segment = tail.segment;
    if (segment === null || tail.offset + padded > segment.capacity) {
      this.#roll(padded);
      return segment;
    }
    segment.file ??= this.#host.files.open(segment.path);
    return null;
  }

  /** The segment is settled: its file goes to the pool or is removed. */
  release(segment: Segment): void {
    this.#chain.remove(segment);
    const { file } = segment;
    segment.file = null;
    if (!this.#directory.persistent) {
      file?.close();
      return;
    }
    const { pool, commit } = this.#host;
    if (file === null || pool === null || segment.capacity !== pool.segmentBytes) {
      this.#directory.remove(segment.path);
      if (file !== null) commit.release(file.fd, true, () => file.close());
      return;
    }
    let [given, lost] = [false, false];
    commit.release(file.fd, true, () => {
      given = true;
      // With the queue the files are gone that waited for a sync to let go of them.
      if (this.#directory.destroyed || lost) file.close();
      else pool.give(file);
    });
    if (given) return;
    // A running sync still refers to it. Until it does not, the file must not look like a segment to be recovered.
    try {
      file.rename(this.#directory.leavingPath(segment.number));
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      // No room for another name.
      this.#directory.remove(segment.path);
      lost = true;
    }
  }

  /** The queue was idle: it starts over small. */
  cool(): void {
    this.#nextBytes = this.#sizes.bytesMin;
  }

  #roll(padded: number): void {
    const { bytesMax } = this.#sizes;
    const needed = SEGMENT_HEADER_BYTES + padded;
    assert(needed <= SEGMENT_BYTES_LIMIT, `a record of at most ${SEGMENT_BYTES_LIMIT} bytes expected, ${padded} found`);
    let capacity = this.#nextBytes;
    while (capacity < needed && capacity < bytesMax) capacity = Math.min(capacity * 2, bytesMax);
    const own = capacity < needed;
    if (own) capacity = Math.ceil(needed / PAGE_BYTES) * PAGE_BYTES;
    const tail = this.#tail;
    // First: what cannot be written must not leave a segment behind that nobody knows.
    tail.restart();
    const segment = this.#create(capacity);
    if (tail.segment !== null) tail.segment.end = tail.offset;
    tail.begin(segment);
    this.#chain.add(segment);
    if (!own) this.#nextBytes = Math.min(capacity * 2, bytesMax);
  }

  /** Throws a FileFault (ENOSPC, ...), with everything as it was. */
  #create(capacity: number): Segment {
    const number = this.#chain.lastNumber + 1;
    const { file, fresh } = this.#directory.createSegment(number, capacity);
    const nonce = crypto.getRandomValues(new Int32Array(1))[0]!;
    const segment = new Segment(number, file.path, file.capacity, nonce);
    segment.file = file;
    segment.recycled = !fresh;
    const previous = this.#chain.last;
    const header = encodeSegmentHeader({
      queueId: this.#queueId,
      number,
      createdMs: this.#host.now(),
      capacity,
      nonce,
      previousNumber: previous === null ? 0 : previous.number,
      previousEnd: previous === null ? 0 : previous === this.#tail.segment ? this.#tail.offset : previous.end,
      flags: fresh ? SEGMENT_FRESH : SEGMENT_ENDED,
      firstOffset: this.#firstOffset(),
    });
    try {
      // Behind a recycled file's header first comes the end of its records.
      if (!fresh) file.write(SEGMENT_HEADER_BYTES, NO_RECORD, 0, NO_RECORD.length);
      file.write(0, header, 0, header.length);
    } catch (error) {
      this.#directory.remove(file.path);
      file.close();
      throw error;
    }
    if (file.fd >= 0) this.#host.commit.dirty(file.fd);
    return segment;
  }
}
