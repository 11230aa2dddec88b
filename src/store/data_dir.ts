// The data directory: its lock, its folders and where things stand in it. Makes folders and removes queues' folders;
// reads and writes no file.

import { dirname, join, resolve } from "node:path";
import type { Disk } from "../runtime/disk.ts";
import type { FileLock, Runtime } from "../runtime/runtime.ts";

/** A queue's id as the name of its folder; ids are u32 in the files. */
const QUEUE_DIRECTORY = /^[0-9]{10}$/;
const QUEUE_ID_MAX = 0xffffffff;

/** The data directory cannot be used: one line that says which and why. */
export class DataDirFault extends Error {
  override readonly name = "DataDirFault";
}

export class DataDir {
  /** Absolute. */
  readonly path: string;
  /** `definitions.log`. */
  readonly definitionsPath: string;
  /** `run`: see last_stop.ts. */
  readonly runPath: string;
  /** The folder of the spare segments. */
  readonly sparePath: string;
  readonly #queuesPath: string;
  readonly #disk: Disk;
  #lock: FileLock | null;

  /** Makes the directory if need be, locks it, makes its folders. Throws a DataDirFault. */
  static open(directory: string, runtime: Pick<Runtime, "lock" | "disk">): DataDir {
    const path = resolve(directory);
    try {
      makeDirectory(runtime.disk, path);
    } catch (error) {
      throw new DataDirFault(`data directory ${path} ${reason(error)}`, { cause: error });
    }
    let lock: FileLock | null;
    try {
      lock = runtime.lock(join(path, "lock"));
    } catch (error) {
      throw new DataDirFault(`data directory ${path} ${reason(error)}`, { cause: error });
    }
    if (lock === null) throw new DataDirFault(`data directory ${path} is in use by another process`);
    try {
      return new DataDir(path, lock, runtime.disk);
    } catch (error) {
      lock.release();
      throw new DataDirFault(`data directory ${path} ${reason(error)}`, { cause: error });
    }
  }

  private constructor(path: string, lock: FileLock, disk: Disk) {
    this.path = path;
    this.definitionsPath = join(path, "definitions.log");
    this.runPath = join(path, "run");
    this.sparePath = join(path, "spare");
    this.#queuesPath = join(path, "queues");
    this.#lock = lock;
    this.#disk = disk;
    makeDirectory(disk, this.#queuesPath);
    makeDirectory(disk, this.sparePath);
  }

  /** The folder of a queue; it is made by its store, with the first message. */
  queuePath(queueId: number): string {
    return join(this.#queuesPath, String(queueId).padStart(10, "0"));
  }

  /** Ids of the queues that have a folder, ascending. What is no queue's folder is passed over. */
  queueIds(): number[] {
    const ids: number[] = [];
    for (const name of this.#disk.listDirectories(this.#queuesPath)) {
      if (!QUEUE_DIRECTORY.test(name)) continue;
      const id = Number(name);
      if (id <= QUEUE_ID_MAX) ids.push(id);
    }
    return ids.sort((a, b) => a - b);
  }

  /**
   * Removes a queue's folder with all that is in it; its store must be closed. If the process dies halfway, the rest
   * is a folder without a definition, for the next start to remove.
   */
  removeQueue(queueId: number): void {
    this.#disk.removeTree(this.queuePath(queueId));
  }

  /** Lets go of the lock. Idempotent. */
  close(): void {
    this.#lock?.release();
    this.#lock = null;
  }
}

/** Makes a directory and those above it if they are not there, durably. */
function makeDirectory(disk: Disk, path: string): void {
  // Where a file is in the way further up, it will be found there.
  const found = disk.stat(path);
  if (found?.isDirectory) return;
  if (found !== null) throw new Error(`${path} is a file`);
  makeDirectory(disk, dirname(path));
  disk.makeDirectory(path);
  disk.makePrivate(path);
  syncDirectory(disk, dirname(path));
}

/** So that a power cut does not take the new folder. A directory that we may not read we cannot sync. */
function syncDirectory(disk: Disk, path: string): void {
  let fd: number;
  try {
    fd = disk.open(path, "r");
  } catch {
    return;
  }
  try {
    disk.sync(fd);
  } finally {
    disk.close(fd);
  }
}

/** Continues "data directory X ...". */
function reason(error: unknown): string {
  const code = errorCode(error);
  switch (code) {
    case "EACCES":
    case "EPERM":
      return `is not writable: permission denied (${code})`;
    case "EROFS":
      return "is not writable: the file system is read-only (EROFS)";
    case "ENOSPC":
      return "cannot be made: no space is left (ENOSPC)";
    default:
      return `cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
