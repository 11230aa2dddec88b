// A disk of its own for one broker: an ext4 filesystem in a file, mounted by loop. Can be filled to the last byte.

import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, truncateSync, writeSync } from "node:fs";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Releases } from "./releases.ts";

const CHUNKS: readonly number[] = [1024 * 1024, 64 * 1024, 4096, 512, 1];

export class SmallDisk {
  /** Where it is mounted. */
  readonly path: string;

  constructor(bytes: number, releases: Releases) {
    const directory = mkdtempSync(join(tmpdir(), "leveret-disk-"));
    releases.add(directory, () => rmSync(directory, { recursive: true, force: true }));
    const image = join(directory, "image");
    this.path = join(directory, "mounted");
    mkdirSync(this.path);
    closeSync(openSync(image, "w"));
    truncateSync(image, bytes);
    // Nothing reserved for root, which we may be: full is full.
    execFileSync("mkfs.ext4", ["-q", "-F", "-m", "0", image]);
    execFileSync("mount", ["-o", "loop", image, this.path]);
    // Lazily: a broker that a failed case left behind must not keep the machine's loop device.
    releases.add(this.path, () => execFileSync("umount", ["-l", this.path]));
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** A file of `bytes`, or of all there is. Returns what it got. */
  fill(name: string, bytes = Infinity): number {
    const fd = openSync(join(this.path, name), "a");
    let done = 0;
    try {
      for (const size of CHUNKS) {
        const chunk = Buffer.alloc(size);
        while (done < bytes) {
          const written = write(fd, chunk, Math.min(size, bytes - done));
          done += written;
          if (written < chunk.length) break;
        }
      }
    } finally {
      closeSync(fd);
    }
    return done;
  }

  remove(name: string): void {
    rmSync(join(this.path, name), { force: true });
  }
}

function write(fd: number, chunk: Buffer, count: number): number {
  try {
    return writeSync(fd, chunk, 0, count);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOSPC") return 0;
    throw error;
  }
}
