// The seam: everything the broker needs of Bun or Deno, on one screen. bun.ts and deno.ts implement it as twins,
// loopback.ts in memory for tests. Nothing outside this folder names a runtime.

import type { OutBuffer } from "../lib/out_buffer.ts";
import type { Disk } from "./disk.ts";

export interface Runtime {
  readonly name: "bun" | "deno" | "loopback";
  /** Small files and directories. */
  readonly disk: Disk;
  /** Listens on TCP; port 0 picks a free one. Rejects with a ListenFault that names address and reason. */
  listen(address: Address, accept: (conn: Conn) => ConnHandler): Promise<Listener>;
  /** Connects over TCP. Rejects with a ConnectFault that names address and reason. */
  connect(address: Address, handler: (conn: Conn) => ConnHandler): Promise<Conn>;
  /** Memory-mapped segment files, or null where FFI or mmap is not to be had. */
  mappedFiles(): SegmentFiles | null;
  /** The same by read and write calls; works everywhere. */
  plainFiles(): SegmentFiles;
  /** A thread that makes files durable. */
  startSyncer(): Syncer;
  /** Takes an exclusive lock on a file, which is created if need be; null when another process has it. Dies with us. */
  lock(path: string): FileLock | null;
  /** The same without changing the file; where there is none nobody has it, and it is not made. */
  lockFound(path: string): FileLock | null;
}

export interface FileLock {
  release(): void;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Listener {
  /** What was really bound. */
  readonly address: Address;
  /** Accepts no more; open connections stay. */
  close(): Promise<void>;
}

/** One TCP connection. All callbacks of its handler come from the event loop, never from within a call of a method here. */
export interface Conn {
  readonly remote: Address;
  readonly local: Address;
  /** Written by the owner, sent by `flush`. */
  readonly out: OutBuffer;
  /** Bytes written and not yet taken by the kernel: the back-pressure signal. */
  readonly pending: number;
  /** Bytes that the kernel took, of all that were ever written. */
  readonly sentBytes: number;
  /** Hands what stands in `out` to the kernel; what it does not take follows by itself. */
  flush(): void;
  /** Stops reading, so that the peer is held back by TCP; `resume` goes on. */
  pause(): void;
  resume(): void;
  /**
   * Sends what is pending, then closes; what the peer still sends is read and dropped meanwhile, so that it gets our last
   * words. A peer that neither reads nor closes is cut off after 2 s without progress. A peer's FIN has the same effect.
   */
  close(): void;
  /** Closes at once, with what is pending lost. */
  abort(): void;
}

export interface ConnHandler {
  /**
   * Bytes arrived, at most 256 KiB; others have their turn before more is handed over. `chunk` is valid only during the
   * call. A throw aborts this connection alone.
   */
  onData(chunk: Uint8Array): void;
  /** After `pending` was above 0 it is 0 again. On Deno that is after every flush, on Bun only when the kernel was full. */
  onDrain(): void;
  /** Once, when the connection is gone, whoever ended it. Nothing follows. */
  onClose(error: Error | null): void;
}

/**
 * A file of fixed size, 1 GiB at most, whose every byte is allocated. Its owner is the only one that touches it. A bad
 * range is an assertion fault and touches nothing. Files in memory are gone when they are closed.
 */
export interface SegmentFile {
  readonly path: string;
  /** Size, bytes. */
  readonly capacity: number;
  /** The descriptor that the syncer takes; -1 in memory. */
  readonly fd: number;
  /** Copies source[from..from+count) to `at`. After it the bytes survive the death of the process. */
  write(at: number, source: Uint8Array, from: number, count: number): void;
  /** Copies `count` bytes from `at` to target[to..to+count). */
  read(at: number, target: Uint8Array, to: number, count: number): void;
  /** Moves the file; mapping and descriptor stay valid. */
  rename(path: string): void;
  /** Unmaps, closes the descriptor. Any later call is an assertion fault. Idempotent. */
  close(): void;
}

export interface SegmentFiles {
  readonly kind: "mapped" | "plain" | "memory";
  /** Where they lie, for what stands there beside them. */
  readonly disk: Disk;
  /** Creates and allocates (never sparse) a new file of `capacity` bytes, zeros. Throws a FileFault (code ENOSPC, EEXIST, ...). */
  create(path: string, capacity: number): SegmentFile;
  /** Opens a file that is there, with the size it has. */
  open(path: string): SegmentFile;
  /** `create` in the background, its pages populated, the file itself synced: the message path never pays for it. */
  prepare(path: string, capacity: number): Promise<SegmentFile>;
  /** Ends background work, without which the process does not end. Files stay open. */
  close(): Promise<void>;
}

export interface Syncer {
  /**
   * Makes what was written to the files before the call durable (fdatasync each; one syncfs when there are many),
   * then calls `done`: with null, or with the first error. One call at a time; descriptors stay open until `done`.
   * `mayBlock`: nobody has anything else to do, so that it may be done within the call, which saves the way to another
   * thread and back.
   */
  sync(fds: readonly number[], done: (fault: Error | null) => void, mayBlock?: boolean): void;
  /** Waits for the sync that runs, then ends the thread, without which the process does not end. */
  close(): Promise<void>;
}
