// A raw MQTT client for tests: a socket that sends what it is told, right or wrong, and hands over, in order, what the
// broker sends. Packets are put together and taken apart by mqtt-packet, another maker's codec.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { generate, type Packet, type Parser, parser, type QoS } from "mqtt-packet";
import { Inbox, within } from "./wait.ts";

const WAIT_MS = 20_000;

export type Version = 3 | 4 | 5;

/** A packet as mqtt-packet gives it, with every field that one may have. */
export interface Got {
  cmd: string;
  messageId?: number;
  returnCode?: number;
  reasonCode?: number;
  sessionPresent?: boolean;
  topic: string;
  payload: Buffer;
  qos: number;
  dup: boolean;
  retain: boolean;
  granted: number[];
  properties?: Record<string, unknown>;
}

export interface ConnectOptions {
  version?: Version;
  clientId?: string;
  clean?: boolean;
  keepalive?: number;
  username?: string | undefined;
  password?: string | undefined;
  will?: { topic: string; payload: string; qos?: QoS; retain?: boolean; properties?: Record<string, unknown> };
  properties?: Record<string, unknown>;
}

export interface PublishOptions {
  qos?: QoS;
  retain?: boolean;
  dup?: boolean;
  id?: number;
  properties?: Record<string, unknown>;
}

/** The octets of a packet. */
export function bytesOf(packet: Record<string, unknown>, version: Version): Buffer {
  return generate(packet as unknown as Packet, { protocolVersion: version });
}

let clients = 0;

export class RawMqtt {
  readonly socket: Socket;
  version: Version;
  clientId = "";
  ended = false;
  readonly closed: Promise<void>;
  readonly #inbox = new Inbox<Got | null>();
  readonly #parser: Parser;
  #id = 0;

  private constructor(socket: Socket, version: Version) {
    this.socket = socket;
    this.version = version;
    this.#parser = parser({ protocolVersion: version });
    this.#parser.on("packet", (packet) => this.#inbox.push(packet as unknown as Got));
    this.#parser.on("error", (error) => {
      this.#inbox.push({ cmd: `unreadable: ${error}` } as Got);
      socket.destroy();
    });
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#parser.parse(chunk));
    socket.on("error", () => {});
    socket.on("end", () => this.#end());
    this.closed = new Promise((resolve) =>
      socket.on("close", () => {
        this.#end();
        resolve();
      })
    );
  }

  #end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#inbox.push(null);
  }

  /** A connection on which nothing was said. */
  static async connect(port: number, version: Version = 4): Promise<RawMqtt> {
    const socket = connect({ port, host: "127.0.0.1" });
    const client = new RawMqtt(socket, version);
    await within(
      "TCP connection",
      new Promise<void>((resolve, reject) => {
        socket.once("connect", resolve);
        socket.once("error", reject);
      }),
      WAIT_MS,
    );
    return client;
  }

  /** Sends CONNECT and gives CONNACK. */
  async shakeHands(options: ConnectOptions = {}): Promise<Got> {
    const version = this.version;
    this.clientId = options.clientId ?? `raw-${process.pid}-${++clients}`;
    const { properties, will, username = "guest", password = "guest" } = options;
    this.send({
      cmd: "connect",
      protocolId: version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: version,
      clientId: this.clientId,
      clean: options.clean ?? true,
      keepalive: options.keepalive ?? 0,
      username,
      password: Buffer.from(password),
      ...(will && { will: { qos: 0, retain: false, ...will } }),
      ...(version === 5 && properties && { properties }),
    });
    return await this.next("connack");
  }

  send(packet: Record<string, unknown>): void {
    this.socket.write(bytesOf(packet, this.version));
  }

  sendBytes(...octets: (number | Uint8Array)[]): void {
    this.socket.write(Buffer.concat(octets.map((part) => typeof part === "number" ? Buffer.of(part) : part)));
  }

  /** The next packet, which must be of this type. */
  async next(cmd: string): Promise<Got> {
    const packet = await this.#inbox.next(cmd, WAIT_MS);
    assert.ok(packet !== null, `the connection ended, ${cmd} was expected`);
    if (packet.cmd !== cmd) assert.fail(`expected ${cmd}, found ${JSON.stringify(packet)}`);
    return packet;
  }

  /** The next packets, whatever they are, until there is one of each. */
  async take(count: number): Promise<Got[]> {
    const packets: Got[] = [];
    while (packets.length < count) {
      const packet = await this.#inbox.next(`packet ${packets.length + 1} of ${count}`, WAIT_MS);
      assert.ok(packet !== null, `the connection ended after ${packets.length} of ${count} packets`);
      packets.push(packet);
    }
    return packets;
  }

  /** Texts of the next messages, which must all be PUBLISH. */
  async payloads(count: number): Promise<string[]> {
    const texts: string[] = [];
    for (let index = 0; index < count; index++) texts.push(String((await this.next("publish")).payload));
    return texts;
  }

  /** Nothing else comes: the answer to a ping is the next packet. */
  async expectSilence(): Promise<void> {
    this.send({ cmd: "pingreq" });
    await this.next("pingresp");
  }

  /** The broker ends the connection, with this reason where MQTT 5 tells one; nothing else comes. */
  async expectEnd(code?: number): Promise<void> {
    if (code !== undefined && this.version === 5) {
      const { reasonCode } = await this.next("disconnect");
      assert.equal(reasonCode, code, `0x${reasonCode?.toString(16)}`);
    }
    const packet = await this.#inbox.next("end of the connection", WAIT_MS);
    if (packet !== null) assert.fail(`expected the end, found ${JSON.stringify(packet)}`);
    this.socket.destroy();
  }

  nextId(): number {
    return ++this.#id;
  }

  publish(topic: string, payload: string | Buffer, options: PublishOptions = {}): number {
    const { qos = 0, retain = false, dup = false, properties } = options;
    const id = options.id ?? (qos === 0 ? 0 : this.nextId());
    this.send({
      cmd: "publish",
      topic,
      payload,
      qos,
      retain,
      dup,
      ...(qos > 0 && { messageId: id }),
      ...(properties && { properties }),
    });
    return id;
  }

  /** Publishes and waits until the broker has it. */
  async store(topic: string, payload: string | Buffer, options: PublishOptions = {}): Promise<void> {
    const qos = options.qos ?? 1;
    const id = this.publish(topic, payload, { ...options, qos });
    if (qos === 1) assert.equal((await this.next("puback")).messageId, id);
    if (qos !== 2) return;
    assert.equal((await this.next("pubrec")).messageId, id);
    this.send({ cmd: "pubrel", messageId: id });
    assert.equal((await this.next("pubcomp")).messageId, id);
  }

  /** Subscribes and gives the codes of SUBACK. Retained messages come after it. */
  async subscribe(
    filters: string | readonly string[],
    qos: QoS = 0,
    options: Record<string, unknown> = {},
    properties?: Record<string, unknown>,
  ): Promise<number[]> {
    const messageId = this.nextId();
    const topics = typeof filters === "string" ? [filters] : filters;
    const subscriptions = topics.map((topic) => ({ topic, qos, nl: false, rap: false, rh: 0, ...options }));
    this.send({ cmd: "subscribe", messageId, subscriptions, ...(properties && { properties }) });
    const suback = await this.next("suback");
    assert.equal(suback.messageId, messageId);
    return suback.granted;
  }

  async unsubscribe(...filters: string[]): Promise<number[]> {
    const messageId = this.nextId();
    this.send({ cmd: "unsubscribe", messageId, unsubscriptions: filters });
    const unsuback = await this.next("unsuback");
    assert.equal(unsuback.messageId, messageId);
    return unsuback.granted ?? [];
  }

  ack(cmd: "puback" | "pubrec" | "pubrel" | "pubcomp", messageId: number | undefined): void {
    this.send({ cmd, messageId });
  }

  /** Says goodbye and waits for the end. */
  async leave(properties?: Record<string, unknown>): Promise<void> {
    this.send({ cmd: "disconnect", reasonCode: 0, ...(properties && { properties }) });
    await within("end of the connection", this.closed, WAIT_MS);
  }

  /** Breaks off. */
  async drop(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}
