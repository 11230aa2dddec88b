// Segment files by read and write calls of node:fs. Works everywhere; serves where FFI or mmap is not to be had, and is
// the yardstick for the mapped ones.

import fs from "node:fs";
import { systemDisk } from "./disk.ts";
import { fileFault } from "./errno.ts";
import { FileFault } from "./fault.ts";
import type { FilePreparer } from "./file_thread.ts";
import type { Libc } from "./libc.ts";
import type { SegmentFile, SegmentFiles } from "./runtime.ts";
import { createAllocated, inRange, openAllocated, rangeFault, renameFile } from "./segment_descriptor.ts";

export class PlainFiles implements SegmentFiles {
  readonly kind = "plain";
  readonly disk = systemDisk;
  readonly #libc: Libc | null;
  readonly #preparer: FilePreparer;

  constructor(libc: Libc | null, preparer: FilePreparer) {
    this.#libc = libc;
    this.#preparer = preparer;
  }

  create(path: string, capacity: number): SegmentFile {
    return new PlainFile(path, createAllocated(path, capacity, this.#libc), capacity);
  }

  open(path: string): SegmentFile {
    const { fd, capacity } = openAllocated(path);
    return new PlainFile(path, fd, capacity);
  }

  async prepare(path: string, capacity: number): Promise<SegmentFile> {
    await this.#preparer.prepare(path, capacity);
    return this.open(path);
  }

  close(): Promise<void> {
    return this.#preparer.close();
  }
}

class PlainFile implements SegmentFile {
  path: string;
  readonly capacity: number;
  readonly fd: number;
  /** `capacity` while open, -1 after. */
  limit: number;

  constructor(path: string, fd: number, capacity: number) {
    this.path = path;
    this.capacity = capacity;
    this.fd = fd;
    this.limit = capacity;
  }

  /** Hot. A count that stays short is told by the next call, which throws or writes nothing. */
  write(at: number, source: Uint8Array, from: number, count: number): void {
    if (!inRange(at, count, this.limit, from, source.length)) {
      throw rangeFault(this.path, at, count, this.limit, from, source.length);
    }
    for (let done = 0; done < count;) {
      const written = this.#call("write", at + done, source, from + done, count - done);
      if (written === 0) throw new FileFault("write", this.path, "ENOSPC", `${done} of ${count} bytes at ${at}`);
      done += written;
    }
  }

  /** Hot. */
  read(at: number, target: Uint8Array, to: number, count: number): void {
    if (!inRange(at, count, this.limit, to, target.length)) {
      throw rangeFault(this.path, at, count, this.limit, to, target.length);
    }
    for (let done = 0; done < count;) {
      const found = this.#call("read", at + done, target, to + done, count - done);
      if (found === 0) throw new FileFault("read", this.path, "EIO", `file ends before ${at + count}`);
      done += found;
    }
  }

  rename(path: string): void {
    if (this.limit < 0) throw rangeFault(this.path, 0, 0, this.limit, 0, 0);
    renameFile(this.path, path);
    this.path = path;
  }

  close(): void {
    if (this.limit < 0) return;
    this.limit = -1;
    fs.closeSync(this.fd);
  }

  #call(operation: "read" | "write", at: number, bytes: Uint8Array, from: number, count: number): number {
    try {
      return operation === "write"
        ? fs.writeSync(this.fd, bytes, from, count, at)
        : fs.readSync(this.fd, bytes, from, count, at);
    } catch (error) {
      throw fileFault(operation, this.path, error);
    }
  }
}
