// Spare segments: full-size segment files that stand ready, so that the message path never waits for the disk to
// allocate one. Owns the folder spare/ and every file in it; what stands in them has no meaning.
//
//   prepare (background) ──> spare/N ──take──> a queue's msgs.N ──give──> spare/N  or removed

import { join } from "node:path";
import { isDiskFull } from "../lib/disk_full.ts";
import type { SegmentFile, SegmentFiles } from "../runtime/runtime.ts";
import type { SegmentPool, SpaceWatch } from "./queue_store_host.ts";

/** What is called otherwise is not ours, and left alone. */
const SPARE_NAME = /^[0-9]{10}$/;
/** Files kept ready at first: one in use, one for the next. */
const SPARE_COUNT = 2;
/** Files kept ready when segments are taken faster than they are prepared. */
const SPARE_COUNT_MAX = 4;

export interface SpareSegmentsOptions {
  /** The folder spare/; created if need be, spare files of earlier processes removed. */
  readonly directory: string;
  readonly segmentBytes: number;
  readonly files: SegmentFiles;
  /** A file could not be prepared, moved or removed. A row of failed preparations is reported once. */
  readonly report: (fault: Error) => void;
  /** Told of what is allocated, and when the disk gives no more. */
  readonly space?: SpaceWatch;
  /** Whether files may be prepared: not while the disk is short. Default: always. */
  readonly mayPrepare?: () => boolean;
  readonly spareCount?: number;
  readonly spareCountMax?: number;
}

export class SpareSegments implements SegmentPool {
  readonly segmentBytes: number;
  readonly #options: SpareSegmentsOptions;
  readonly #countMax: number;
  readonly #ready: SegmentFile[] = [];
  /** How many files should be ready; 0 until a segment was asked for, so that an idle broker allocates nothing. */
  #wanted = 0;
  #nextNumber = 0;
  #preparation: Promise<void> | null = null;
  /** The last preparation failed: the next one begins with the next take. */
  #failed = false;
  #closed = false;

  /** Throws when the folder cannot be created or emptied. */
  constructor(options: SpareSegmentsOptions) {
    this.#options = options;
    this.segmentBytes = options.segmentBytes;
    this.#countMax = Math.max(options.spareCountMax ?? SPARE_COUNT_MAX, options.spareCount ?? SPARE_COUNT);
    const { directory, files: { disk } } = options;
    disk.makeDirectory(directory);
    for (const { name, kind } of disk.entries(directory)) {
      if (kind === "file" && SPARE_NAME.test(name)) disk.remove(join(directory, name));
    }
  }

  /** Files that stand ready. */
  get readyCount(): number {
    return this.#ready.length;
  }

  /** The bytes of the file are those of some earlier life. Never throws. */
  take(path: string): SegmentFile | null {
    if (this.#closed) return null;
    const file = this.#ready.pop() ?? null;
    if (this.#wanted === 0) this.#wanted = this.#options.spareCount ?? SPARE_COUNT;
    else if (file === null && !this.#failed) this.#wanted = Math.min(this.#wanted + 1, this.#countMax);
    this.#prepare();
    if (file === null) return null;
    try {
      file.rename(path);
      return file;
    } catch (error) {
      this.#options.report(asError(error));
      this.#discard(file);
      return null;
    }
  }

  /** No sync may refer to the descriptor any more: it may be closed here. Never throws. */
  give(file: SegmentFile): void {
    if (this.#closed || file.capacity !== this.segmentBytes || this.#ready.length >= this.#wanted) {
      this.#discard(file);
      return;
    }
    try {
      file.rename(this.#nextPath());
      this.#ready.push(file);
    } catch (error) {
      this.#options.report(asError(error));
      this.#discard(file);
    }
  }

  /** Ends the preparation that runs and removes what stands ready. To be called before SegmentFiles is closed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#preparation;
    for (const file of this.#ready.splice(0)) this.#discard(file);
  }

  /** One at a time, until as many are ready as are wanted. */
  #prepare(): void {
    if (this.#closed || this.#preparation !== null || this.#ready.length >= this.#wanted) return;
    if (!(this.#options.mayPrepare?.() ?? true)) return;
    const path = this.#nextPath();
    this.#preparation = this.#prepareOne(path);
  }

  async #prepareOne(path: string): Promise<void> {
    try {
      const file = await this.#options.files.prepare(path, this.segmentBytes);
      this.#failed = false;
      this.#options.space?.allocated(this.segmentBytes);
      // Others may have been given back meanwhile.
      if (this.#closed || this.#ready.length >= this.#countMax) this.#discard(file);
      else this.#ready.push(file);
    } catch (error) {
      if (!this.#failed && !this.#closed) this.#options.report(asError(error));
      this.#failed = true;
      this.#remove(path);
      if (isDiskFull(error) && !this.#closed) this.#options.space?.full();
    }
    this.#preparation = null;
    if (!this.#failed) this.#prepare();
  }

  #discard(file: SegmentFile): void {
    const path = file.path;
    file.close();
    this.#remove(path);
  }

  #remove(path: string): void {
    try {
      this.#options.files.disk.remove(path);
    } catch (error) {
      this.#options.report(asError(error));
    }
  }

  #nextPath(): string {
    this.#nextNumber += 1;
    return join(this.#options.directory, String(this.#nextNumber).padStart(10, "0"));
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
