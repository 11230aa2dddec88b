// What mapped and plain segment files share: descriptors of files whose every byte is allocated, and the check of a
// range. All opening and allocating goes through node:fs, whose errors carry their names.

import fs from "node:fs";
import { dirname } from "node:path";
import { assert, AssertionFault } from "../lib/assert.ts";
import { errnoName, fileFault } from "./errno.ts";
import { FileFault } from "./fault.ts";
import type { Libc } from "./libc.ts";

/** A segment's size, bytes: offsets in it are small integers to both engines. */
export const CAPACITY_BYTES_MAX = 2 ** 30;
/** Zeros are written in pieces of this size: the kernel then keeps the file in pages as large, see `fillWithZeros`. */
const ZEROS_BYTES = 64 * 1024;

/** Opens a new file of `capacity` allocated bytes, all zeros. Removes it again when they cannot be had. */
export function createAllocated(path: string, capacity: number, libc: Libc | null): number {
  assertCapacity(path, capacity);
  const fd = openNew(path);
  try {
    // Some filesystems cannot allocate ahead (EOPNOTSUPP, EINVAL); zeros take up the space as well.
    const errno = libc === null ? -1 : libc.allocate(fd, capacity);
    const code = errno <= 0 ? "" : errnoName(errno);
    if (errno === -1 || code === "EOPNOTSUPP" || code === "ENOTSUP" || code === "EINVAL") {
      fillWithZeros(fd, path, capacity);
    } else if (errno !== 0) {
      throw new FileFault("allocate", path, code, `${capacity} bytes`);
    }
    return fd;
  } catch (error) {
    discard(fd, path);
    throw error;
  }
}

/**
 * Makes a file of `capacity` zeros and syncs it and its directory; slow, for threads. Written in pieces of 64 KiB rather
 * than allocated and populated: the page cache then holds pages of 64 KiB, a later mapping takes a fault per 64 KiB
 * instead of per 4 KiB (measured: 0.2 instead of 0.7 µs/KiB), and a sync has no unwritten extents to convert.
 */
export function createPrepared(path: string, capacity: number): void {
  assertCapacity(path, capacity);
  const fd = openNew(path);
  try {
    fillWithZeros(fd, path, capacity);
    fs.fdatasyncSync(fd);
    fs.closeSync(fd);
  } catch (error) {
    discard(fd, path);
    throw fileFault("prepare", path, error);
  }
  syncDirectory(dirname(path));
}

/** Opens a file that is there, with the size it has. What makes it larger than any of ours is not looked at. */
export function openAllocated(path: string): { fd: number; capacity: number } {
  let fd = -1;
  try {
    fd = fs.openSync(path, "r+");
    const capacity = Math.min(fs.fstatSync(fd).size, CAPACITY_BYTES_MAX);
    if (capacity === 0) throw new FileFault("open", path, "EINVAL", "a segment file of 0 bytes");
    return { fd, capacity };
  } catch (error) {
    if (fd >= 0) fs.closeSync(fd);
    throw fileFault("open", path, error);
  }
}

/** Closes and removes a file that did not come about. */
export function discard(fd: number, path: string): void {
  try {
    fs.closeSync(fd);
  } catch {
    // Closed already.
  }
  fs.rmSync(path, { force: true });
}

export function renameFile(from: string, to: string): void {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    throw fileFault("rename", from, error);
  }
}

/** Whether [at, at+count) lies in `capacity` (-1: closed) and [from, from+count) in an array of `length`. Hot. */
export function inRange(at: number, count: number, capacity: number, from: number, length: number): boolean {
  return (at | 0) === at && (from | 0) === from && (count | 0) === count && at >= 0 && from >= 0 && count >= 0 &&
    at + count <= capacity && from + count <= length;
}

/** The fault for a range that `inRange` refused. */
export function rangeFault(
  path: string,
  at: number,
  count: number,
  capacity: number,
  from: number,
  length: number,
): AssertionFault {
  if (capacity < 0) return new AssertionFault(`${path} is closed`);
  return new AssertionFault(
    `${path}: ${count} bytes at ${at} of ${capacity}, with ${from} of ${length} in memory, are out of bounds`,
  );
}

function assertCapacity(path: string, capacity: number): void {
  const valid = Number.isInteger(capacity) && capacity > 0 && capacity <= CAPACITY_BYTES_MAX;
  assert(valid, `${path}: a capacity of 1 to ${CAPACITY_BYTES_MAX} bytes expected, ${capacity} found`);
}

function openNew(path: string): number {
  try {
    return fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL, 0o600);
  } catch (error) {
    throw fileFault("create", path, error);
  }
}

/** A disk that fills up shows itself as a short count (Bun) or as an error (Deno). */
function fillWithZeros(fd: number, path: string, capacity: number): void {
  const zeros = new Uint8Array(Math.min(capacity, ZEROS_BYTES));
  try {
    for (let at = 0; at < capacity;) {
      const written = fs.writeSync(fd, zeros, 0, Math.min(zeros.length, capacity - at), at);
      if (written === 0) throw new FileFault("allocate", path, "ENOSPC", `${at} of ${capacity} bytes`);
      at += written;
    }
  } catch (error) {
    throw fileFault("allocate", path, error);
  }
}

function syncDirectory(path: string): void {
  try {
    const fd = fs.openSync(path, "r");
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    throw fileFault("sync directory", path, error);
  }
}
