// A connection without sockets, driven step by step: chunks arrive when they are told to, the peer reads as much at a
// time as it is told to.

import { type BufferPool, OutBuffer } from "../../src/lib/out_buffer.ts";
import type { Conn, ConnHandler } from "../../src/runtime/runtime.ts";
import { FuzzRandom } from "./random.ts";

/** What the peer sends waits here until its reader takes it. */
export class Wire<H extends ConnHandler> implements Conn {
  readonly remote = { host: "127.0.0.1", port: 1 };
  readonly local = { host: "127.0.0.1", port: 2 };
  readonly out: OutBuffer;
  /** Who is at our end. */
  readonly handler: H;
  /** What our end sent. */
  readonly received: Uint8Array[] = [];
  /** Our end has said its last word. */
  ended = false;
  sentBytes = 0;
  /** Octets that the socket takes at a time; the rest waits for the next step. */
  window = Infinity;
  readonly #chunks: Uint8Array[] = [];
  #paused = false;
  #closing = false;
  #closed = false;
  #peerEnded = false;
  #blocked = false;

  constructor(pool: BufferPool, accept: (conn: Conn) => H) {
    this.out = new OutBuffer(pool);
    this.handler = accept(this);
  }

  get pending(): number {
    return this.out.length;
  }

  /** Chunks that arrive one per step. */
  send(...chunks: Uint8Array[]): void {
    this.#chunks.push(...chunks);
  }

  /** The peer ends its side when all it sent has arrived. */
  end(): void {
    this.#peerEnded = true;
  }

  /** Chunks that were sent and not read yet. */
  get unread(): number {
    return this.#chunks.length;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** True when something happened. */
  step(): boolean {
    if (this.#closed) return this.#tellClosed();
    if (this.#blocked) {
      this.#blocked = false;
      this.#write();
      if (!this.#blocked && !this.#closing) this.handler.onDrain();
      return true;
    }
    if (this.#closing) {
      this.#closed = true;
      return true;
    }
    if (this.#paused) return false;
    const chunk = this.#chunks.shift();
    if (chunk === undefined) {
      if (this.#peerEnded) this.close();
      return this.#peerEnded;
    }
    const copy = Uint8Array.from(chunk);
    try {
      this.handler.onData(copy);
    } finally {
      // Whoever keeps it is found out.
      copy.fill(0xdb);
    }
    return true;
  }

  #tellClosed(): boolean {
    if (this.ended) return false;
    this.ended = true;
    this.handler.onClose(null);
    return true;
  }

  flush(): void {
    if (this.#closed) this.out.clear();
    else if (!this.#blocked) this.#write();
  }

  #write(): void {
    const count = Math.min(this.out.length, this.window);
    if (count === 0) return;
    this.received.push(this.out.bytes.slice(this.out.start, this.out.start + count));
    this.sentBytes += count;
    this.out.consume(count);
    this.#blocked = this.out.length > 0;
  }

  pause(): void {
    if (!this.#closing) this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#paused = false;
    this.flush();
  }

  abort(): void {
    this.#closing = true;
    this.#closed = true;
    this.out.clear();
  }
}

/** A stream as it may arrive; `cut` says in which pieces. */
export function chunksOf(stream: Uint8Array, cut: number): Uint8Array[] {
  if (cut < 64) return [stream];
  const random = new FuzzRandom(cut);
  const chunks: Uint8Array[] = [];
  const most = random.pick([1, 7, 40, 400, 4000]);
  for (let at = 0; at < stream.length;) {
    const count = Math.max(random.between(1, most), stream.length >> 9);
    chunks.push(stream.subarray(at, at + count));
    at += count;
  }
  return chunks;
}
