// A broker in this process with its door for administrators: for tests that change users, permissions and policies while
// clients are connected. Over real TCP, in memory or on disk; a fault of the broker fails the test that stops it.

import assert from "node:assert/strict";
import { Broker } from "../../src/mod.ts";
import { RawAmqp } from "./raw_amqp.ts";
import { PROTOCOL_HEADER } from "./raw_bytes.ts";
import { type ConnectOptions, type Got, RawMqtt } from "./raw_mqtt.ts";
import { channel, connection } from "./raw_methods.ts";

export type Management = Broker["management"];

export interface Login {
  user?: string;
  password?: string;
  vhost?: string;
  /** Channels to open, 1 to n. */
  channels?: number;
}

export class ManagedBroker {
  readonly #broker: Broker;
  readonly #faults: Error[] = [];
  readonly #clients: (RawAmqp | RawMqtt)[] = [];
  #started: Promise<void> | null = null;

  /** In memory without a directory. */
  constructor({ dataDir, loadDefinitions = "" }: { dataDir?: string; loadDefinitions?: string } = {}) {
    const where = dataDir === undefined ? { memory: true } : { dataDir };
    this.#broker = new Broker({ ...where, loadDefinitions, amqp: { port: 0 }, mqtt: { port: 0 } }, {
      onFault: (fault) => this.#faults.push(fault),
    });
  }

  async management(): Promise<Management> {
    await (this.#started ??= this.#broker.start());
    return this.#broker.management;
  }

  /** An MQTT connection that was accepted, or not. The password is the user's name unless told otherwise. */
  async mqtt(options: ConnectOptions = {}): Promise<{ client: RawMqtt; connack: Got }> {
    await this.management();
    const client = await RawMqtt.connect(this.#broker.listeners[1]!.port, options.version);
    this.#clients.push(client);
    const { username = "guest" } = options;
    const connack = await client.shakeHands({ password: username.split(":").at(-1), ...options });
    return { client, connack };
  }

  /** A connection on which connection.tune has come. */
  async logIn({ user = "guest", password = user }: Login = {}): Promise<RawAmqp> {
    await this.management();
    const client = await RawAmqp.connect(this.#broker.listeners[0]!.port);
    this.#clients.push(client);
    client.send(PROTOCOL_HEADER);
    await client.reply("connection.start");
    client.send(connection.startOk({ user, password }));
    return client;
  }

  /** An open connection. The password is the user's name unless told otherwise. */
  async open(login: Login = {}): Promise<RawAmqp> {
    const client = await this.logIn(login);
    await client.reply("connection.tune");
    client.send(connection.tuneOk(), connection.open(login.vhost ?? "/"));
    await client.reply("connection.open-ok");
    for (let number = 1; number <= (login.channels ?? 1); number++) {
      await client.call("channel.open-ok", channel.open(number));
    }
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    await this.#broker.stop();
    assert.deepEqual(this.#faults, []);
  }
}
