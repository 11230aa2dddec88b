// What stands on disk beside the segments: small files, their names, and directories, by blocking calls. The store
// reaches the disk only through this and through segment files, so that a simulation can stand in for both.

import fs from "node:fs";
import { join } from "node:path";
import { fileFault } from "./errno.ts";

/** Only the broker's own user may look at messages and definitions. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/**
 * Errors are those of node:fs, or FileFaults: they carry errno's name as `code`. What is written survives the process at once, a power
 * cut only after a sync: of the file for its bytes, of the directory for the names in it.
 */
export interface Disk {
  // Files, by descriptor

  /** "r" reads, or is for syncing a directory; "r+" changes what is there; "w+" begins a new file or empties an old one. */
  open(path: string, flags: "r" | "r+" | "w+"): number;
  close(fd: number): void;
  /** Returns how many bytes were read: 0 at the end of the file. */
  read(fd: number, bytes: Uint8Array, to: number, count: number, at: number): number;
  /** Returns how many bytes were written: on a disk that fills up fewer than `count`, or it throws ENOSPC. */
  write(fd: number, bytes: Uint8Array, from: number, count: number, at: number): number;
  truncate(fd: number, bytes: number): void;
  sync(fd: number): void;

  // Files, by path

  /** Null when there is none. */
  readFile(path: string): Uint8Array | null;
  writeFile(path: string, bytes: Uint8Array): void;
  /** Throws EEXIST when `to` is there. */
  copyFile(path: string, to: string): void;

  // Names

  stat(path: string): Stat | null;
  rename(from: string, to: string): void;
  /** A second name for a file. Throws EEXIST when `to` is there. */
  link(path: string, to: string): void;
  /** Of a file; it need not be there. */
  remove(path: string): void;

  // Directories

  /** Makes a directory and those above it; returns the first one that was made, null when all were there. */
  makeDirectory(path: string): string | null;
  /** Whatever the umask took away. */
  makePrivate(path: string): void;
  /** Names of what is in it. */
  list(path: string): string[];
  /** What is in it; a link counts as what it leads to. */
  entries(path: string): DiskEntry[];
  /** Names of the directories in it. */
  listDirectories(path: string): string[];
  /** With all that is in it; it need not be there. */
  removeTree(path: string): void;
  syncDirectory(path: string): void;
  /** Of the filesystem with this path. */
  freeBytes(path: string): number;
}

export interface DiskEntry {
  readonly name: string;
  readonly kind: "file" | "directory" | "other";
}

export interface Stat {
  readonly isDirectory: boolean;
  readonly bytes: number;
}

/** The disk of this machine. */
export const systemDisk: Disk = {
  open: (path, flags) => fs.openSync(path, flags, FILE_MODE),
  close: (fd) => fs.closeSync(fd),
  read: (fd, bytes, to, count, at) => fs.readSync(fd, bytes, to, count, at),
  write(fd, bytes, from, count, at) {
    try {
      return fs.writeSync(fd, bytes, from, count, at);
    } catch (error) {
      throw fileFault("write", pathOf(fd), error);
    }
  },
  truncate: (fd, bytes) => fs.ftruncateSync(fd, bytes),
  sync(fd) {
    try {
      fs.fsyncSync(fd);
    } catch (error) {
      throw fileFault("sync", pathOf(fd), error);
    }
  },

  readFile: (path) => unlessAbsent(() => fs.readFileSync(path)),
  writeFile: (path, bytes) => fs.writeFileSync(path, bytes, { mode: FILE_MODE }),
  copyFile: (path, to) => fs.copyFileSync(path, to, fs.constants.COPYFILE_EXCL),

  stat(path) {
    // Not by exception: most of what is asked for is not there.
    const found = unlessAbsent(() => fs.statSync(path, { throwIfNoEntry: false }));
    return found === null || found === undefined ? null : { isDirectory: found.isDirectory(), bytes: found.size };
  },
  rename: (from, to) => fs.renameSync(from, to),
  link: (path, to) => fs.linkSync(path, to),
  remove: (path) => fs.rmSync(path, { force: true }),

  makeDirectory: (path) => fs.mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE }) ?? null,
  makePrivate: (path) => fs.chmodSync(path, DIRECTORY_MODE),
  list: (path) => fs.readdirSync(path),
  entries(path) {
    return fs.readdirSync(path, { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      kind: kindOf(path, entry),
    }));
  },
  listDirectories(path) {
    return fs.readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  },
  removeTree: (path) => fs.rmSync(path, { recursive: true, force: true }),
  syncDirectory(path) {
    const fd = fs.openSync(path, "r");
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  },
  freeBytes(path) {
    const { bavail, bsize } = fs.statfsSync(path);
    return bavail * bsize;
  },
};

/** Not every file system tells with the name what an entry is. */
function kindOf(path: string, entry: fs.Dirent): DiskEntry["kind"] {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "directory";
  const found = unlessAbsent(() => fs.statSync(join(path, entry.name), { throwIfNoEntry: false }));
  return found?.isFile() ? "file" : found?.isDirectory() ? "directory" : "other";
}

/** For an error: node:fs does not say of which file it is. */
function pathOf(fd: number): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return `descriptor ${fd}`;
  }
}

/** What `ask` finds; null when the path does not lead there. */
function unlessAbsent<T>(ask: () => T): T | null {
  try {
    return ask();
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}
