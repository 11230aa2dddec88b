// The MQTT listener: accepts connections, keeps the set of them, drives their clocks, and ends them when the broker stops.

import type { Address, Listener, Runtime } from "../runtime/runtime.ts";
import { SERVER_SHUTTING_DOWN } from "../wire/mqtt_packet.ts";
import { MqttConnection } from "./connection.ts";
import { MqttError } from "./errors.ts";
import type { MqttServices } from "./services.ts";

/** How exact keep-alives and deadlines are, milliseconds. */
const TICK_MS = 500;
/** How long connections may take to end when the broker stops, milliseconds. */
const STOP_MS_MAX = 2_000;

export class MqttListener {
  readonly #connections = new Set<MqttConnection>();
  readonly #listener: Listener;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #unsubscribe: () => void;
  #allGone: (() => void) | null = null;

  /** Rejects with a ListenFault. */
  static async open(runtime: Runtime, address: Address, services: MqttServices): Promise<MqttListener> {
    const connections = new Set<MqttConnection>();
    let listener: MqttListener | null = null;
    const gone = (connection: MqttConnection): void => {
      connections.delete(connection);
      services.traffic.connections = connections.size;
      listener?.gone();
    };
    const bound = await runtime.listen(address, (conn) => {
      const connection = new MqttConnection(conn, services, gone);
      connections.add(connection);
      const { traffic } = services;
      traffic.accepted++;
      traffic.connections = connections.size;
      traffic.connectionsMax = Math.max(traffic.connectionsMax, connections.size);
      return connection;
    });
    listener = new MqttListener(bound, connections, services);
    return listener;
  }

  private constructor(listener: Listener, connections: Set<MqttConnection>, { alarms }: MqttServices) {
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
    for (const connection of this.#connections) connection.tick(nowMs);
  }

  /** Accepts no more, tells every client (0x8B), and resolves when all are gone or were cut off. */
  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#listener.close();
    for (const connection of [...this.#connections]) {
      connection.fail(new MqttError(SERVER_SHUTTING_DOWN, "broker shut down"));
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
