// How the broker before us ended: in good order, killed, or with the power. What a kill leaves in the page cache is all
// there; a power cut may take the last notes of what was delivered. Then nobody knows which messages were, and all that
// lay here counts as delivered before: a message that comes again is flagged, at the price of some that come first.
//
//   run     "running BOOT MS" while a broker runs, "stopped MS" behind a stop in good order. BOOT names the machine's
//           run; MS: of segments begun before that time the notes may be incomplete, 0 for none.

import { isDiskFull } from "../lib/disk_full.ts";
import type { Disk } from "../runtime/disk.ts";

/** Another one after each start of the machine. Linux; elsewhere every end that is not in good order is a power cut. */
const BOOT_PATH = "/proc/sys/kernel/random/boot_id";
const RUNNING = /^running ([0-9a-f-]+) ([0-9]+)\n$/;
const STOPPED = /^stopped ([0-9]+)\n$/;

export class LastStop {
  /** Segments begun before this time, ms since 1970, count as delivered; Infinity for all that are there. */
  readonly unsureBeforeMs: number;
  readonly #disk: Disk;
  readonly #path: string;
  readonly #boot: string;
  readonly #keptMs: number;
  /** As #keptMs, once a power cut may follow: what a killed process noted stands in the page cache, and is synced by nobody. */
  readonly #stoppedMs: number;

  /** Reads how it ended, and notes that a broker runs. `isNew`: nothing lies here yet. */
  static read(disk: Disk, path: string, isNew: boolean, nowMs: number): LastStop {
    return new LastStop(disk, path, isNew, nowMs);
  }

  private constructor(disk: Disk, path: string, isNew: boolean, nowMs: number) {
    this.#disk = disk;
    this.#path = path;
    this.#boot = textOf(disk, BOOT_PATH).trim();
    const text = isNew ? "" : textOf(disk, path);
    const sureMs = isNew ? 0 : this.#sureSince(text);
    this.unsureBeforeMs = sureMs ?? Infinity;
    this.#keptMs = sureMs ?? nowMs;
    this.#stoppedMs = RUNNING.test(text) ? nowMs : this.#keptMs;
    this.#write(`running ${this.#boot || "-"} ${this.#keptMs}\n`);
  }

  /** Everything is on disk. */
  stopped(): void {
    this.#write(`stopped ${this.#stoppedMs}\n`);
  }

  /** The time before which notes may be missing; null when any may be. */
  #sureSince(text: string): number | null {
    const stopped = STOPPED.exec(text);
    if (stopped !== null) return Number(stopped[1]);
    const running = RUNNING.exec(text);
    if (running === null || this.#boot === "" || running[1] !== this.#boot) return null;
    return Number(running[2]);
  }

  /** A write that is torn, or that a full disk refuses, leaves nothing that could be read: as after a power cut. */
  #write(text: string): void {
    const bytes = new TextEncoder().encode(text);
    let fd = -1;
    try {
      fd = this.#disk.open(this.#path, "w+");
      this.#disk.write(fd, bytes, 0, bytes.length, 0);
      this.#disk.sync(fd);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    } finally {
      if (fd >= 0) this.#disk.close(fd);
    }
  }
}

function textOf(disk: Disk, path: string): string {
  try {
    return new TextDecoder().decode(disk.readFile(path) ?? new Uint8Array(0));
  } catch {
    return "";
  }
}
