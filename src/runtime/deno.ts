// The runtime on Deno. Twin of bun.ts: same members in the same order. Deno gives promises where Bun calls back, so each
// connection has one loop that reads and, while there is something to send, one that writes.

import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { addressReason, addressText, resolveHost } from "./address.ts";
import { systemDisk } from "./disk.ts";
import { ConnectFault, ListenFault } from "./fault.ts";
import { lockFile, lockFoundFile } from "./file_lock.ts";
import { FilePreparer } from "./file_thread.ts";
import type { Libc } from "./libc.ts";
import { openLibc } from "./libc_deno.ts";
import { CLOSE_LINGER_MS } from "./linger.ts";
import { MappedFiles } from "./mapped_file.ts";
import { PlainFiles } from "./plain_file.ts";
import type { Address, Conn, ConnHandler, FileLock, Listener, Runtime, SegmentFiles, Syncer } from "./runtime.ts";
import { createSyncer } from "./syncer.ts";

/** A read that waits holds its buffer: an idle connection costs this much. */
const READ_BYTES_MIN = 4 * 1024;
const READ_BYTES_MAX = 256 * 1024;
/** The buffer grows by this when a read fills it, and shrinks by it after READS_SMALL reads that it would be enough for. */
const READ_GROWTH = 4;
const READS_SMALL = 4;
/** A connection looks at the clock after so much has been handed over. */
const TURN_BYTES_MAX = 256 * 1024;
/** So long may connections that always find bytes keep the others waiting, milliseconds. */
const ROUND_MS_MAX = 10;
/** After an accept that failed (no descriptors left): trying again at once would only burn the processor. */
const ACCEPT_RETRY_MS = 100;

type Accept = (conn: Conn) => ConnHandler;

export class DenoRuntime implements Runtime {
  readonly name = "deno";
  readonly disk = systemDisk;
  readonly #pool = new BufferPool();
  readonly #rounds = new Rounds();
  readonly #libc: Libc | null = openLibc();

  async listen(address: Address, accept: Accept): Promise<Listener> {
    try {
      const listener = Deno.listen({ hostname: await resolveHost(address.host), port: address.port });
      const accepting = acceptAll(listener, this.#pool, this.#rounds, accept);
      return {
        address: { host: listener.addr.hostname, port: listener.addr.port },
        close() {
          closeQuietly(listener);
          return accepting;
        },
      };
    } catch (error) {
      const text = addressText(address.host, address.port);
      throw new ListenFault(`cannot listen on ${text}: ${addressReason(error)}`, { cause: error });
    }
  }

  async connect(address: Address, handler: Accept): Promise<Conn> {
    try {
      const socket = await Deno.connect({ hostname: address.host, port: address.port });
      const conn = new DenoConn(socket, this.#pool, this.#rounds);
      conn.opened(handler);
      return conn;
    } catch (error) {
      const text = addressText(address.host, address.port);
      throw new ConnectFault(`cannot connect to ${text}: ${addressReason(error)}`, { cause: error });
    }
  }

  mappedFiles(): SegmentFiles | null {
    return this.#libc === null ? null : new MappedFiles(this.#libc, new FilePreparer());
  }

  plainFiles(): SegmentFiles {
    return new PlainFiles(this.#libc, new FilePreparer());
  }

  startSyncer(): Syncer {
    return createSyncer(this.#libc);
  }

  lock(path: string): FileLock | null {
    return lockFile(path, this.#libc);
  }

  lockFound(path: string): FileLock | null {
    return lockFoundFile(path, this.#libc);
  }
}

async function acceptAll(
  listener: Deno.TcpListener,
  pool: BufferPool,
  rounds: Rounds,
  accept: Accept,
): Promise<void> {
  for (;;) {
    try {
      const socket = await listener.accept();
      try {
        new DenoConn(socket, pool, rounds).opened(accept);
      } catch {
        // The peer was gone before its addresses could be asked for.
        closeQuietly(socket);
      }
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
      // A peer that was gone before it was accepted: who does that again and again must not hold up the others.
      if (error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.ConnectionAborted) continue;
      await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
    }
  }
}

/**
 * A read that finds bytes does not wait, and while there is always one Deno looks only now and then which other sockets are
 * ready. So now and then the busy connections all wait for one timer: nothing is left to do, and the others come in.
 */
class Rounds {
  #begunMs = performance.now();
  #end: Promise<void> | null = null;

  /** Null while the round goes on, otherwise what to wait for. */
  over(): Promise<void> | null {
    if (this.#end === null && performance.now() - this.#begunMs < ROUND_MS_MAX) return null;
    return this.#end ??= new Promise((resolve) => {
      setTimeout(() => {
        this.#end = null;
        this.#begunMs = performance.now();
        resolve();
      }, 0);
    });
  }
}

class DenoConn implements Conn {
  readonly remote: Address;
  readonly local: Address;
  readonly out: OutBuffer;
  readonly socket: Deno.TcpConn;
  readonly rounds: Rounds;
  handler: ConnHandler | null = null;
  /** What the writing loop sends; `out` fills up anew meanwhile. */
  readonly sending: OutBuffer;
  /** The writing loop runs. */
  blocked = false;
  flushWanted = false;
  sentBytes = 0;
  /** Our side ends: nothing is handed to the owner, and the socket closes when everything is sent. */
  closing = false;
  /** Our FIN is sent. */
  finished = false;
  peerDone = false;
  /** The socket is gone. */
  closed = false;
  error: Error | null = null;
  linger: ReturnType<typeof setTimeout> | null = null;
  paused = false;
  resumed: (() => void) | null = null;

  constructor(socket: Deno.TcpConn, pool: BufferPool, rounds: Rounds) {
    this.remote = { host: socket.remoteAddr.hostname, port: socket.remoteAddr.port };
    this.local = { host: socket.localAddr.hostname, port: socket.localAddr.port };
    this.out = new OutBuffer(pool);
    this.sending = new OutBuffer(pool);
    this.socket = socket;
    this.rounds = rounds;
    socket.setNoDelay(true);
  }

  get pending(): number {
    return this.out.end - this.out.start + this.sending.end - this.sending.start;
  }

  /** Hot. */
  flush(): void {
    if (this.blocked) this.flushWanted = true;
    else if (this.closed || this.finished) this.out.clear();
    else if (this.out.end > this.out.start) this.#write();
  }

  pause(): void {
    if (!this.closing) this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.resumed?.();
    this.resumed = null;
  }

  close(): void {
    if (this.closing || this.closed) return;
    this.closing = true;
    // Read on, to nowhere: closing with bytes unread would be a reset, which can cost the peer what we sent last.
    this.resume();
    this.#armLinger();
    this.flush();
    if (!this.blocked) this.#finish();
  }

  abort(): void {
    if (this.closed) return;
    this.#gone(null);
  }

  opened(accept: Accept): void {
    try {
      this.handler = accept(this);
    } catch (error) {
      this.failed(error);
      return;
    }
    this.#read();
  }

  failed(error: unknown): void {
    this.#gone(error instanceof Error ? error : new Error(String(error)));
  }

  /** The reading loop: one at all times until the connection is gone. Hot. */
  async #read(): Promise<void> {
    let buffer = new Uint8Array(READ_BYTES_MIN);
    let smallReads = 0;
    let turnBytes = 0;
    while (!this.closed) {
      let count: number | null;
      try {
        count = await this.socket.read(buffer);
      } catch (error) {
        if (!this.closed) this.#gone(error as Error);
        return;
      }
      // A read that was under way when the owner paused keeps what it found until the owner goes on.
      while (this.paused) await new Promise<void>((resolve) => this.resumed = resolve);
      if (this.closed) return;
      if (count === null) {
        this.#peerEnded();
        return;
      }
      if (this.closing) continue;
      try {
        this.handler!.onData(count === buffer.length ? buffer : buffer.subarray(0, count));
      } catch (error) {
        this.failed(error);
        return;
      }
      turnBytes += count;
      if (turnBytes >= TURN_BYTES_MAX) {
        turnBytes = 0;
        await this.rounds.over();
      }
      if (count === buffer.length) {
        smallReads = 0;
        if (buffer.length < READ_BYTES_MAX) buffer = new Uint8Array(buffer.length * READ_GROWTH);
      } else if (buffer.length === READ_BYTES_MIN || count > buffer.length / READ_GROWTH) {
        smallReads = 0;
      } else if (++smallReads === READS_SMALL) {
        smallReads = 0;
        buffer = new Uint8Array(buffer.length / READ_GROWTH);
      }
    }
  }

  #peerEnded(): void {
    this.peerDone = true;
    if (this.finished) this.#gone(null);
    else this.close();
  }

  #gone(error: Error | null): void {
    if (this.closed) return;
    this.closed = true;
    this.closing = true;
    this.error = error;
    this.resume();
    if (this.linger !== null) clearTimeout(this.linger);
    this.out.clear();
    // The writing loop's buffer is the kernel's until its write comes back; the loop gives it back then.
    closeQuietly(this.socket);
    queueMicrotask(() => this.handler?.onClose(this.error));
  }

  /** The writing loop: one at most, since two writes at a time interleave. Hot. */
  async #write(): Promise<void> {
    const { out, sending } = this;
    this.blocked = true;
    let fault: Error | null = null;
    do {
      this.flushWanted = false;
      moveBytes(out, sending);
      while (sending.end > sending.start && fault === null) {
        try {
          const bytes = sending.bytes.subarray(sending.start, sending.end) as Uint8Array<ArrayBuffer>;
          const written = await this.socket.write(bytes);
          this.sentBytes += written;
          sending.consume(written);
          if (this.closing && !this.closed) this.#armLinger();
        } catch (error) {
          fault = error as Error;
        }
      }
    } while (fault === null && !this.closed && (this.flushWanted || this.closing) && out.end > out.start);
    this.blocked = false;
    sending.clear();
    if (this.closed) {
      out.clear();
      return;
    }
    if (fault !== null) this.#gone(fault);
    else if (this.closing) this.#finish();
    else if (out.end === out.start) this.#drained();
  }

  #drained(): void {
    try {
      this.handler!.onDrain();
    } catch (error) {
      this.failed(error);
    }
  }

  #finish(): void {
    if (this.closed) return;
    this.finished = true;
    if (this.peerDone) this.#gone(null);
    else this.socket.closeWrite().catch((error: Error) => this.#gone(error));
  }

  /** A peer that neither reads nor closes must not hold us for ever. Each progress sets it back. */
  #armLinger(): void {
    if (this.linger !== null) clearTimeout(this.linger);
    this.linger = setTimeout(() => this.abort(), CLOSE_LINGER_MS);
    Deno.unrefTimer(this.linger as unknown as number);
  }
}

/** Moves what stands in `from` to `to`, which is empty; both keep their identity. */
function moveBytes(from: OutBuffer, to: OutBuffer): void {
  const { bytes, view } = to;
  to.bytes = from.bytes;
  to.view = from.view;
  to.start = from.start;
  to.end = from.end;
  from.bytes = bytes;
  from.view = view;
  from.start = 0;
  from.end = 0;
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed already.
  }
}
