// A broker in memory: one per test file, started by the first test that asks. Ends the connections that a test left open.

import { type OpenOptions, RawAmqp } from "./raw_amqp.ts";
import { type RunningBroker, startBroker } from "./running_broker.ts";

export class MemoryBroker {
  readonly #options: { messageBytesMax?: number };
  #started: Promise<RunningBroker> | undefined;
  readonly #clients: RawAmqp[] = [];

  constructor(options: { messageBytesMax?: number } = {}) {
    this.#options = options;
  }

  async port(): Promise<number> {
    this.#started ??= startBroker(this.#options);
    return (await this.#started).port;
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
    await (await this.#started)?.stop();
  }
}
