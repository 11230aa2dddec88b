// Segment files in mapped memory. The only owner of a mapping: it asserts every bound, it unmaps only in `close`, and
// nobody else ever sees the memory. The file is allocated before it is mapped, so that a full disk is an error at
// creation and never a SIGBUS.

import fs from "node:fs";
import { systemDisk } from "./disk.ts";
import { errnoName } from "./errno.ts";
import { FileFault } from "./fault.ts";
import type { FilePreparer } from "./file_thread.ts";
import type { Libc, Mapping } from "./libc.ts";
import type { SegmentFile, SegmentFiles } from "./runtime.ts";
import { createAllocated, discard, inRange, openAllocated, rangeFault, renameFile } from "./segment_descriptor.ts";

/**
 * From this count on a write goes through the descriptor, which ends up in the same pages of the kernel: after each sync
 * the first store to a page costs a fault (2-3 µs per 4 KiB), a system call for many pages costs a tenth of that.
 */
const WRITE_CALL_BYTES_MIN = 4096;

export class MappedFiles implements SegmentFiles {
  readonly kind = "mapped";
  readonly disk = systemDisk;
  readonly #libc: Libc;
  readonly #preparer: FilePreparer;

  constructor(libc: Libc, preparer: FilePreparer) {
    this.#libc = libc;
    this.#preparer = preparer;
  }

  create(path: string, capacity: number): SegmentFile {
    const fd = createAllocated(path, capacity, this.#libc);
    try {
      return this.#map(path, fd, capacity);
    } catch (error) {
      discard(fd, path);
      throw error;
    }
  }

  open(path: string): SegmentFile {
    const { fd, capacity } = openAllocated(path);
    try {
      // A file that has holes must not stay so: see above.
      const errno = this.#libc.allocate(fd, capacity);
      if (errno !== 0) throw new FileFault("allocate", path, errnoName(errno), `${capacity} bytes`);
      return this.#map(path, fd, capacity);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  async prepare(path: string, capacity: number): Promise<SegmentFile> {
    await this.#preparer.prepare(path, capacity);
    return this.open(path);
  }

  close(): Promise<void> {
    return this.#preparer.close();
  }

  #map(path: string, fd: number, capacity: number): SegmentFile {
    const mapping = this.#libc.map(fd, capacity);
    if (typeof mapping === "number") throw new FileFault("map", path, errnoName(mapping), `${capacity} bytes`);
    return new MappedFile(path, fd, capacity, mapping, this.#libc);
  }
}

class MappedFile implements SegmentFile {
  path: string;
  readonly capacity: number;
  readonly fd: number;
  /** `capacity` while open, -1 after: one comparison finds both a bad range and a closed file. */
  limit: number;
  readonly mapping: Mapping;
  readonly libc: Libc;

  constructor(path: string, fd: number, capacity: number, mapping: Mapping, libc: Libc) {
    this.path = path;
    this.capacity = capacity;
    this.fd = fd;
    this.limit = capacity;
    this.mapping = mapping;
    this.libc = libc;
  }

  /** Hot. */
  write(at: number, source: Uint8Array, from: number, count: number): void {
    if (!inRange(at, count, this.limit, from, source.length)) {
      throw rangeFault(this.path, at, count, this.limit, from, source.length);
    }
    if (count < WRITE_CALL_BYTES_MIN) this.mapping.write(at, source, from, count);
    else this.#writeCall(at, source, from, count);
  }

  /** Hot. */
  read(at: number, target: Uint8Array, to: number, count: number): void {
    if (!inRange(at, count, this.limit, to, target.length)) {
      throw rangeFault(this.path, at, count, this.limit, to, target.length);
    }
    this.mapping.read(at, target, to, count);
  }

  rename(path: string): void {
    if (this.limit < 0) throw rangeFault(this.path, 0, 0, this.limit, 0, 0);
    renameFile(this.path, path);
    this.path = path;
  }

  close(): void {
    if (this.limit < 0) return;
    this.limit = -1;
    this.mapping.unmap();
    fs.closeSync(this.fd);
  }

  #writeCall(at: number, source: Uint8Array, from: number, count: number): void {
    for (let done = 0; done < count;) {
      const written = this.libc.writeAt(this.fd, at + done, source, from + done, count - done);
      if (written > 0) done += written;
      else if (written === 0 || errnoName(-written) !== "EINTR") {
        throw new FileFault("write", this.path, written === 0 ? "EIO" : errnoName(-written), `${count} bytes at ${at}`);
      }
    }
  }
}
