// The directory of one queue: names of its files, when it is made, what of it has to be synced, what is set aside.
// Knows nothing of records. In memory there is no directory, and nearly nothing to do. The doctor looks at one and
// changes nothing (`repairs` is false).

import { basename, dirname, join } from "node:path";
import { isDiskFull } from "../lib/disk_full.ts";
import type { Disk } from "../runtime/disk.ts";
import type { SegmentFile } from "../runtime/runtime.ts";
import { FoundFile } from "./found_file.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import type { Segment } from "./segment.ts";

/** Of damaged bytes, so many are kept. */
const QUARANTINE_BYTES_MAX = 1024 * 1024;
/** A segment's number, at most: every position in it is an exact number. */
const SEGMENT_NUMBER_MAX = 2 ** 26 - 1;
const OUR_FILES = /^(?:(msgs|acks|done)\.(\d{10})(\.new)?|offsets|offsets\.new)$/;

export interface QueueListing {
  /** Ascending. */
  readonly segments: number[];
  readonly logs: number[];
  /** Paths of what we did not put there. */
  readonly foreign: string[];
  /** The highest number that any name has: it is not used again. */
  highest: number;
}

export class QueueDirectory {
  /** Files outlive the process. */
  readonly persistent: boolean;
  /** What is wrong is put right; otherwise it is only looked at. */
  readonly repairs: boolean;
  /** The queue is gone, and with it whatever stood in here. */
  destroyed = false;
  readonly #path: string;
  readonly #disk: Disk;
  readonly #host: QueueStoreHost;
  #made: boolean;

  constructor(path: string, queueId: number, host: QueueStoreHost, repairs = true) {
    this.repairs = repairs;
    this.persistent = host.files.kind !== "memory";
    this.#path = path === "" ? `memory/${digits(queueId)}` : path;
    this.#host = host;
    this.#disk = host.files.disk;
    this.#made = !this.persistent;
  }

  segmentPath(number: number): string {
    return join(this.#path, `msgs.${digits(number)}`);
  }

  logPath(number: number): string {
    return join(this.#path, `acks.${digits(number)}`);
  }

  /** Where a segment waits that is settled, and that a sync still refers to. */
  leavingPath(number: number): string {
    return join(this.#path, `done.${digits(number)}`);
  }

  /** What is there; removes what a crash left of segments that were settled, and of files that were half written. */
  list(): QueueListing {
    const listing: QueueListing = { segments: [], logs: [], foreign: [], highest: 0 };
    // Asked first: most new queues have none, and an exception costs more than the question.
    if (!this.persistent || this.#disk.stat(this.#path) === null) return listing;
    for (const entry of this.#disk.entries(this.#path)) {
      const path = join(this.#path, entry.name);
      const [name, kind, digits, half] = OUR_FILES.exec(entry.name) ?? [];
      const number = Number(digits ?? 0);
      if (number <= SEGMENT_NUMBER_MAX) listing.highest = Math.max(listing.highest, number);
      if (name === undefined || entry.kind !== "file") {
        if (entry.name !== "quarantine" || entry.kind !== "directory") listing.foreign.push(path);
      } else if (kind === "done" || half !== undefined) {
        if (this.repairs) this.#disk.remove(path);
      } else if (number >= 1 && number <= SEGMENT_NUMBER_MAX) {
        (kind === "msgs" ? listing.segments : listing.logs).push(number);
      } else if (kind !== undefined) {
        listing.foreign.push(path);
      }
    }
    listing.segments.sort((a, b) => a - b);
    listing.logs.sort((a, b) => a - b);
    return listing;
  }

  /** A new segment file, a prepared one if there is one. `fresh`: it is all zeros. */
  createSegment(number: number, capacity: number): { file: SegmentFile; fresh: boolean } {
    const { pool, files, space } = this.#host;
    const path = this.segmentPath(number);
    let file: SegmentFile | null = null;
    try {
      this.#make();
      const spare = pool !== null && capacity === pool.segmentBytes ? pool.take(path) : null;
      file = spare ?? files.create(path, capacity);
      this.entriesChanged(false);
      if (spare === null) space?.allocated(capacity);
      return { file, fresh: spare === null };
    } catch (error) {
      // Its name must be free for the next try.
      file?.close();
      if (file !== null) this.remove(path);
      if (isDiskFull(error)) space?.full();
      throw error;
    }
  }

  /** A file was made in the directory: the next sync has to cover the directory too. */
  entriesChanged(lazily: boolean): void {
    if (this.persistent) this.#sync(this.#path, lazily);
  }

  remove(path: string): void {
    if (this.persistent && this.repairs) this.#disk.remove(path);
  }

  /**
   * Copies bytes of a segment's file into the quarantine, for a human; false when they are there from an earlier start.
   * A full disk is no reason to fail.
   */
  quarantine(segment: Segment, offset: number, bytes: number): boolean {
    if (!this.persistent) return true;
    const path = join(this.#quarantinePath, `${basename(segment.path)}.${offset}`);
    const count = Math.min(bytes, QUARANTINE_BYTES_MAX, segment.capacity - offset);
    if ((this.#disk.stat(path)?.bytes ?? -1) >= count) return false;
    if (!this.repairs) return true;
    // Not by the segment's own file: where a disk is bad, a mapping is no place to read from.
    const file = FoundFile.open(this.#disk, segment.path);
    try {
      const copy = new Uint8Array(count);
      file.read(offset, copy, 0, count);
      this.#makeQuarantine();
      this.#disk.writeFile(path, copy);
    } catch {
      this.remove(path);
    } finally {
      file.close();
    }
    return true;
  }

  /** Moves a file out of the way, for a human. On a full disk it stays, and is in nobody's way for now. */
  quarantineFile(path: string): void {
    if (!this.repairs) return;
    const to = join(this.#quarantinePath, basename(path));
    let free = to;
    for (let number = 2; this.#disk.stat(free) !== null; number++) free = `${to}-${number}`;
    try {
      this.#makeQuarantine();
      this.#disk.rename(path, free);
    } catch {
      // Told again at the next start.
    }
  }

  /** Removes everything. */
  destroy(): void {
    this.destroyed = true;
    if (this.persistent) this.#disk.removeTree(this.#path);
  }

  get #quarantinePath(): string {
    return join(this.#path, "quarantine");
  }

  #makeQuarantine(): void {
    this.#disk.makeDirectory(this.#quarantinePath);
  }

  #make(): void {
    if (this.#made) return;
    // The first one that was made: those above it were there. One that was there is synced all the same: a killed process
    // may have made it and not got to that.
    const top = this.#disk.makeDirectory(this.#path) ?? this.#path;
    this.#made = true;
    for (let path = this.#path; path.length >= top.length; path = dirname(path)) this.#sync(dirname(path), false);
  }

  #sync(path: string, lazily: boolean): void {
    const { commit } = this.#host;
    const fd = this.#disk.open(path, "r");
    if (lazily) commit.dirtyLazily(fd);
    else commit.dirty(fd);
    // It is closed by the sync that covers it: directories of many queues must not stay open.
    commit.release(fd, false, () => this.#disk.close(fd));
  }
}

function digits(number: number): string {
  return String(number).padStart(10, "0");
}
