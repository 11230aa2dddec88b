// How several files are made durable at once: one by one, or their whole filesystem by one syncfs, which costs little more
// than one file but writes what everybody else has not written yet as well. Owns a descriptor for each filesystem: syncfs
// tells of the errors since that descriptor was opened, and the kernel may have failed to write a file before the next one
// was opened.

import { errnoName } from "./errno.ts";
import { FileFault } from "./fault.ts";
import type { Libc } from "./libc.ts";

/** With fewer files one by one is as cheap. */
const FILES_MIN = 3;
/** After a syncfs that took longer than its files would have, none for so many times as long. */
const SLOW_TIMES = 10;

interface FilesystemsHost {
  readonly libc: Pick<Libc, "syncFile" | "syncFilesystem">;
  /** The kernel tells by syncfs what it could not write; Linux does since 5.8. */
  readonly syncfsTells: boolean;
  /** Which filesystem an open file lies on, null when it cannot be told. */
  deviceOf(fd: number): number | null;
  /** Another descriptor on the filesystem of an open file, null when there is none to be had. */
  openBeside(fd: number): number | null;
  close(fd: number): void;
  nowMs(): number;
}

export class FileSyncs {
  readonly #host: FilesystemsHost;
  /** By device: our descriptor. */
  readonly #filesystems = new Map<number, number>();
  /** What a file takes by itself, ms: the last measured. */
  #fileMs = 0;
  #slowUntilMs = -Infinity;

  constructor(host: FilesystemsHost) {
    this.#host = host;
  }

  /** Throws a FileFault when one of them, or with it another of its filesystem, could not be made durable. */
  sync(fds: readonly number[]): void {
    if (fds.length < FILES_MIN || !this.#host.syncfsTells || this.#host.nowMs() < this.#slowUntilMs) {
      return this.#syncEach(fds);
    }
    const byDevice = new Map<number | null, number[]>();
    for (const fd of fds) {
      const device = this.#host.deviceOf(fd);
      const files = byDevice.get(device);
      if (files === undefined) byDevice.set(device, [fd]);
      else files.push(fd);
    }
    for (const [device, files] of byDevice) {
      if (device === null || files.length < FILES_MIN) this.#syncEach(files);
      else this.#syncMany(device, files);
    }
  }

  close(): void {
    for (const fd of this.#filesystems.values()) this.#host.close(fd);
    this.#filesystems.clear();
  }

  #syncMany(device: number, fds: readonly number[]): void {
    const filesystem = this.#filesystems.get(device);
    if (filesystem === undefined) {
      const opened = this.#host.openBeside(fds[0]!);
      if (opened !== null) this.#filesystems.set(device, opened);
      // What went wrong before it was opened only the files themselves can tell.
      return this.#syncEach(fds);
    }
    const begunMs = this.#host.nowMs();
    check(filesystem, this.#host.libc.syncFilesystem(filesystem));
    const endedMs = this.#host.nowMs();
    const tookMs = endedMs - begunMs;
    if (tookMs > fds.length * this.#fileMs) this.#slowUntilMs = endedMs + SLOW_TIMES * tookMs;
  }

  #syncEach(fds: readonly number[]): void {
    const begunMs = this.#host.nowMs();
    for (const fd of fds) check(fd, this.#host.libc.syncFile(fd));
    if (fds.length > 0) this.#fileMs = (this.#host.nowMs() - begunMs) / fds.length;
  }
}

function check(fd: number, errno: number): void {
  if (errno !== 0) throw new FileFault("sync", `descriptor ${fd}`, errnoName(errno));
}

/** Whether a Linux of this release, as `6.1.0-28-amd64`, tells by syncfs what it could not write. */
export function syncfsTells(release: string): boolean {
  const [major = 0, minor = 0] = release.split(".").map((part) => parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 8);
}
