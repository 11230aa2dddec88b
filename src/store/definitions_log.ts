// The definitions log: the topology as a sequence of JSON entries in one file (drawn in docs/file_formats.md). Owns the
// file; knows nothing of what the entries mean. Opening reads it, drops what is damaged and says so; appending is
// buffered until the end of the turn; compaction replaces the file by a shorter one.

import { dirname } from "node:path";
import { assert } from "../lib/assert.ts";
import type { Disk } from "../runtime/disk.ts";
import { FileFault } from "../runtime/fault.ts";
import {
  type DefinitionsEntry,
  EntryBuffer,
  HEADER_BYTES,
  headerBytes,
  isHeaderIntact,
  isTornHeader,
  type Scan,
  scanEntries,
} from "./definitions_format.ts";
import { readFound } from "./found_file.ts";
import type { CommitSink } from "./queue_store_host.ts";
import type { StoreEvent } from "./store_event.ts";

export type { DefinitionsEntry } from "./definitions_format.ts";

/** What a log needs of GroupCommit. */
export type DefinitionsCommit = Pick<CommitSink, "touch" | "dirty" | "release">;

export interface Definitions {
  /** Entries in the file, with those that the end of this turn writes. */
  readonly entryCount: number;
  /** Written at the end of the turn. Throws a StoreFault if the entry is too large. */
  append(entry: DefinitionsEntry): void;
  /**
   * Rewrites the log with just these entries, which must say all that was appended so far; on disk when it returns.
   * Throws when it cannot (a full disk): the log goes on as it was. A fault of `sync` is as fatal as one of GroupCommit.
   */
  compact(entries: Iterable<DefinitionsEntry>): void;
  /** Flush and sync first (GroupCommit.drain). Idempotent. */
  close(): void;
}

export class DefinitionsLog implements Definitions {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #commit: DefinitionsCommit;
  #file: OpenFile;
  #entryCount: number;
  readonly #buffer = new EntryBuffer();
  #touched = false;
  #closed = false;

  /**
   * Opens or creates the log and gives every intact entry, in order, to `replay`. An unknown version is a StoreFault;
   * damage is dropped from the file, which is kept aside, and reported.
   */
  static open(
    disk: Disk,
    path: string,
    commit: DefinitionsCommit,
    replay: (entry: DefinitionsEntry) => void,
    report: (event: StoreEvent) => void,
  ): DefinitionsLog {
    disk.remove(newPath(path));
    const found = examineDefinitions(disk, path);
    if (found.isDamaged) keepAside(disk, path);
    const file = writeAnew(disk, path, found);
    for (const event of found.events) report(event);
    try {
      for (const { entry } of found.scan.entries) replay(entry);
    } catch (error) {
      disk.close(file.fd);
      throw error;
    }
    return new DefinitionsLog(disk, path, commit, file, found.scan.entries.length);
  }

  private constructor(disk: Disk, path: string, commit: DefinitionsCommit, file: OpenFile, entryCount: number) {
    this.#disk = disk;
    this.#path = path;
    this.#commit = commit;
    this.#file = file;
    this.#entryCount = entryCount;
  }

  get entryCount(): number {
    return this.#entryCount;
  }

  append(entry: DefinitionsEntry): void {
    assert(!this.#closed, `append to ${this.#path} after it was closed`);
    this.#buffer.push(this.#path, entry);
    this.#entryCount += 1;
    if (this.#touched) return;
    this.#touched = true;
    this.#commit.touch(this);
  }

  /** For GroupCommit. After a failure the buffer stands as it was. */
  flush(): void {
    this.#touched = false;
    const count = this.#buffer.length;
    if (count === 0) return;
    writeAll(this.#disk, this.#path, this.#file.fd, this.#buffer.bytes, count, this.#file.end);
    this.#file.end += count;
    this.#buffer.clear();
    this.#commit.dirty(this.#file.fd);
  }

  compact(entries: Iterable<DefinitionsEntry>): void {
    const whole = new EntryBuffer();
    let count = 0;
    for (const entry of entries) {
      whole.push(this.#path, entry);
      count += 1;
    }
    const disk = this.#disk;
    const old = this.#file.fd;
    this.#file = putInPlace(disk, this.#path, writeBeside(disk, this.#path, whole));
    this.#entryCount = count;
    this.#buffer.clear();
    this.#commit.release(old, true, () => disk.close(old));
    disk.syncDirectory(dirname(this.#path));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#disk.close(this.#file.fd);
  }
}

interface OpenFile {
  readonly fd: number;
  /** Where the next entry is written. */
  end: number;
}

/** A definitions log as it was found. */
export interface FoundDefinitions {
  /** There is no file. */
  readonly isMissing: boolean;
  /** More than a torn tail: the file is kept aside. */
  readonly isDamaged: boolean;
  readonly bytes: Uint8Array;
  readonly scan: Scan;
  readonly events: readonly StoreEvent[];
}

/** Looks at a log and changes nothing. Throws a StoreFault for an unknown version. */
export function examineDefinitions(disk: Disk, path: string): FoundDefinitions {
  const found = readFound(disk, path);
  const bytes = found ?? new Uint8Array(0);
  const isTorn = isTornHeader(bytes);
  const isHeaded = isTorn || isHeaderIntact(path, bytes);
  const scan = scanEntries(bytes);
  const events: StoreEvent[] = [];
  const damage = (from: number, to: number, what: string) => {
    const detail = `${what}; the whole file is kept beside it`;
    events.push({ kind: "damaged-definitions", path, offset: from, bytes: to - from, detail });
  };
  if (!isHeaded) damage(0, Math.min(HEADER_BYTES, bytes.length), "the header is damaged");
  for (const { from, to } of scan.gaps) damage(from, to, "changes of the topology that stood here are lost");
  const tail = isTorn ? 0 : scan.end;
  if (tail < bytes.length) {
    events.push({ kind: "torn-tail", path, offset: tail, bytes: bytes.length - tail, detail: "cut" });
  }
  return {
    isMissing: found === null,
    isDamaged: !isHeaded || scan.gaps.length > 0,
    bytes,
    scan,
    events,
  };
}

/**
 * Goes on with a new file of what is intact, at every start: what was read may stand in the page cache alone, left there by
 * a process that was killed, or by a sync that failed, after which a later one of the same bytes succeeds and does nothing.
 */
function writeAnew(disk: Disk, path: string, { isMissing, bytes, scan }: FoundDefinitions): OpenFile {
  const intact = new EntryBuffer();
  intact.bytes = new Uint8Array(bytes.length);
  for (const run of scan.entries) {
    intact.bytes.set(bytes.subarray(run.from, run.to), intact.length);
    intact.length += run.to - run.from;
  }
  try {
    const file = putInPlace(disk, path, writeBeside(disk, path, intact));
    disk.syncDirectory(dirname(path));
    return file;
  } catch (error) {
    if (isMissing || (errorCode(error) !== "ENOSPC" && errorCode(error) !== "EDQUOT")) throw error;
    return mendInPlace(disk, path, scan);
  }
}

/** There is no room for a second file: the header is written over, and what is damaged is passed over once more. */
function mendInPlace(disk: Disk, path: string, { end }: Scan): OpenFile {
  const fd = disk.open(path, "r+");
  writeAll(disk, path, fd, headerBytes(), HEADER_BYTES, 0);
  const file = { fd, end: Math.max(end, HEADER_BYTES) };
  disk.truncate(fd, file.end);
  disk.sync(fd);
  disk.syncDirectory(dirname(path));
  return file;
}

/** A second name for the file, which costs no space on a disk that may be full; a copy where links do not exist. */
function keepAside(disk: Disk, path: string): void {
  for (let stampMs = Date.now();; stampMs++) {
    const keptAs = `${path}.damaged-${stampMs}`;
    try {
      return disk.link(path, keptAs);
    } catch (error) {
      if (errorCode(error) === "EEXIST") continue;
    }
    try {
      return disk.copyFile(path, keptAs);
    } catch {
      // Not even room for a copy: what is intact matters more.
      return disk.remove(keptAs);
    }
  }
}

/** Writes a whole new log beside the old one and makes it durable. */
function writeBeside(disk: Disk, path: string, entries: EntryBuffer): OpenFile {
  const beside = newPath(path);
  const fd = disk.open(beside, "w+");
  try {
    writeAll(disk, beside, fd, headerBytes(), HEADER_BYTES, 0);
    writeAll(disk, beside, fd, entries.bytes, entries.length, HEADER_BYTES);
    disk.sync(fd);
  } catch (error) {
    abandon(disk, beside, fd);
    throw error;
  }
  return { fd, end: HEADER_BYTES + entries.length };
}

/** Gives the new log the old one's name. At any moment one of them stands there, whole. */
function putInPlace(disk: Disk, path: string, file: OpenFile): OpenFile {
  try {
    disk.rename(newPath(path), path);
  } catch (error) {
    abandon(disk, newPath(path), file.fd);
    throw error;
  }
  return file;
}

function abandon(disk: Disk, path: string, fd: number): void {
  disk.close(fd);
  disk.remove(path);
}

/** On a filling disk a write may be short without an error; the next one then says why. */
function writeAll(disk: Disk, path: string, fd: number, bytes: Uint8Array, count: number, at: number): void {
  for (let done = 0; done < count;) {
    const written = disk.write(fd, bytes, done, count - done, at + done);
    if (written === 0) throw new FileFault("write", path, "EIO", `stopped at ${done} of ${count} bytes`);
    done += written;
  }
}

function newPath(path: string): string {
  return `${path}.new`;
}

function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
