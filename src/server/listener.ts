// What listens for one protocol: accepts connections, keeps the set of them, drives their clocks, tells them of alarms,
// and ends them when the broker stops. What a connection is, and what it says when it ends, is its protocol's.

import type { Address, Conn, ConnHandler, Listener, Runtime } from "../runtime/runtime.ts";

/** How exact heartbeats, keep-alives and deadlines are, milliseconds. */
const TICK_MS = 500;
/** How long connections may take to end when the broker stops, milliseconds. */
const STOP_MS_MAX = 2_000;

/** A connection of whatever protocol. */
export interface ServedConnection extends ConnHandler {
  readonly conn: Conn;
  /** Now and then: what it has deadlines for. `nowMs` is monotonic. */
  tick(nowMs: number): void;
  /** An alarm was raised or cleared. */
  alarmsChanged(): void;
}

export interface ListenerOptions<C extends ServedConnection> {
  /** Calls `subscribe`'s argument at every alarm and its end, until what it returns is called. */
  readonly alarms: { subscribe(changed: () => void): () => void };
  /** Whoever is accepted; the connection tells `gone` when its socket has closed. */
  accept(conn: Conn, gone: (connection: C) => void): C;
  /** The broker stops: tells the peer, and ends the connection. */
  stop(connection: C): void;
  /** There is one more, or one less. */
  counted?(count: number): void;
}

export class ConnectionListener<C extends ServedConnection> {
  readonly #connections: Set<C>;
  readonly #listener: Listener;
  readonly #options: ListenerOptions<C>;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #unsubscribe: () => void;
  #allGone: (() => void) | null = null;

  /** Rejects with a ListenFault. */
  static async open<C extends ServedConnection>(
    runtime: Runtime,
    address: Address,
    options: ListenerOptions<C>,
  ): Promise<ConnectionListener<C>> {
    const connections = new Set<C>();
    let listener: ConnectionListener<C> | null = null;
    const gone = (connection: C): void => {
      connections.delete(connection);
      options.counted?.(connections.size);
      if (connections.size === 0 && listener !== null) listener.#allGone?.();
    };
    const bound = await runtime.listen(address, (conn) => {
      const connection = options.accept(conn, gone);
      connections.add(connection);
      options.counted?.(connections.size);
      return connection;
    });
    listener = new ConnectionListener(bound, connections, options);
    return listener;
  }

  private constructor(listener: Listener, connections: Set<C>, options: ListenerOptions<C>) {
    this.#listener = listener;
    this.#connections = connections;
    this.#options = options;
    this.#unsubscribe = options.alarms.subscribe(() => {
      for (const connection of [...connections]) connection.alarmsChanged();
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** What was really bound. */
  get address(): Address {
    return this.#listener.address;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  #tick(): void {
    const nowMs = performance.now();
    // Whoever is ended meanwhile leaves the set, which an iteration over it allows.
    for (const connection of this.#connections) connection.tick(nowMs);
  }

  /** Accepts no more, tells every client, and resolves when all are gone or were cut off. */
  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#listener.close();
    for (const connection of [...this.#connections]) this.#options.stop(connection);
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        const deadline = setTimeout(() => {
          for (const connection of [...this.#connections]) connection.conn.abort();
          resolve();
        }, STOP_MS_MAX);
        this.#allGone = () => {
          clearTimeout(deadline);
          resolve();
        };
      });
    }
    clearInterval(this.#timer);
  }
}
