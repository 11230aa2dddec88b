// A broker in memory inside the test's own process, over real TCP: one per test file, started by the first test that
// asks. Ends the connections that a test left open.

import { Broker } from "../../src/mod.ts";
import { type OpenOptions, RawAmqp } from "./raw_amqp.ts";

export class MemoryBroker {
  /** Faults of the broker: none may ever come. */
  readonly faults: Error[] = [];
  readonly #broker: Broker;
  #started: Promise<void> | undefined;
  readonly #clients: RawAmqp[] = [];

  constructor(amqp: { messageBytesMax?: number; frameBytesMax?: number; channelMax?: number } = {}) {
    this.#broker = new Broker({ memory: true, amqp: { port: 0, ...amqp } }, {
      onFault: (fault) => this.faults.push(fault),
    });
  }

  async port(): Promise<number> {
    this.#started ??= this.#broker.start();
    await this.#started;
    return this.#broker.listeners[0]!.port;
  }

  /** A socket on which nothing was said. */
  async connect(): Promise<RawAmqp> {
    const client = await RawAmqp.connect(await this.port());
    this.#clients.push(client);
    return client;
  }

  /** An open connection, with channel 1 open unless told otherwise. */
  async open(options: OpenOptions = {}): Promise<RawAmqp> {
    const client = await this.connect();
    await client.shakeHands({ channels: 1, ...options });
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    await this.#broker.stop();
    if (this.faults.length > 0) throw this.faults[0];
  }
}
