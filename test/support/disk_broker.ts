// A broker on disk inside the test's own process, that can be stopped and started again, and left for dead. Removes
// its directories.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Broker } from "../../src/mod.ts";
import { RawAmqp } from "./raw_amqp.ts";

export class DiskBroker {
  /** Faults of the broker: none may ever come. */
  readonly faults: Error[] = [];
  readonly #directories: string[] = [];
  readonly #abandoned: Broker[] = [];
  readonly #clients: RawAmqp[] = [];
  #broker: Broker | null = null;

  constructor() {
    this.#directories.push(this.#newDirectory());
  }

  get dataDir(): string {
    return this.#directories.at(-1)!;
  }

  async start(): Promise<void> {
    const config = { dataDir: this.dataDir, amqp: { port: 0 } };
    this.#broker = new Broker(config, { onFault: (fault) => this.faults.push(fault) });
    await this.#broker.start();
  }

  /** An open connection with channel 1. */
  async open(): Promise<RawAmqp> {
    if (this.#broker === null) await this.start();
    const client = await RawAmqp.open(this.#broker!.listeners[0]!.port, { channels: 1 });
    this.#clients.push(client);
    return client;
  }

  async restart(): Promise<void> {
    this.#leave();
    await this.#broker?.stop();
    await this.start();
  }

  /** Goes on with the files as they are now, as after a kill: what the broker has not written is lost. */
  async kill(): Promise<void> {
    const directory = this.#newDirectory();
    cpSync(this.dataDir, directory, { recursive: true });
    this.#directories.push(directory);
    if (this.#broker !== null) this.#abandoned.push(this.#broker);
    await this.start();
  }

  async stop(): Promise<void> {
    this.#leave();
    for (const broker of [...this.#abandoned, this.#broker]) await broker?.stop();
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(this.faults, []);
  }

  /** A broker that stops waits for clients that are there to say goodbye. */
  #leave(): void {
    for (const client of this.#clients.splice(0)) client.socket.destroy();
  }

  #newDirectory(): string {
    return mkdtempSync(join(tmpdir(), "leveret-broker-"));
  }
}
