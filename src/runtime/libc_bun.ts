// libc through bun:ffi. Twin of libc_deno.ts. A mapping is an address, never a view: Bun counts every mapped view as
// live heap. Addresses stay below 2^53 and are numbers; MAP_FAILED is not and comes as a bigint.

import { dlopen, FFIType, type Pointer, ptr, read } from "bun:ffi";
import { type Libc, libcNames, LOCK_EXCLUSIVE_NOW, MAP_SHARED, type Mapping, PROT_READ_WRITE } from "./libc.ts";

/** The declarations stand in the call: its types come from the literal. */
function load(name: string) {
  return dlopen(name, {
    posix_fallocate: { args: ["i32", "i64", "i64"], returns: "i32" },
    mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
    munmap: { args: ["ptr", "u64"], returns: "i32" },
    memcpy: { args: ["ptr", "ptr", "u64"], returns: "void" },
    pwrite: { args: ["i32", "ptr", "u64", "i64"], returns: FFIType.i64_fast },
    fdatasync: { args: ["i32"], returns: "i32" },
    syncfs: { args: ["i32"], returns: "i32" },
    flock: { args: ["i32", "i32"], returns: "i32" },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
}

type Symbols = ReturnType<typeof load>;

/** The C library, or null where it cannot be loaded. */
export function openLibc(): Libc | null {
  for (const name of libcNames()) {
    try {
      return new BunLibc(load(name));
    } catch {
      // Not the C library of this system: the next name, or none.
    }
  }
  return null;
}

class BunLibc implements Libc {
  readonly #symbols: Symbols;

  constructor(symbols: Symbols) {
    this.#symbols = symbols;
  }

  allocate(fd: number, bytes: number): number {
    return this.#symbols.posix_fallocate(fd, 0, bytes);
  }

  map(fd: number, bytes: number): Mapping | number {
    const address = this.#symbols.mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0);
    if (typeof address !== "number") return this.#errno();
    return new BunMapping(this.#symbols, address, bytes);
  }

  writeAt(fd: number, at: number, source: Uint8Array, from: number, count: number): number {
    const written = Number(this.#symbols.pwrite(fd, ptr(source, from), count, at));
    return written < 0 ? -this.#errno() : written;
  }

  syncFile(fd: number): number {
    return this.#symbols.fdatasync(fd) === 0 ? 0 : this.#errno();
  }

  syncFilesystem(fd: number): number {
    return this.#symbols.syncfs(fd) === 0 ? 0 : this.#errno();
  }

  lock(fd: number): number {
    return this.#symbols.flock(fd, LOCK_EXCLUSIVE_NOW) === 0 ? 0 : this.#errno();
  }

  /** Valid only right behind the call that failed. */
  #errno(): number {
    return read.i32(this.#symbols.__errno_location()!, 0);
  }
}

class BunMapping implements Mapping {
  readonly memcpy: Symbols["memcpy"];
  readonly munmap: Symbols["munmap"];
  readonly address: number;
  readonly bytes: number;

  constructor(symbols: Symbols, address: number, bytes: number) {
    this.memcpy = symbols.memcpy;
    this.munmap = symbols.munmap;
    this.address = address;
    this.bytes = bytes;
  }

  /** Hot. `ptr` with an offset costs a third of what a subarray does. */
  write(at: number, source: Uint8Array, from: number, count: number): void {
    if (count === 0) return;
    this.memcpy((this.address + at) as Pointer, from === 0 ? source : ptr(source, from), count);
  }

  /** Hot. */
  read(at: number, target: Uint8Array, to: number, count: number): void {
    if (count === 0) return;
    this.memcpy(to === 0 ? target : ptr(target, to), (this.address + at) as Pointer, count);
  }

  unmap(): void {
    this.munmap(this.address as Pointer, this.bytes);
  }
}
