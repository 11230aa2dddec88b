// libc through Deno.dlopen. Twin of libc_bun.ts. A mapping is one view: Deno does not count it as heap, and copying by
// views is far cheaper than an FFI call with a buffer.

import { copyBytes } from "../lib/out_buffer.ts";
import { type Libc, libcNames, LOCK_EXCLUSIVE_NOW, MAP_SHARED, type Mapping, PROT_READ_WRITE } from "./libc.ts";

const DECLARATIONS = {
  posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32" },
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  // The count fits 31 bits, and the low half of a ssize_t saves a bigint per call.
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  fdatasync: { parameters: ["i32"], result: "i32" },
  syncfs: { parameters: ["i32"], result: "i32" },
  flock: { parameters: ["i32", "i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const;

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

type Symbols = Deno.DynamicLibrary<typeof DECLARATIONS>["symbols"];

/** The C library, or null where it cannot be loaded. */
export function openLibc(): Libc | null {
  for (const name of libcNames()) {
    try {
      return new DenoLibc(Deno.dlopen(name, DECLARATIONS).symbols);
    } catch {
      // Not the C library of this system, or --allow-ffi is missing: the next name, or none.
    }
  }
  return null;
}

class DenoLibc implements Libc {
  readonly #symbols: Symbols;

  constructor(symbols: Symbols) {
    this.#symbols = symbols;
  }

  allocate(fd: number, bytes: number): number {
    return this.#symbols.posix_fallocate(fd, 0n, BigInt(bytes));
  }

  map(fd: number, bytes: number): Mapping | number {
    const address = this.#symbols.mmap(0n, BigInt(bytes), PROT_READ_WRITE, MAP_SHARED, fd, 0n);
    if (address === null || BigInt(Deno.UnsafePointer.value(address)) === MAP_FAILED) return this.#errno();
    return new DenoMapping(this.#symbols, address, bytes);
  }

  writeAt(fd: number, at: number, source: Uint8Array, from: number, count: number): number {
    const piece = source.subarray(from, from + count) as Uint8Array<ArrayBuffer>;
    // Deno takes numbers for 64-bit integers, whatever its types say; they cost less.
    const written = this.#symbols.pwrite(fd, piece, count as unknown as bigint, at as unknown as bigint);
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
    return new Deno.UnsafePointerView(this.#symbols.__errno_location()!).getInt32(0);
  }
}

class DenoMapping implements Mapping {
  readonly munmap: Symbols["munmap"];
  readonly address: Deno.PointerObject;
  readonly view: Uint8Array;

  constructor(symbols: Symbols, address: Deno.PointerObject, bytes: number) {
    this.munmap = symbols.munmap;
    this.address = address;
    this.view = new Uint8Array(new Deno.UnsafePointerView(address).getArrayBuffer(bytes));
  }

  /** Hot. */
  write(at: number, source: Uint8Array, from: number, count: number): void {
    copyBytes(source, from, this.view, at, count);
  }

  /** Hot. */
  read(at: number, target: Uint8Array, to: number, count: number): void {
    copyBytes(this.view, at, target, to, count);
  }

  unmap(): void {
    this.munmap(this.address, BigInt(this.view.length));
  }
}
