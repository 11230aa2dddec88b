// A broker for MQTT tests, in memory or on disk: started by the first test that asks; ends the connections that a test
// left open, and can be stopped, killed and started again.

import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RawAmqp } from "./raw_amqp.ts";
import { type ConnectOptions, type Got, RawMqtt } from "./raw_mqtt.ts";
import { type MqttTestSettings, type RunningBroker, startBroker } from "./running_broker.ts";
import { waitFor } from "./wait.ts";

export class MqttBroker {
  readonly #directories: string[] = [];
  readonly #abandoned: RunningBroker[] = [];
  readonly #settings: MqttTestSettings;
  readonly #onDisk: boolean;
  #started: Promise<RunningBroker> | null = null;
  #clients: { socket: { destroy(): unknown } }[] = [];

  constructor(options: { onDisk?: boolean; mqtt?: MqttTestSettings } = {}) {
    this.#onDisk = options.onDisk ?? false;
    this.#settings = options.mqtt ?? {};
    if (this.#onDisk) this.#directories.push(newDirectory());
  }

  async #broker(): Promise<RunningBroker> {
    const dataDir = this.#directories.at(-1);
    this.#started ??= startBroker({ mqtt: this.#settings, ...(dataDir !== undefined && { dataDir }) });
    return await this.#started;
  }

  /** Of a broker on disk. */
  get dataDir(): string {
    return this.#directories.at(-1)!;
  }

  async port(): Promise<number> {
    return (await this.#broker()).mqttPort;
  }

  /** A socket on which nothing was said. */
  async connect(version: 3 | 4 | 5 = 4): Promise<RawMqtt> {
    const client = await RawMqtt.connect(await this.port(), version);
    this.#clients.push(client);
    return client;
  }

  async open(options: ConnectOptions = {}): Promise<RawMqtt> {
    return (await this.openWith(options)).client;
  }

  async openWith(options: ConnectOptions = {}): Promise<{ client: RawMqtt; connack: Got }> {
    const client = await this.connect(options.version);
    return { client, connack: await client.shakeHands(options) };
  }

  /** An AMQP connection with channel 1. */
  async amqp(): Promise<RawAmqp> {
    const client = await RawAmqp.open((await this.#broker()).port, { channels: 1 });
    this.#clients.push(client);
    return client;
  }

  /** So much time passes on the broker's own clock: a retained message that lives so long is gone. */
  async elapse(seconds: number): Promise<void> {
    const topic = `elapse/${crypto.randomUUID()}`;
    const publisher = await this.open({ version: 5 });
    await publisher.store(topic, "x", { retain: true, properties: { messageExpiryInterval: seconds } });
    await waitFor("end of a retained message", async () => {
      const client = await this.open();
      await client.subscribe(topic, 0);
      await publisher.store(topic, "now");
      const { retain } = await client.next("publish");
      await client.leave();
      return !retain;
    });
  }

  #leave(): void {
    for (const { socket } of this.#clients) socket.destroy();
    this.#clients = [];
  }

  /** In good order, and again. */
  async restart(): Promise<void> {
    this.#leave();
    await (await this.#broker()).stop();
    this.#started = null;
  }

  /** Goes on with the files as they are now: what the broker has not written is lost. */
  async kill(): Promise<void> {
    const broker = await this.#broker();
    await broker.abandon();
    this.#abandoned.push(broker);
    if (!broker.isGone) {
      const directory = newDirectory();
      cpSync(this.#directories.at(-1)!, directory, { recursive: true });
      this.#directories.push(directory);
    }
    this.#leave();
    this.#started = null;
  }

  async stop(): Promise<void> {
    this.#leave();
    await (await this.#started)?.stop();
    for (const broker of this.#abandoned) await broker.stop();
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }
}

function newDirectory(): string {
  return mkdtempSync(join(tmpdir(), "leveret-mqtt-"));
}
