// What a broker keeps an eye on: free disk, used memory. Owns the alarms, the space that is set aside on the disk, and
// the clock of both.

import { join } from "node:path";
import type { Config } from "./config/config.ts";
import { Alarms } from "./core/alarms.ts";
import { memoryBytes } from "./lib/process_memory.ts";
import type { Disk } from "./runtime/disk.ts";
import type { SegmentFiles } from "./runtime/runtime.ts";
import { DiskReserve, RESERVE_BYTES } from "./store/disk_reserve.ts";
import type { SpaceWatch } from "./store/queue_store_host.ts";

/** How often disk and memory are looked at, milliseconds. */
const CHECK_MS = 500;

export class Watch {
  readonly alarms: Alarms;
  readonly space: SpaceWatch;
  readonly #config: () => Config;
  readonly #disk: Disk;
  #reserve: DiskReserve | null = null;
  #checks: ReturnType<typeof setInterval> | null = null;

  /** `config` gives the settings as they are now; all but the limits stay. */
  constructor(config: () => Config, disk: Disk) {
    this.#config = config;
    this.#disk = disk;
    const alarms = this.alarms = new Alarms({
      freeDiskBytes: () => this.freeBytes(),
      get freeDiskBytesMin() {
        return config().freeDiskBytesMin;
      },
      freeDiskBytesAgain: 2 * config().segmentBytes + RESERVE_BYTES,
      setAside: () => this.#reserve?.hold() ?? true,
      memoryBytes,
      get memoryBytesMax() {
        return config().memoryBytesMax;
      },
    });
    this.space = {
      allocated: (bytes) => alarms.allocated(bytes),
      full: () => alarms.diskFull(),
      makeRoom: () => {
        alarms.diskFull();
        return this.#reserve?.letGo() ?? false;
      },
    };
  }

  /** Sets space aside in the data directory. */
  reserve(files: SegmentFiles): void {
    this.#reserve = new DiskReserve(join(this.#config().dataDir, "reserve"), files);
    if (!this.#reserve.hold()) this.alarms.diskFull();
  }

  start(): void {
    this.alarms.check();
    this.#checks = setInterval(() => this.alarms.check(), CHECK_MS);
    this.#checks.unref();
  }

  /** Whether a spare segment may take its part of the disk. */
  hasRoomForSpare(): boolean {
    const { segmentBytes, freeDiskBytesMin } = this.#config();
    return !this.alarms.active && (this.freeBytes() ?? Infinity) - segmentBytes >= freeDiskBytesMin;
  }

  close(): void {
    if (this.#checks !== null) clearInterval(this.#checks);
  }

  /** Free bytes of the disk with the data directory; null where that cannot be told. */
  freeBytes(): number | null {
    const { memory, dataDir } = this.#config();
    if (memory) return null;
    try {
      return this.#disk.freeBytes(dataDir);
    } catch {
      return null;
    }
  }
}
