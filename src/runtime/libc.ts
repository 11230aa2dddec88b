// What we need of the C library, and how to find it. libc_bun.ts and libc_deno.ts are the twins that declare it to
// either FFI. Linux only: macOS has no posix_fallocate and no syncfs, and its fdatasync does not reach the disk, so that
// there files are read and written, and synced, by node:fs.

import process from "node:process";
import { hostRuntime } from "./host.ts";

export const PROT_READ_WRITE = 1 | 2;
export const MAP_SHARED = 1;
export const LOCK_EXCLUSIVE_NOW = 2 | 4;

/** The functions of libc that we call. A result called errno is 0 when all went well. */
export interface Libc {
  /** Gives every byte of the file a block on the disk; returns errno (ENOSPC, ...). */
  allocate(fd: number, bytes: number): number;
  /** Maps the first `bytes` bytes, shared, for reading and writing; returns errno on failure. */
  map(fd: number, bytes: number): Mapping | number;
  /** Writes source[from..from+count) at `at`; returns how much was taken, or -errno. */
  writeAt(fd: number, at: number, source: Uint8Array, from: number, count: number): number;
  /** Makes what was written to the file, or directory, durable (fdatasync); returns errno. */
  syncFile(fd: number): number;
  /** Makes everything durable that was written to the filesystem on which the file lies; returns errno. */
  syncFilesystem(fd: number): number;
  /** Takes the exclusive lock of an open file, which goes with the descriptor; returns errno (EAGAIN: taken). */
  lock(fd: number): number;
}

/** A mapped file's memory. Checks NOTHING: mapped_file.ts is its only user and asserts every bound. */
export interface Mapping {
  write(at: number, source: Uint8Array, from: number, count: number): void;
  read(at: number, target: Uint8Array, to: number, count: number): void;
  unmap(): void;
}

/** Names under which the C library may be found: glibc, then musl. Empty where we do not use it. */
export function libcNames(): readonly string[] {
  if (process.platform !== "linux") return [];
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  return ["libc.so.6", `libc.musl-${machine}.so.1`];
}

/** The C library through the FFI of the runtime that runs us, or null where there is none. For threads; twins import theirs. */
export async function loadLibc(): Promise<Libc | null> {
  switch (hostRuntime()) {
    case "bun":
      return (await import("./libc_bun.ts")).openLibc();
    case "deno":
      return (await import("./libc_deno.ts")).openLibc();
    case null:
      return null;
  }
}
