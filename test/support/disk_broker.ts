// A broker on disk that can be stopped and started again, and left for dead. Removes its directories.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RawAmqp } from "./raw_amqp.ts";
import { type RunningBroker, startBroker } from "./running_broker.ts";

export class DiskBroker {
  readonly #directories: string[] = [];
  readonly #abandoned: RunningBroker[] = [];
  readonly #clients: RawAmqp[] = [];
  #broker: RunningBroker | null = null;

  constructor() {
    this.#directories.push(this.#newDirectory());
  }

  get dataDir(): string {
    return this.#directories.at(-1)!;
  }

  async start(): Promise<void> {
    this.#broker = await startBroker({ dataDir: this.dataDir });
  }

  /** An open connection with channel 1. */
  async open(): Promise<RawAmqp> {
    if (this.#broker === null) await this.start();
    const client = await RawAmqp.open(this.#broker!.port, { channels: 1 });
    this.#clients.push(client);
    return client;
  }

  /** In good order; the next `open` starts another one. */
  async stopBroker(): Promise<void> {
    this.#leave();
    await this.#broker?.stop();
    this.#broker = null;
  }

  async restart(): Promise<void> {
    await this.stopBroker();
    await this.start();
  }

  /** Goes on with the files as they are now: what the broker has not written is lost. */
  async kill(): Promise<void> {
    const broker = this.#broker;
    if (broker !== null) {
      await broker.abandon();
      this.#abandoned.push(broker);
      if (!broker.isGone) this.#copyDirectory();
    }
    await this.start();
  }

  async stop(): Promise<void> {
    await this.stopBroker();
    for (const broker of this.#abandoned) await broker.stop();
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }

  /** A broker that stops waits for clients that are there to say goodbye. */
  #leave(): void {
    for (const client of this.#clients.splice(0)) client.socket.destroy();
  }

  #copyDirectory(): void {
    const directory = this.#newDirectory();
    cpSync(this.dataDir, directory, { recursive: true });
    this.#directories.push(directory);
  }

  #newDirectory(): string {
    return mkdtempSync(join(tmpdir(), "leveret-broker-"));
  }
}
