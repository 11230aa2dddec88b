// The data directory: its lock, its folders and where things stand in it. Makes folders and removes queues' folders;
// reads and writes no file.

import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { FileLock, Runtime } from "../runtime/runtime.ts";

/** Only the broker's own user may look at messages and definitions. */
const DIRECTORY_MODE = 0o700;
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
  /** The folder of the spare segments. */
  readonly sparePath: string;
  readonly #queuesPath: string;
  #lock: FileLock | null;

  /** Makes the directory if need be, locks it, makes its folders. Throws a DataDirFault. */
  static open(directory: string, runtime: Pick<Runtime, "lock">): DataDir {
    const path = resolve(directory);
    try {
      makeDirectory(path);
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
      return new DataDir(path, lock);
    } catch (error) {
      lock.release();
      throw new DataDirFault(`data directory ${path} ${reason(error)}`, { cause: error });
    }
  }

  private constructor(path: string, lock: FileLock) {
    this.path = path;
    this.definitionsPath = join(path, "definitions.log");
    this.sparePath = join(path, "spare");
    this.#queuesPath = join(path, "queues");
    this.#lock = lock;
    makeDirectory(this.#queuesPath);
    makeDirectory(this.sparePath);
  }

  /** The folder of a queue; it is made by its store, with the first message. */
  queuePath(queueId: number): string {
    return join(this.#queuesPath, String(queueId).padStart(10, "0"));
  }

  /** Ids of the queues that have a folder, ascending. What is no queue's folder is passed over. */
  queueIds(): number[] {
    const ids: number[] = [];
    for (const entry of readdirSync(this.#queuesPath, { withFileTypes: true })) {
      if (!entry.isDirectory() || !QUEUE_DIRECTORY.test(entry.name)) continue;
      const id = Number(entry.name);
      if (id <= QUEUE_ID_MAX) ids.push(id);
    }
    return ids.sort((a, b) => a - b);
  }

  /**
   * Removes a queue's folder with all that is in it; its store must be closed. If the process dies halfway, the rest
   * is a folder without a definition, for the next start to remove.
   */
  removeQueue(queueId: number): void {
    rmSync(this.queuePath(queueId), { recursive: true, force: true });
  }

  /** Lets go of the lock. Idempotent. */
  close(): void {
    this.#lock?.release();
    this.#lock = null;
  }
}

/** Makes a directory and those above it if they are not there, durably. */
function makeDirectory(path: string): void {
  const found = find(path);
  if (found?.isDirectory()) return;
  if (found !== null) throw new Error(`${path} is a file`);
  makeDirectory(dirname(path));
  mkdirSync(path, { mode: DIRECTORY_MODE });
  // The umask may have taken bits away that we need.
  chmodSync(path, DIRECTORY_MODE);
  syncDirectory(dirname(path));
}

function find(path: string): Stats | null {
  try {
    return statSync(path);
  } catch (error) {
    // Not a directory: the file is further up, where it will be found.
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return null;
    throw error;
  }
}

/** So that a power cut does not take the new folder. A directory that we may not read we cannot sync. */
function syncDirectory(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return;
  }
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
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
