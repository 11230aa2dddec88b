// A file of nothing, which holds space on the disk for what must find room when there is none: acknowledgements, the end
// of definitions. When the disk is full it is let go; it is made again before publishers may go on.

import type { SegmentFiles } from "../runtime/runtime.ts";

/** Room for the first acknowledgements of a thousand segments, or a hundred thousand more. */
export const RESERVE_BYTES = 4 * 1024 * 1024;

export class DiskReserve {
  readonly #path: string;
  readonly #files: SegmentFiles;
  readonly #bytes: number;
  #held = false;

  constructor(path: string, files: SegmentFiles, bytes = RESERVE_BYTES) {
    this.#path = path;
    this.#files = files;
    this.#bytes = bytes;
  }

  /** Makes the file if it is not there; false when it cannot be had. */
  hold(): boolean {
    if (this.#held) return true;
    try {
      if (this.#files.disk.stat(this.#path)?.bytes !== this.#bytes) {
        this.#files.disk.remove(this.#path);
        this.#files.create(this.#path, this.#bytes).close();
      }
      this.#held = true;
    } catch {
      // Full, or a quota is used up: it is tried again.
    }
    return this.#held;
  }

  /** Gives the space to whoever comes first. False when there was nothing to give. */
  letGo(): boolean {
    if (!this.#held) return false;
    this.#held = false;
    this.#files.disk.remove(this.#path);
    return true;
  }
}
