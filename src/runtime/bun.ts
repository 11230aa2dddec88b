// The runtime on Bun. Twin of deno.ts: same members in the same order. Hot path: per chunk Bun makes the chunk, we make
// nothing.

import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { addressReason, addressText, resolveHost } from "./address.ts";
import { systemDisk } from "./disk.ts";
import { ConnectFault, ListenFault } from "./fault.ts";
import { lockFile, lockFoundFile } from "./file_lock.ts";
import { FilePreparer } from "./file_thread.ts";
import type { Libc } from "./libc.ts";
import { openLibc } from "./libc_bun.ts";
import { CLOSE_LINGER_MS } from "./linger.ts";
import { MappedFiles } from "./mapped_file.ts";
import { PlainFiles } from "./plain_file.ts";
import type { Address, Conn, ConnHandler, FileLock, Listener, Runtime, SegmentFiles, Syncer } from "./runtime.ts";
import { createSyncer } from "./syncer.ts";

type Socket = Bun.Socket<BunConn>;
/** What an owner gets at a time when others send, too; the rest follows when those had their turn. */
const TURN_BYTES_MAX = 64 * 1024;
/** What it gets at a time when nobody else does. */
const PIECE_BYTES_MAX = 256 * 1024;

/** Which connections send at present. */
class Traffic {
  /** The one that bytes came from last. */
  last: BunConn | null = null;
}

type Accept = (conn: Conn) => ConnHandler;

export class BunRuntime implements Runtime {
  readonly name = "bun";
  readonly disk = systemDisk;
  readonly #pool = new BufferPool();
  readonly #traffic = new Traffic();
  readonly #libc: Libc | null = openLibc();

  async listen(address: Address, accept: Accept): Promise<Listener> {
    try {
      const listener = Bun.listen<BunConn>({
        hostname: await resolveHost(address.host),
        port: address.port,
        allowHalfOpen: true,
        socket: socketHandler(this.#pool, this.#traffic, accept, true),
      });
      return {
        address: { host: listener.hostname, port: listener.port },
        close() {
          listener.stop(false);
          return Promise.resolve();
        },
      };
    } catch (error) {
      const text = addressText(address.host, address.port);
      throw new ListenFault(`cannot listen on ${text}: ${addressReason(error)}`, { cause: error });
    }
  }

  async connect(address: Address, handler: Accept): Promise<Conn> {
    try {
      const socket = await Bun.connect<BunConn>({
        hostname: address.host,
        port: address.port,
        allowHalfOpen: true,
        socket: socketHandler(this.#pool, this.#traffic, handler, false),
        data: undefined as unknown as BunConn,
      });
      return socket.data;
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

/** One set of functions for all connections of a listener (`accepts`) or a dialled one; a connection hangs on its socket. */
function socketHandler(
  pool: BufferPool,
  traffic: Traffic,
  accept: Accept,
  accepts: boolean,
): Bun.SocketHandler<BunConn> {
  const handler: Bun.SocketHandler<BunConn, "uint8array"> = {
    binaryType: "uint8array",
    open(socket) {
      socket.setNoDelay(true);
      socket.data = new BunConn(socket, pool, traffic);
      // A peer that was gone before its addresses could be asked for is nobody to be accepted.
      if (accepts && socket.remoteAddress === undefined) socket.data.abort();
      else socket.data.opened(accept);
    },
    data(socket, chunk) {
      socket.data.received(chunk);
    },
    drain(socket) {
      socket.data.drained();
    },
    end(socket) {
      socket.data.peerEnded();
    },
    close(socket, error) {
      socket.data?.gone(error ?? null);
    },
    error(socket, error) {
      socket.data.failed(error);
    },
    // Without it Bun reports a failed connect as unhandled; the promise tells it as well.
    connectError() {},
  };
  // The types of Bun.listen know only the default; it takes either.
  return handler as unknown as Bun.SocketHandler<BunConn>;
}

class BunConn implements Conn {
  readonly remote: Address;
  readonly local: Address;
  readonly out: OutBuffer;
  readonly socket: Socket;
  readonly traffic: Traffic;
  handler: ConnHandler | null = null;
  /** The kernel took less than it was given: nothing is written before `drained`. */

  blocked = false;
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
  /** The owner wants nothing handed to it. */
  paused = false;
  /** Received and not yet handed to the owner; the socket is paused meanwhile. */
  rest: Uint8Array | null = null;
  goingOn = false;
  readonly #goOn = (): void => {
    this.goingOn = false;
    if (this.rest !== null && !this.paused && !this.closing) this.#handPiece(this.rest);
  };

  constructor(socket: Socket, pool: BufferPool, traffic: Traffic) {
    this.remote = { host: socket.remoteAddress, port: socket.remotePort };
    this.local = { host: socket.localAddress, port: socket.localPort };
    this.out = new OutBuffer(pool);
    this.socket = socket;
    this.traffic = traffic;
  }

  get pending(): number {
    return this.out.end - this.out.start;
  }

  /** Hot. */
  flush(): void {
    if (this.blocked) return;
    if (this.closed || this.finished) this.out.clear();
    else this.#write();
  }

  pause(): void {
    if (this.closed || this.closing) return;
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (this.closed || this.closing) return;
    this.paused = false;
    this.#readOn();
  }

  close(): void {
    if (this.closing || this.closed) return;
    this.closing = true;
    this.rest = null;
    // Read on, to nowhere: closing with bytes unread would be a reset, which can cost the peer what we sent last.
    this.socket.resume();
    this.#armLinger();
    if (!this.blocked) this.#write();
    if (!this.blocked) this.#finish();
  }

  abort(): void {
    if (this.closed) return;
    this.closing = true;
    this.socket.terminate();
  }

  opened(accept: Accept): void {
    try {
      this.handler = accept(this);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Hot. */
  received(chunk: Uint8Array): void {
    if (this.closing) return;
    const alone = this.traffic.last === this;
    this.traffic.last = this;
    if (this.rest !== null) this.rest = joined(this.rest, chunk);
    else if (chunk.length <= TURN_BYTES_MAX) this.#hand(chunk);
    else if (alone) this.#handAll(chunk);
    else {
      // Bun reads a busy socket ten times in a row otherwise, and the others wait.
      this.socket.pause();
      this.#handPiece(chunk);
    }
  }

  /** Nobody else is waiting. */
  #handAll(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length && !this.closing; at += PIECE_BYTES_MAX) {
      if (this.paused) {
        this.rest = chunk.subarray(at);
        return;
      }
      this.#hand(chunk.subarray(at, at + PIECE_BYTES_MAX));
    }
  }

  #handPiece(bytes: Uint8Array): void {
    this.rest = bytes.length > TURN_BYTES_MAX ? bytes.subarray(TURN_BYTES_MAX) : null;
    this.#hand(bytes.subarray(0, TURN_BYTES_MAX));
    if (!this.paused) this.#readOn();
  }

  #hand(bytes: Uint8Array): void {
    try {
      this.handler!.onData(bytes);
    } catch (error) {
      this.failed(error);
    }
  }

  #readOn(): void {
    if (this.rest === null) {
      if (!this.closing) this.socket.resume();
    } else if (!this.goingOn) {
      this.goingOn = true;
      setImmediate(this.#goOn);
    }
  }

  drained(): void {
    if (!this.blocked || this.closed) return;
    this.blocked = false;
    this.#write();
    if (this.blocked) {
      if (this.closing) this.#armLinger();
    } else if (this.closing) {
      this.#finish();
    } else {
      try {
        this.handler!.onDrain();
      } catch (error) {
        this.failed(error);
      }
    }
  }

  peerEnded(): void {
    // What came before the end is handed over before it.
    while (this.rest !== null && !this.closing) this.#handPiece(this.rest);
    this.peerDone = true;
    if (this.finished) this.socket.end();
    else this.close();
  }

  failed(error: unknown): void {
    this.error ??= error instanceof Error ? error : new Error(String(error));
    this.abort();
  }

  /** From Bun's close callback, which may run within a call of ours: hence the microtask. */
  gone(error: Error | null): void {
    if (this.closed) return;
    if (this.traffic.last === this) this.traffic.last = null;
    this.closed = true;
    this.closing = true;
    this.blocked = false;
    this.rest = null;
    this.out.clear();
    if (this.linger !== null) clearTimeout(this.linger);
    queueMicrotask(() => this.handler?.onClose(this.error ?? error));
  }

  /** Hot. One system call; what it does not take waits for `drained`. */
  #write(): void {
    const out = this.out;
    const count = out.end - out.start;
    if (count === 0) return;
    const written = this.socket.write(out.bytes as Uint8Array<ArrayBuffer>, out.start, count);
    if (written > 0) this.sentBytes += written;
    if (written === count) {
      out.clear();
    } else {
      this.blocked = true;
      if (written >= 0) out.consume(written);
      // The socket is gone, which Bun tells nobody who has paused it: that would be a connection for ever.
      else this.abort();
    }
  }

  #finish(): void {
    if (this.closed) return;
    this.finished = true;
    if (this.peerDone) this.socket.end();
    else this.socket.shutdown();
  }

  /** A peer that neither reads nor closes must not hold us for ever. Each progress sets it back. */
  #armLinger(): void {
    if (this.linger !== null) clearTimeout(this.linger);
    this.linger = setTimeout(() => this.abort(), CLOSE_LINGER_MS);
    this.linger.unref();
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
