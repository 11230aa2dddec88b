// The AMQP listener: accepts connections, keeps the set of them, drives their clocks, and ends them when the broker stops.

import type { Address, Listener, Runtime } from "../runtime/runtime.ts";
import { AmqpConnection } from "./connection.ts";
import { AmqpError } from "./errors.ts";
import type { AmqpServices } from "./services.ts";

/** How exact heartbeats and deadlines are, milliseconds. */
const TICK_MS = 500;
/** How long connections may take to end when the broker stops, milliseconds. */
const STOP_MS_MAX = 2_000;

export class AmqpListener {
  readonly #connections = new Set<AmqpConnection>();
  readonly #listener: Listener;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #unsubscribe: () => void;
  #allGone: (() => void) | null = null;

  /** Rejects with a ListenFault. */
  static async open(runtime: Runtime, address: Address, services: AmqpServices): Promise<AmqpListener> {
    const connections = new Set<AmqpConnection>();
    let listener: AmqpListener | null = null;
    const gone = (connection: AmqpConnection): void => {
      connections.delete(connection);
      listener?.gone();
    };
    const bound = await runtime.listen(address, (conn) => {
      const connection = new AmqpConnection(conn, services, gone);
      connections.add(connection);
      return connection;
    });
    listener = new AmqpListener(bound, connections, services);
    return listener;
  }

  private constructor(listener: Listener, connections: Set<AmqpConnection>, { alarms }: AmqpServices) {
    this.#listener = listener;
    this.#connections = connections;
    this.#unsubscribe = alarms.subscribe(() => {
      for (const connection of [...this.#connections]) connection.alarmsChanged();
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
    for (const connection of [...this.#connections]) connection.tick(nowMs);
  }

  /** Accepts no more, tells every client (320), and resolves when all are gone or were cut off. */
  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#listener.close();
    for (const connection of [...this.#connections]) {
      connection.fail(new AmqpError(320, "broker shut down"));
    }
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

  /** A connection has ended. */
  gone(): void {
    if (this.#connections.size === 0) this.#allGone?.();
  }
}
