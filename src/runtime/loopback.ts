// The runtime in memory, for tests: connections between a listener and a connect of the same instance. Each direction
// has a small bounded buffer in the place of the kernel's, so that short writes, `pending`, `onDrain` and pausing happen
// all the time. A chunk is overwritten when its onData returns, so that whoever keeps one is found out.

import { BufferPool, copyBytes, OutBuffer } from "../lib/out_buffer.ts";
import { addressText } from "./address.ts";
import { systemDisk } from "./disk.ts";
import { ConnectFault, ListenFault } from "./fault.ts";
import { CLOSE_LINGER_MS } from "./linger.ts";
import { MemoryFiles } from "./memory_file.ts";
import type { Address, Conn, ConnHandler, FileLock, Listener, Runtime, SegmentFiles, Syncer } from "./runtime.ts";

const KERNEL_BYTES = 64 * 1024;
/** What a chunk's memory holds after its onData. */
const POISON = 0xdb;
const FIRST_FREE_PORT = 49_152;

type Accept = (conn: Conn) => ConnHandler;

export interface LoopbackOptions {
  /** What one direction of a connection holds in transit, bytes. */
  readonly kernelBytes?: number;
  /** The largest chunk given to onData, bytes. */
  readonly chunkBytesMax?: number;
  /** How long a close waits for a peer that neither reads nor closes. */
  readonly lingerMs?: number;
  /** Where segments lie: in memory unless said otherwise. */
  readonly files?: SegmentFiles;
}

interface Limits {
  readonly kernelBytes: number;
  readonly chunkBytesMax: number;
  readonly lingerMs: number;
}

export class LoopbackRuntime implements Runtime {
  readonly name = "loopback";
  readonly disk = systemDisk;
  readonly #pool = new BufferPool();
  readonly #listeners = new Map<string, Accept>();
  readonly #locks = new Set<string>();
  readonly #limits: Limits;
  readonly #files: SegmentFiles;
  #lastPort = FIRST_FREE_PORT - 1;

  constructor(options: LoopbackOptions = {}) {
    const kernelBytes = options.kernelBytes ?? KERNEL_BYTES;
    this.#limits = {
      kernelBytes,
      chunkBytesMax: options.chunkBytesMax ?? kernelBytes,
      lingerMs: options.lingerMs ?? CLOSE_LINGER_MS,
    };
    this.#files = options.files ?? new MemoryFiles();
  }

  listen(address: Address, accept: Accept): Promise<Listener> {
    const bound = address.port === 0 ? { host: address.host, port: ++this.#lastPort } : address;
    const text = addressText(bound.host, bound.port);
    if (this.#listeners.has(text)) {
      return Promise.reject(new ListenFault(`cannot listen on ${text}: address already in use`));
    }
    this.#listeners.set(text, accept);
    return Promise.resolve({
      address: bound,
      close: () => {
        if (this.#listeners.get(text) === accept) this.#listeners.delete(text);
        return Promise.resolve();
      },
    });
  }

  connect(address: Address, handler: Accept): Promise<Conn> {
    const text = addressText(address.host, address.port);
    const accept = this.#listeners.get(text);
    if (accept === undefined) {
      return Promise.reject(new ConnectFault(`cannot connect to ${text}: connection refused`));
    }
    const local = { host: address.host, port: ++this.#lastPort };
    const near = new LoopbackConn(local, address, this.#pool, this.#limits);
    const far = new LoopbackConn(address, local, this.#pool, this.#limits);
    near.peer = far;
    far.peer = near;
    return new Promise((resolve) => {
      setImmediate(() => {
        far.opened(accept);
        near.opened(handler);
        resolve(near);
      });
    });
  }

  mappedFiles(): SegmentFiles | null {
    return null;
  }

  plainFiles(): SegmentFiles {
    return this.#files;
  }

  startSyncer(): Syncer {
    return {
      sync(_fds, done) {
        setImmediate(done, null);
      },
      close() {
        return Promise.resolve();
      },
    };
  }

  lockFound(path: string): FileLock | null {
    return this.lock(path);
  }

  lock(path: string): FileLock | null {
    if (this.#locks.has(path)) return null;
    this.#locks.add(path);
    let held = true;
    return {
      release: () => {
        if (held) this.#locks.delete(path);
        held = false;
      },
    };
  }
}

class LoopbackConn implements Conn {
  readonly local: Address;
  readonly remote: Address;
  readonly out: OutBuffer;
  peer!: LoopbackConn;
  handler: ConnHandler | null = null;
  /** Bytes on their way to us. */
  readonly kernel: Uint8Array;
  kernelCount = 0;
  readonly limits: Limits;

  blocked = false;
  sentBytes = 0;
  paused = false;
  closing = false;
  /** Our FIN is sent, behind what stands in the peer's kernel buffer. */
  finished = false;
  closed = false;
  deliveryPlanned = false;
  linger: ReturnType<typeof setTimeout> | null = null;

  constructor(local: Address, remote: Address, pool: BufferPool, limits: Limits) {
    this.local = local;
    this.remote = remote;
    this.out = new OutBuffer(pool);
    this.kernel = new Uint8Array(limits.kernelBytes);
    this.limits = limits;
  }

  get pending(): number {
    return this.out.length;
  }

  flush(): void {
    if (this.blocked) return;
    if (this.closed || this.finished) this.out.clear();
    else this.#write();
  }

  pause(): void {
    if (!this.closing) this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#planDelivery();
  }

  close(): void {
    if (this.closing || this.closed) return;
    this.closing = true;
    this.resume();
    this.#armLinger();
    if (!this.blocked) this.#write();
    if (!this.blocked) this.#finish();
  }

  abort(): void {
    if (this.closed) return;
    this.#gone(null);
    const { peer } = this;
    setImmediate(() => peer.#gone(new Error("connection reset")));
  }

  opened(accept: Accept): void {
    try {
      this.handler = accept(this);
    } catch (error) {
      this.#failed(error);
    }
    this.#planDelivery();
  }

  #failed(error: unknown): void {
    const { peer } = this;
    this.#gone(error instanceof Error ? error : new Error(String(error)));
    setImmediate(() => peer.#gone(new Error("connection reset")));
  }

  #gone(error: Error | null): void {
    if (this.closed) return;
    this.closed = true;
    this.closing = true;
    this.blocked = false;
    if (this.linger !== null) clearTimeout(this.linger);
    this.out.clear();
    queueMicrotask(() => this.handler?.onClose(error));
  }

  #write(): void {
    const { out, peer } = this;
    if (out.length === 0) return;
    const count = Math.min(out.length, peer.kernel.length - peer.kernelCount);
    copyBytes(out.bytes, out.start, peer.kernel, peer.kernelCount, count);
    peer.kernelCount += count;
    this.sentBytes += count;
    out.consume(count);
    this.blocked = out.length > 0;
    peer.#planDelivery();
  }

  #finish(): void {
    this.finished = true;
    this.peer.#planDelivery();
  }

  #planDelivery(): void {
    if (this.deliveryPlanned) return;
    this.deliveryPlanned = true;
    setImmediate(() => {
      this.deliveryPlanned = false;
      this.#deliver();
    });
  }

  /** What the event loop does for one readable socket. */
  #deliver(): void {
    if (this.closed || this.paused || this.handler === null) return;
    const count = Math.min(this.kernelCount, this.limits.chunkBytesMax);
    if (count === 0) {
      if (this.peer.finished) this.#peerEnded();
      return;
    }
    const chunk = this.kernel.slice(0, count);
    this.kernel.copyWithin(0, count, this.kernelCount);
    this.kernelCount -= count;
    this.#planDelivery();
    setImmediate(() => this.peer.#drained());
    if (this.closing) return;
    try {
      this.handler.onData(chunk);
    } catch (error) {
      this.#failed(error);
    }
    chunk.fill(POISON);
  }

  #drained(): void {
    if (!this.blocked || this.closed) return;
    this.blocked = false;
    this.#write();
    if (this.closing) this.#armLinger();
    if (this.blocked) return;
    if (this.closing) {
      this.#finish();
      return;
    }
    try {
      this.handler!.onDrain();
    } catch (error) {
      this.#failed(error);
    }
  }

  #armLinger(): void {
    if (this.linger !== null) clearTimeout(this.linger);
    this.linger = setTimeout(() => this.abort(), this.limits.lingerMs);
  }

  #peerEnded(): void {
    if (!this.closing) this.close();
    if (!this.finished) return;
    const { peer } = this;
    this.#gone(null);
    setImmediate(() => peer.#gone(null));
  }
}
