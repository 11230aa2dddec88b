// The directory of one queue: names of its files, when it is made, what of it has to be synced, what is set aside.
// Knows nothing of records. In memory there is no directory, and nearly nothing to do.

import { basename, dirname, join } from "node:path";
import type { SegmentFile } from "../runtime/runtime.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import type { Segment } from "./segment.ts";

/** Of damaged bytes, so many are kept. */
const QUARANTINE_BYTES_MAX = 1024 * 1024;

export interface QueueListing {
  /** Ascending. */
  readonly segments: number[];
  readonly logs: number[];
}

export class QueueDirectory {
  /** Files outlive the process. */
  readonly persistent: boolean;
  readonly #path: string;
  readonly #host: QueueStoreHost;
  #made: boolean;

  constructor(path: string, queueId: number, host: QueueStoreHost) {
    this.persistent = host.files.kind !== "memory";
    this.#path = path === "" ? `memory/${digits(queueId)}` : path;
    this.#host = host;
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

  /** What is there; removes what a crash left of segments that were settled. */
  list(): QueueListing {
    const listing: QueueListing = { segments: [], logs: [] };
    // Asked first: most new queues have none, and an exception costs more than the question.
    if (!this.persistent || this.#host.files.disk.stat(this.#path) === null) return listing;
    for (const name of this.#host.files.disk.list(this.#path)) {
      const match = /^(msgs|acks|done)\.(\d{10})$/.exec(name);
      if (match === null) continue;
      if (match[1] === "done") this.#host.files.disk.remove(join(this.#path, name));
      else (match[1] === "msgs" ? listing.segments : listing.logs).push(Number(match[2]));
    }
    listing.segments.sort((a, b) => a - b);
    listing.logs.sort((a, b) => a - b);
    return listing;
  }

  /** A new segment file, a prepared one if there is one. `fresh`: it is all zeros. */
  createSegment(number: number, capacity: number): { file: SegmentFile; fresh: boolean } {
    const { pool, files } = this.#host;
    const path = this.segmentPath(number);
    this.#make();
    const spare = pool !== null && capacity === pool.segmentBytes ? pool.take(path) : null;
    const file = spare ?? files.create(path, capacity);
    this.entriesChanged(false);
    return { file, fresh: spare === null };
  }

  /** A file was made in the directory: the next sync has to cover the directory too. */
  entriesChanged(lazily: boolean): void {
    if (this.persistent) this.#sync(this.#path, lazily);
  }

  remove(path: string): void {
    if (this.persistent) this.#host.files.disk.remove(path);
  }

  /**
   * Copies bytes of a segment's file into the quarantine, for a human; false when they are there from an earlier start.
   * Best effort: a full disk is no reason to fail.
   */
  quarantine(segment: Segment, offset: number, bytes: number): boolean {
    if (!this.persistent) return true;
    const path = join(this.#quarantine(), `${basename(segment.path)}.${offset}`);
    if (this.#host.files.disk.stat(path) !== null) return false;
    const copy = new Uint8Array(Math.min(bytes, QUARANTINE_BYTES_MAX, segment.capacity - offset));
    const file = segment.file ??= this.#host.files.open(segment.path);
    file.read(offset, copy, 0, copy.length);
    try {
      this.#host.files.disk.writeFile(path, copy);
    } catch {
      this.remove(path);
    }
    return true;
  }

  /** Moves a file out of the way, for a human. */
  quarantineFile(path: string, name: string): void {
    this.#host.files.disk.rename(path, join(this.#quarantine(), name));
  }

  /** Removes everything. */
  destroy(): void {
    if (this.persistent) this.#host.files.disk.removeTree(this.#path);
  }

  #quarantine(): string {
    const path = join(this.#path, "quarantine");
    this.#host.files.disk.makeDirectory(path);
    return path;
  }

  #make(): void {
    if (this.#made) return;
    // The first one that was made: those above it were there. One that was there is synced all the same: a killed process
    // may have made it and not got to that.
    const top = this.#host.files.disk.makeDirectory(this.#path) ?? this.#path;
    this.#made = true;
    for (let path = this.#path; path.length >= top.length; path = dirname(path)) this.#sync(dirname(path), false);
  }

  #sync(path: string, lazily: boolean): void {
    const { commit, files: { disk } } = this.#host;
    const fd = disk.open(path, "r");
    if (lazily) commit.dirtyLazily(fd);
    else commit.dirty(fd);
    // It is closed by the sync that covers it: directories of many queues must not stay open.
    commit.release(fd, false, () => disk.close(fd));
  }
}

function digits(number: number): string {
  return String(number).padStart(10, "0");
}
