// `perf mqtt --connections N`: connects so many clients, holds them, and with sessions that persist connects them all once
// more; what is measured is how long that takes. How much memory they cost is to be seen at the broker.

import { connectMqtt, type MqttClientConnection, type MqttClientHandler } from "../../client/mqtt_connection.ts";
import { parseMqttUri } from "../../client/mqtt_uri.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { writeSubscribe } from "../../wire/mqtt_encode.ts";
import { SUBACK } from "../../wire/mqtt_packet.ts";
import type { MqttPerfOptions } from "./options.ts";

/** Clients that connect at a time. */
const AT_ONCE = 100;

export interface IdleResult {
  readonly connections: number;
  readonly connectMs: number;
  /** Null without sessions that persist. */
  readonly reconnectMs: number | null;
  /** Of those that connected again, how many found their session. */
  readonly sessionsPresent: number;
}

export class IdleRun {
  readonly #runtime: Runtime;
  readonly #options: MqttPerfOptions;
  readonly #print: (line: string) => void;
  #connections: MqttClientConnection[] = [];
  readonly #stop = Promise.withResolvers<void>();

  constructor(runtime: Runtime, options: MqttPerfOptions, print: (line: string) => void) {
    this.#runtime = runtime;
    this.#options = options;
    this.#print = print;
  }

  stop(): void {
    this.#stop.resolve();
  }

  /** Connects all, holds them for the duration or until it is stopped. */
  async measure(): Promise<IdleResult> {
    const { connections, durationS, persistent } = this.#options;
    try {
      const connectMs = await this.#connectAll(true);
      this.#print(`${connections} clients connected in ${connectMs} ms`);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const ends = [this.#stop.promise];
      if (durationS !== null) ends.push(new Promise((resolve) => timer = setTimeout(resolve, durationS * 1000)));
      await Promise.race(ends);
      clearTimeout(timer);
      if (!persistent) return { connections, connectMs, reconnectMs: null, sessionsPresent: 0 };
      for (const connection of this.#connections) connection.abort();
      this.#connections = [];
      const reconnectMs = await this.#connectAll(false);
      const sessionsPresent = this.#connections.filter(({ sessionPresent }) => sessionPresent).length;
      return { connections, connectMs, reconnectMs, sessionsPresent };
    } finally {
      for (const connection of this.#connections) connection.close();
    }
  }

  async #connectAll(subscribes: boolean): Promise<number> {
    const startedMs = performance.now();
    let next = 0;
    const worker = async () => {
      while (next < this.#options.connections) await this.#connect(next++, subscribes);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return Math.round(performance.now() - startedMs);
  }

  async #connect(index: number, subscribes: boolean): Promise<void> {
    const { uri, version, persistent, idleQos, topic } = this.#options;
    const { host, port, user, password } = parseMqttUri(uri);
    const connection = await connectMqtt(this.#runtime, { host, port }, {
      version,
      clientId: `idle-${index}`,
      cleanStart: !persistent,
      keepAlive: 0,
      userName: user,
      password,
      properties: persistent ? { sessionExpiry: 3600 } : {},
    });
    this.#connections.push(connection);
    if (!subscribes || idleQos === null) return;
    const subscribed = Promise.withResolvers<void>();
    connection.handler = new SubackWatch(() => subscribed.resolve(), (fault) => subscribed.reject(fault));
    writeSubscribe(connection.out, version, 1, `${topic}/${index}`, idleQos);
    connection.flush();
    await subscribed.promise;
  }
}

class SubackWatch implements MqttClientHandler {
  readonly #done: () => void;
  readonly #failed: (fault: Error) => void;

  constructor(done: () => void, failed: (fault: Error) => void) {
    this.#done = done;
    this.#failed = failed;
  }

  packet(first: number): void {
    if (first >>> 4 === SUBACK) this.#done();
  }

  turn(): void {}

  drained(): void {}

  closed(fault: Error | null): void {
    if (fault !== null) this.#failed(fault);
  }
}
