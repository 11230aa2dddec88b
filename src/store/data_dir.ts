// The data directory: its lock, its folders and where things stand in it. Makes folders and removes queues' folders;
// reads and writes no file.

import { dirname, join, resolve } from "node:path";
import type { Disk } from "../runtime/disk.ts";
import type { FileLock, Runtime } from "../runtime/runtime.ts";

/** A queue's id as the name of its folder; ids are u32 in the files. */
const QUEUE_DIRECTORY = /^[0-9]{10}$/;
const QUEUE_ID_MAX = 0xffffffff;
const SPARE_FILE = /^[0-9]{10}$/;
const OUR_NAMES =
  /^(lock|run|http\.sock|reserve|definitions\.log(\.new|\.damaged-[0-9]+)?|spare|transient|queues|orphans|lost\+found)$/;

/** The data directory cannot be used: one line that says which and why. */
export class DataDirFault extends Error {
  override readonly name = "DataDirFault";
}

export class DataDir {
  /** Absolute. */
  readonly path: string;
  /** `definitions.log`. */
  readonly definitionsPath: string;
  /** `http.sock`: where the HTTP API is listened on for the user who runs the broker. */
  readonly socketPath: string;
  /** `run`: see last_stop.ts. */
  readonly runPath: string;
  /** The folder of the spare segments. */
  readonly sparePath: string;
  readonly #queuesPath: string;
  readonly #orphansPath: string;
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
      const dataDir = new DataDir(path, lock, runtime.disk);
      makeDirectory(runtime.disk, dataDir.#queuesPath);
      makeDirectory(runtime.disk, dataDir.sparePath);
      // The queues' folders that a killed process made, too.
      syncDirectory(runtime.disk, dataDir.#queuesPath);
      return dataDir;
    } catch (error) {
      lock.release();
      throw new DataDirFault(`data directory ${path} ${reason(error)}`, { cause: error });
    }
  }

  /** As it is, with nothing made in it: for looking at it. Locked where it was ever locked. Throws a DataDirFault. */
  static look(directory: string, runtime: Pick<Runtime, "lockFound" | "disk">): DataDir {
    const path = resolve(directory);
    let lock: FileLock | null;
    try {
      const found = runtime.disk.stat(path);
      if (found === null) throw new Error("it is not there");
      if (!found.isDirectory) throw new Error(`${path} is a file`);
      lock = runtime.lockFound(join(path, "lock"));
    } catch (error) {
      throw new DataDirFault(`data directory ${path} ${reason(error)}`, { cause: error });
    }
    if (lock === null) throw new DataDirFault(`data directory ${path} is in use by another process`);
    const dataDir = new DataDir(path, lock, runtime.disk);
    if (runtime.disk.stat(dataDir.#queuesPath) !== null) return dataDir;
    if (runtime.disk.stat(dataDir.definitionsPath) !== null) return dataDir;
    dataDir.close();
    throw new DataDirFault(`${path} is no data directory: neither queues/ nor definitions.log is in it`);
  }

  private constructor(path: string, lock: FileLock, disk: Disk) {
    this.path = path;
    this.definitionsPath = join(path, "definitions.log");
    this.socketPath = join(path, "http.sock");
    this.runPath = join(path, "run");
    this.sparePath = join(path, "spare");
    this.#queuesPath = join(path, "queues");
    this.#orphansPath = join(path, "orphans");
    this.#lock = lock;
    this.#disk = disk;
  }

  /** The folder of a queue; it is made by its store, with the first message. */
  queuePath(queueId: number): string {
    return join(this.#queuesPath, String(queueId).padStart(10, "0"));
  }

  /** Ids of the queues that have a folder, ascending. What is no queue's folder is passed over. */
  queueIds(): number[] {
    return this.#idsIn(this.#queuesPath);
  }

  /** Ids of those that are kept in orphans/, ascending. */
  orphanIds(): number[] {
    return this.#idsIn(this.#orphansPath);
  }

  /** Paths of what we did not put there: in the directory itself, in queues/ and in spare/. */
  foreignPaths(): string[] {
    return [
      ...this.#foreignIn(this.path, OUR_NAMES),
      ...this.#foreignIn(this.#queuesPath, QUEUE_DIRECTORY),
      ...this.#foreignIn(this.sparePath, SPARE_FILE),
    ];
  }

  /** Moves a queue's folder to orphans/; false when that cannot be done now. */
  setAside(queueId: number): boolean {
    const to = this.#orphanPath(queueId);
    let free = to;
    for (let number = 2; this.#disk.stat(free) !== null; number++) free = `${to}-${number}`;
    return this.#move(this.queuePath(queueId), free);
  }

  /** Moves it back; false when that cannot be done now. */
  bringBack(queueId: number): boolean {
    return this.#move(this.#orphanPath(queueId), this.queuePath(queueId));
  }

  /**
   * Removes a queue's folder with all that is in it; its store must be closed. If the process dies halfway, the rest
   * is a folder without a definition, for the next start to remove.
   */
  removeQueue(queueId: number): void {
    this.#disk.removeTree(this.queuePath(queueId));
  }

  #orphanPath(queueId: number): string {
    return join(this.#orphansPath, String(queueId).padStart(10, "0"));
  }

  #move(from: string, to: string): boolean {
    try {
      makeDirectory(this.#disk, this.#orphansPath);
      this.#disk.rename(from, to);
      this.#disk.syncDirectory(dirname(to));
      this.#disk.syncDirectory(dirname(from));
      return true;
    } catch {
      return false;
    }
  }

  #idsIn(path: string): number[] {
    if (!this.#disk.stat(path)?.isDirectory) return [];
    const ids: number[] = [];
    for (const name of this.#disk.listDirectories(path)) {
      if (!QUEUE_DIRECTORY.test(name)) continue;
      const id = Number(name);
      if (id <= QUEUE_ID_MAX) ids.push(id);
    }
    return ids.sort((a, b) => a - b);
  }

  #foreignIn(path: string, ours: RegExp): string[] {
    if (!this.#disk.stat(path)?.isDirectory) return [];
    return this.#disk.list(path).filter((name) => !ours.test(name)).map((name) => join(path, name));
  }

  /** Lets go of the lock. Idempotent. */
  close(): void {
    this.#lock?.release();
    this.#lock = null;
  }
}

/**
 * Makes a directory and those above it if they are not there, durably. One that is there may have been made by a process
 * that was killed before it could see to that.
 */
function makeDirectory(disk: Disk, path: string): void {
  // Where a file is in the way further up, it will be found there.
  const found = disk.stat(path);
  if (found !== null && !found.isDirectory) throw new Error(`${path} is a file`);
  if (found === null) {
    makeDirectory(disk, dirname(path));
    disk.makeDirectory(path);
    disk.makePrivate(path);
  }
  syncDirectory(disk, dirname(path));
}

/** So that a power cut does not take what was made in it. A directory that we may not read we cannot sync. */
function syncDirectory(disk: Disk, path: string): void {
  let fd: number;
  try {
    fd = disk.open(path, "r");
  } catch {
    return;
  }
  try {
    disk.sync(fd);
  } catch (error) {
    // One that nothing was made in: the root of a container, say.
    if (errorCode(error) !== "EROFS" && errorCode(error) !== "EINVAL") throw error;
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
