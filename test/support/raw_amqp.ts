// A raw AMQP client for tests: a socket that sends what it is told and hands over, in order, what the broker sends.
// Owns one connection; knows no more of the protocol than how to open one.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { PayloadReader, PROTOCOL_HEADER, type RawFrame, takeFrame } from "./raw_bytes.ts";
import { CAPABILITIES, channel, connection, REPLIES, type ReplyName } from "./raw_methods.ts";
import type { Table } from "./raw_bytes.ts";
import { within } from "./wait.ts";

const WAIT_MS = 10_000;

export interface OpenOptions {
  channelMax?: number;
  frameMax?: number;
  heartbeat?: number;
  properties?: Table;
  user?: string;
  password?: string;
  vhost?: string;
  /** Channels to open, 1 to n. */
  channels?: number;
}

export interface CloseReason {
  level: "channel" | "connection";
  channel: number;
  code: number;
  text: string;
  method: string;
}

/** A message as it comes by basic.deliver, basic.get-ok or basic.return. */
export interface RawMessage {
  by: "deliver" | "get" | "return";
  channel: number;
  consumerTag: string;
  deliveryTag: number;
  redelivered: boolean;
  exchange: string;
  routingKey: string;
  /** Of basic.get-ok. */
  messageCount: number;
  /** Of basic.return. */
  replyCode: number;
  properties: Buffer;
  body: Buffer;
}

export class RawAmqp {
  readonly socket: Socket;
  /** When the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  /** ECONNRESET and the like. */
  error: Error | null = null;
  /** The broker has ended its side, or the socket is gone. */
  ended = false;
  #bytes: Buffer = Buffer.alloc(0);
  #chunks: Buffer[] = [];
  #wake: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#notify();
    });
    socket.on("end", () => this.#end());
    socket.on("error", (error) => this.error = error);
    this.closed = new Promise((resolve) =>
      socket.on("close", () => {
        this.#end();
        resolve();
      })
    );
  }

  /** A connection on which nothing was said. */
  static async connect(port: number): Promise<RawAmqp> {
    const socket = connect({ port, host: "127.0.0.1" });
    const client = new RawAmqp(socket);
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

  /** An open connection. */
  static async open(port: number, options: OpenOptions = {}): Promise<RawAmqp> {
    const client = await RawAmqp.connect(port);
    await client.shakeHands(options);
    return client;
  }

  async shakeHands(options: OpenOptions = {}): Promise<void> {
    const { properties = CAPABILITIES, user = "guest", password = "guest", vhost, channels = 0, ...tuning } = options;
    this.send(PROTOCOL_HEADER);
    await this.reply("connection.start");
    this.send(connection.startOk({ properties, user, password }));
    await this.reply("connection.tune");
    this.send(connection.tuneOk(tuning), connection.open(vhost));
    await this.reply("connection.open-ok");
    for (let number = 1; number <= channels; number++) {
      await this.call("channel.open-ok", channel.open(number));
    }
  }

  send(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** Sends, and waits for the reply. */
  async call(name: ReplyName, ...parts: Uint8Array[]): Promise<PayloadReader> {
    this.send(...parts);
    return (await this.reply(name)).args;
  }

  /** The next frame; null when the broker has ended the connection. */
  async next(): Promise<RawFrame | null> {
    while (true) {
      this.#gather();
      const taken = takeFrame(this.#bytes);
      if (taken !== null) {
        this.#bytes = taken.rest;
        return taken.frame;
      }
      if (this.ended) {
        assert.equal(this.#bytes.length, 0, "the broker's last frame is cut");
        return null;
      }
      await this.#more("frame");
    }
  }

  /** Whether a frame of the broker waits to be read. */
  get hasFrame(): boolean {
    this.#gather();
    return takeFrame(this.#bytes) !== null;
  }

  /** The next frame, which must be this method. */
  async reply(name: ReplyName): Promise<RawFrame> {
    const frame = await this.next();
    if (frame === null) throw new Error(`expected ${name}, the broker ended the connection`);
    if (frame.name === REPLIES[name]) return frame;
    const reason = reasonOf(frame);
    throw new Error(`expected ${name}, found ${reason === null ? frame.name : JSON.stringify(reason)}`);
  }

  /** The next frame, which must be channel.close or connection.close. Answers it. */
  async refused(): Promise<CloseReason> {
    const frame = await this.next();
    if (frame === null) throw new Error("expected a close, the broker ended the connection");
    const reason = reasonOf(frame);
    if (reason === null) throw new Error(`expected a close, found ${frame.name}`);
    this.send(reason.level === "channel" ? channel.closeOk(reason.channel) : connection.closeOk());
    return reason;
  }

  /** The next frames, which must be a message. */
  async message(): Promise<RawMessage> {
    const frame = await this.next();
    if (frame === null) throw new Error("expected a message, the broker ended the connection");
    const message = startOf(frame);
    if (message === null) {
      throw new Error(`expected a message, found ${frame.name} ${JSON.stringify(reasonOf(frame))}`);
    }
    const header = await this.next();
    assert.equal(header?.name, "header", "a content header follows");
    assert.equal(header!.channel, frame.channel, "on the same channel");
    const reader = new PayloadReader(header!.payload);
    assert.equal(reader.short(), 60, "class basic");
    assert.equal(reader.short(), 0, "weight");
    const size = reader.longlong();
    message.properties = header!.payload.subarray(reader.at);
    const parts: Buffer[] = [];
    let received = 0;
    while (received < size) {
      const body = await this.next();
      assert.equal(body?.name, "body", "a body frame follows");
      assert.equal(body!.channel, frame.channel, "on the same channel");
      parts.push(body!.payload);
      received += body!.payload.length;
    }
    assert.equal(received, size, "the body is as long as announced");
    message.body = Buffer.concat(parts);
    return message;
  }

  async messages(count: number): Promise<RawMessage[]> {
    const messages: RawMessage[] = [];
    while (messages.length < count) messages.push(await this.message());
    return messages;
  }

  /** Everything until the broker ends its side, as bytes. */
  async rest(): Promise<Buffer> {
    while (!this.ended) {
      this.#gather();
      await this.#more("end of the connection");
    }
    this.#gather();
    return this.#bytes;
  }

  /** Nothing came before the answer to a request made now: what is said here was said to nobody. */
  async expectSilence(number: number): Promise<void> {
    await this.call("channel.flow-ok", channel.flow(number, true));
  }

  /** Closes as the protocol has it. */
  async close(): Promise<void> {
    this.send(connection.close());
    while (true) {
      const frame = await this.next();
      if (frame === null || frame.name === REPLIES["connection.close-ok"]) break;
    }
    this.socket.end();
    await within("close of the socket", this.closed, WAIT_MS);
  }

  /** Gone at once, by RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  async #more(what: string): Promise<void> {
    if (this.#chunks.length > 0) return;
    await within(what, new Promise<void>((resolve) => this.#wake.push(resolve)), WAIT_MS);
  }

  #gather(): void {
    if (this.#chunks.length === 0) return;
    this.#bytes = Buffer.concat([this.#bytes, ...this.#chunks]);
    this.#chunks = [];
  }

  #end(): void {
    this.ended = true;
    this.#notify();
  }

  #notify(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

function reasonOf(frame: RawFrame): CloseReason | null {
  const level = frame.name === REPLIES["channel.close"]
    ? "channel"
    : frame.name === REPLIES["connection.close"]
    ? "connection"
    : null;
  if (level === null) return null;
  const { args } = frame;
  const [code, text] = [args.short(), args.shortString()];
  return { level, channel: frame.channel, code, text, method: `${args.short()}.${args.short()}` };
}

function startOf(frame: RawFrame): RawMessage | null {
  const { args } = frame;
  const message: RawMessage = {
    by: "deliver",
    channel: frame.channel,
    consumerTag: "",
    deliveryTag: 0,
    redelivered: false,
    exchange: "",
    routingKey: "",
    messageCount: 0,
    replyCode: 0,
    properties: Buffer.alloc(0),
    body: Buffer.alloc(0),
  };
  if (frame.name === REPLIES["basic.return"]) {
    message.by = "return";
    message.replyCode = args.short();
    args.shortString();
  } else if (frame.name === REPLIES["basic.deliver"] || frame.name === REPLIES["basic.get-ok"]) {
    message.by = frame.name === REPLIES["basic.get-ok"] ? "get" : "deliver";
    if (message.by === "deliver") message.consumerTag = args.shortString();
    message.deliveryTag = args.longlong();
    message.redelivered = args.octet() === 1;
  } else {
    return null;
  }
  message.exchange = args.shortString();
  message.routingKey = args.shortString();
  if (message.by === "get") message.messageCount = args.long();
  return message;
}
