// A file that an earlier process left, as recovery and the doctor read it: opened for reading only, neither mapped nor
// allocated, so that looking changes nothing and a bad sector is an error and no SIGBUS. What the disk refuses to give
// reads as zeros: the checksums then say which records it cost.

import type { Disk } from "../runtime/disk.ts";
import { FileFault } from "../runtime/fault.ts";
import type { SegmentFile } from "../runtime/runtime.ts";

/** Of a file that is larger (none of ours is) the rest is not looked at. */
const BYTES_MAX = 2 ** 30;
/** Where a read fails it is tried again in pieces of this size, at multiples of it. */
const PAGE_BYTES = 4096;

export class FoundFile implements SegmentFile {
  readonly path: string;
  readonly capacity: number;
  readonly fd: number;
  /** Bytes that the disk did not give. */
  unreadableBytes = 0;
  readonly #disk: Disk;
  #closed = false;

  static open(disk: Disk, path: string): FoundFile {
    try {
      return new FoundFile(disk, path, disk.stat(path)?.bytes ?? 0);
    } catch (error) {
      throw new FileFault("open", path, codeOf(error));
    }
  }

  private constructor(disk: Disk, path: string, bytes: number) {
    this.path = path;
    this.capacity = Math.min(bytes, BYTES_MAX);
    this.#disk = disk;
    this.fd = disk.open(path, "r");
  }

  read(at: number, target: Uint8Array, to: number, count: number): void {
    if (this.#readPiece(at, target, to, count)) return;
    for (let done = 0; done < count;) {
      const piece = Math.min(count - done, PAGE_BYTES - (at + done) % PAGE_BYTES);
      if (!this.#readPiece(at + done, target, to + done, piece)) {
        target.fill(0, to + done, to + done + piece);
        this.unreadableBytes += piece;
      }
      done += piece;
    }
  }

  write(): void {
    throw new FileFault("write", this.path, "EROFS", "a file that recovery reads");
  }

  rename(): void {
    throw new FileFault("rename", this.path, "EROFS", "a file that recovery reads");
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#disk.close(this.fd);
  }

  /** False when the disk refuses, or the file has become shorter. */
  #readPiece(at: number, target: Uint8Array, to: number, count: number): boolean {
    for (let done = 0; done < count;) {
      let found = 0;
      try {
        found = this.#disk.read(this.fd, target, to + done, count - done, at + done);
      } catch (error) {
        if (codeOf(error) !== "EIO") throw new FileFault("read", this.path, codeOf(error));
      }
      if (found === 0) return false;
      done += found;
    }
    return true;
  }
}

/** The whole file, at most its first `bytesMax`; null when there is none. */
export function readFound(disk: Disk, path: string, bytesMax = BYTES_MAX): Uint8Array<ArrayBuffer> | null {
  if (disk.stat(path) === null) return null;
  const file = FoundFile.open(disk, path);
  try {
    const bytes = new Uint8Array(Math.min(file.capacity, bytesMax));
    file.read(0, bytes, 0, bytes.length);
    return bytes;
  } finally {
    file.close();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
