// Segment files in ordinary memory, for queues that need not outlive the process. A file is gone when it is closed.
// Beyond a budget new ones are unlinked files on disk instead, where a place for them is given.

import { join } from "node:path";
import { assert } from "../lib/assert.ts";
import { copyBytes } from "../lib/out_buffer.ts";
import { type Disk, systemDisk } from "./disk.ts";
import { FileFault } from "./fault.ts";
import type { SegmentFile, SegmentFiles } from "./runtime.ts";
import { CAPACITY_BYTES_MAX, inRange, rangeFault } from "./segment_descriptor.ts";

/** Where segments go that do not fit the budget. */
export interface Spill {
  readonly files: SegmentFiles;
  /** Must be there. */
  readonly directory: string;
}

export class MemoryFiles implements SegmentFiles {
  readonly kind = "memory";
  readonly disk: Disk;
  readonly #budgetBytes: number;
  readonly #spill: Spill | null;
  readonly #open = new Map<string, SegmentFile>();
  #usedBytes = 0;
  #spilled = 0;

  /** At most `budgetBytes` are held in memory by all files together if `spill` is given; without it there is no limit. */
  constructor(budgetBytes = Infinity, spill: Spill | null = null) {
    this.#budgetBytes = budgetBytes;
    this.#spill = spill;
    this.disk = spill?.files.disk ?? systemDisk;
  }

  /** Bytes that open files hold in memory. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  create(path: string, capacity: number): SegmentFile {
    assert(
      Number.isInteger(capacity) && capacity > 0 && capacity <= CAPACITY_BYTES_MAX,
      `${path}: a capacity of 1 to ${CAPACITY_BYTES_MAX} bytes expected, ${capacity} found`,
    );
    if (this.#open.has(path)) throw new FileFault("create", path, "EEXIST");
    const inMemory = this.#spill === null || this.#usedBytes + capacity <= this.#budgetBytes;
    const file = inMemory
      ? new MemoryFile(path, new Uint8Array(capacity), this)
      : new SpilledFile(path, this.#createUnlinked(this.#spill!, capacity), this);
    if (inMemory) this.#usedBytes += capacity;
    this.#open.set(path, file);
    return file;
  }

  /** The file itself, if it is open: there is no other copy, and closing it ends it for all. */
  open(path: string): SegmentFile {
    const file = this.#open.get(path);
    if (file === undefined) throw new FileFault("open", path, "ENOENT");
    return file;
  }

  prepare(path: string, capacity: number): Promise<SegmentFile> {
    return new Promise((resolve) => resolve(this.create(path, capacity)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Of a file that was closed. */
  forget(path: string, bytes: number): void {
    this.#open.delete(path);
    this.#usedBytes -= bytes;
  }

  /** Of a file that moves; one that stands at `to` is replaced, as on disk. */
  move(file: SegmentFile, to: string): void {
    const replaced = this.#open.get(to);
    if (replaced !== undefined && replaced !== file) replaced.close();
    this.#open.delete(file.path);
    this.#open.set(to, file);
  }

  #createUnlinked(spill: Spill, capacity: number): SegmentFile {
    const name = join(spill.directory, `spill.${String(++this.#spilled).padStart(10, "0")}`);
    const file = spill.files.create(name, capacity);
    this.disk.remove(name);
    return file;
  }
}

class MemoryFile implements SegmentFile {
  path: string;
  readonly capacity: number;
  readonly fd = -1;
  limit: number;
  bytes: Uint8Array;
  readonly owner: MemoryFiles;

  constructor(path: string, bytes: Uint8Array, owner: MemoryFiles) {
    this.path = path;
    this.capacity = bytes.length;
    this.limit = bytes.length;
    this.bytes = bytes;
    this.owner = owner;
  }

  /** Hot. */
  write(at: number, source: Uint8Array, from: number, count: number): void {
    if (!inRange(at, count, this.limit, from, source.length)) {
      throw rangeFault(this.path, at, count, this.limit, from, source.length);
    }
    copyBytes(source, from, this.bytes, at, count);
  }

  /** Hot. */
  read(at: number, target: Uint8Array, to: number, count: number): void {
    if (!inRange(at, count, this.limit, to, target.length)) {
      throw rangeFault(this.path, at, count, this.limit, to, target.length);
    }
    copyBytes(this.bytes, at, target, to, count);
  }

  rename(path: string): void {
    if (this.limit < 0) throw rangeFault(this.path, 0, 0, this.limit, 0, 0);
    this.owner.move(this, path);
    this.path = path;
  }

  close(): void {
    if (this.limit < 0) return;
    this.limit = -1;
    this.bytes = new Uint8Array(0);
    this.owner.forget(this.path, this.capacity);
  }
}

/** A file on disk without a name there; its path is only ours. Never synced. */
class SpilledFile implements SegmentFile {
  path: string;
  readonly capacity: number;
  readonly fd = -1;
  readonly file: SegmentFile;
  readonly owner: MemoryFiles;
  closed = false;

  constructor(path: string, file: SegmentFile, owner: MemoryFiles) {
    this.path = path;
    this.capacity = file.capacity;
    this.file = file;
    this.owner = owner;
  }

  write(at: number, source: Uint8Array, from: number, count: number): void {
    this.file.write(at, source, from, count);
  }

  read(at: number, target: Uint8Array, to: number, count: number): void {
    this.file.read(at, target, to, count);
  }

  rename(path: string): void {
    if (this.closed) throw rangeFault(this.path, 0, 0, -1, 0, 0);
    this.owner.move(this, path);
    this.path = path;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.file.close();
    this.owner.forget(this.path, 0);
  }
}
