// An AMQP client inside a simulated run: octets over a loopback connection, driven by callbacks, no promises. Knows the
// protocol as far as the script needs it, and nothing of what the answers mean.

import type { Address, Conn, ConnHandler, Runtime } from "../../src/runtime/runtime.ts";
import { content, PayloadReader, PROTOCOL_HEADER, RawFrame, takeFrame } from "../support/raw_bytes.ts";
import { basic, channel, connection, REPLIES, type ReplyName } from "../support/raw_methods.ts";

export interface SimDelivery {
  readonly channel: SimChannel;
  /** Null: it came by basic.get. */
  readonly consumerTag: string | null;
  readonly deliveryTag: number;
  readonly redelivered: boolean;
  readonly routingKey: string;
  /** Flags and property list. */
  readonly properties: Buffer;
  readonly body: Buffer;
}

export interface ChannelEvents {
  delivered(delivery: SimDelivery): void;
  /** By number of publish, 1 and up. */
  confirmed(number: number): void;
  refused(number: number): void;
  cancelled(consumerTag: string): void;
  closed(reason: string): void;
}

type Answer = (name: ReplyName, args: PayloadReader) => void;

/** What a request may be answered with, by the specification's numbers. */
const NAMES = new Map(Object.entries(REPLIES).map(([name, number]) => [number as string, name as ReplyName]));

export class SimChannel {
  readonly number: number;
  readonly client: SimClient;
  readonly events: ChannelEvents;
  /** Why the broker closed it. */
  closedBy: string | null = null;
  /** Publishes so far, where confirms are on. */
  published = 0;
  /** Those that are not confirmed. */
  readonly unconfirmed = new Set<number>();
  readonly #waiting: Answer[] = [];
  #got: { method: RawFrame; properties: Buffer; size: number; parts: Buffer[]; received: number } | null = null;

  constructor(number: number, client: SimClient, events: ChannelEvents) {
    this.number = number;
    this.client = client;
    this.events = events;
  }

  get isOpen(): boolean {
    return this.closedBy === null && this.client.isOpen;
  }

  /** Requests that are not answered. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Sends a method that is answered; answers come in the order of requests. */
  call(bytes: Uint8Array, answer: Answer): void {
    this.#waiting.push(answer);
    this.client.send(bytes);
  }

  /** Returns the number of the publish. */
  publish(exchange: string, key: string, body: Uint8Array, flags: number, properties: Uint8Array): number {
    this.client.send(basic.publishMethod(this.number, key, { exchange }));
    this.client.send(content(this.number, body, { flags, properties, frameMax: 8192 }));
    this.unconfirmed.add(++this.published);
    return this.published;
  }

  frame(frame: RawFrame): void {
    if (frame.name === "header") return this.#header(frame.payload);
    if (frame.name === "body") return this.#body(frame.payload);
    const name = NAMES.get(frame.name);
    const { args } = frame;
    switch (name) {
      case "basic.deliver":
      case "basic.get-ok":
        this.#got = { method: frame, properties: Buffer.alloc(0), size: 0, parts: [], received: 0 };
        return;
      case "basic.ack":
      case "basic.nack":
        return this.#settled(args.longlong(), (args.octet() & 1) === 1, name === "basic.ack");
      case "basic.cancel":
        return this.events.cancelled(args.shortString());
      case "channel.close":
        this.closedBy = `${args.short()} ${args.shortString()}`;
        this.client.send(channel.closeOk(this.number));
        return this.events.closed(this.closedBy);
      case undefined:
        throw new Error(`the broker sent ${frame.name}`);
      default:
        return this.#answer(name, args);
    }
  }

  #answer(name: ReplyName, args: PayloadReader): void {
    const answer = this.#waiting.shift();
    if (answer === undefined) throw new Error(`nobody asked for ${name}`);
    answer(name, args);
  }

  #header(payload: Buffer): void {
    const got = this.#got!;
    const reader = new PayloadReader(payload, 4);
    got.size = reader.longlong();
    got.properties = payload.subarray(reader.at);
    if (got.size === 0) this.#whole();
  }

  #body(payload: Buffer): void {
    const got = this.#got!;
    got.parts.push(payload);
    got.received += payload.length;
    if (got.received >= got.size) this.#whole();
  }

  #whole(): void {
    const { method, properties, parts } = this.#got!;
    this.#got = null;
    const isGet = NAMES.get(method.name) === "basic.get-ok";
    const { args } = method;
    const consumerTag = isGet ? null : args.shortString();
    const deliveryTag = args.longlong();
    const redelivered = args.octet() === 1;
    args.shortString();
    const routingKey = args.shortString();
    const body = Buffer.concat(parts);
    this.events.delivered({
      channel: this,
      consumerTag,
      deliveryTag,
      redelivered,
      routingKey,
      properties,
      body,
    });
    if (isGet) this.#answer("basic.get-ok", args);
  }

  #settled(tag: number, multiple: boolean, positive: boolean): void {
    const numbers = multiple ? [...this.unconfirmed].filter((number) => number <= tag) : [tag];
    for (const number of numbers) {
      if (!this.unconfirmed.delete(number)) throw new Error(`publish ${number} was confirmed that waits for nothing`);
      if (positive) this.events.confirmed(number);
      else this.events.refused(number);
    }
  }
}

export class SimClient implements ConnHandler {
  readonly name: string;
  conn: Conn | null = null;
  isOpen = false;
  /** The connection ended, and why. */
  gone: string | null = null;
  readonly channels = new Map<number, SimChannel>();
  readonly #early: Uint8Array[] = [];
  readonly #wrong: (text: string) => void;
  #bytes: Buffer = Buffer.alloc(0);

  /** `wrong` is told of what breaks the protocol. */
  constructor(name: string, wrong: (text: string) => void) {
    this.name = name;
    this.#wrong = wrong;
  }

  connect(runtime: Runtime, address: Address): void {
    runtime.connect(address, (conn) => {
      this.conn = conn;
      this.#write(PROTOCOL_HEADER);
      return this;
    }).catch((error) => this.gone = String(error));
  }

  /** The broker's answer to channel.open is the first that the channel waits for. */
  openChannel(number: number, events: ChannelEvents): SimChannel {
    const opened = new SimChannel(number, this, events);
    this.channels.set(number, opened);
    opened.call(channel.open(number), () => {});
    return opened;
  }

  /** Gone at once; what is under way is lost. */
  abort(): void {
    this.isOpen = false;
    this.gone ??= "aborted by the client";
    this.conn?.abort();
  }

  /** What is sent before the connection is open follows when it is. */
  send(bytes: Uint8Array): void {
    if (this.isOpen) this.#write(bytes);
    else if (this.gone === null) this.#early.push(bytes);
  }

  #write(bytes: Uint8Array): void {
    if (this.gone !== null) return;
    this.conn!.out.append(bytes);
    this.conn!.flush();
  }

  onData(chunk: Uint8Array): void {
    if (this.gone !== null) return;
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    try {
      this.#readFrames();
    } catch (error) {
      this.#wrong(`${this.name}: ${error instanceof Error ? error.message : error}`);
    }
  }

  #readFrames(): void {
    for (;;) {
      const taken = takeFrame(this.#bytes);
      if (taken === null) return;
      this.#bytes = taken.rest;
      if (taken.frame.channel === 0) this.#frame(taken.frame);
      else this.channels.get(taken.frame.channel)!.frame(taken.frame);
    }
  }

  onDrain(): void {}

  onClose(error: Error | null): void {
    this.isOpen = false;
    this.gone ??= error === null ? "closed" : error.message;
  }

  #frame(frame: RawFrame): void {
    switch (NAMES.get(frame.name)) {
      case "connection.start":
        return this.#write(connection.startOk());
      case "connection.tune":
        this.#write(connection.tuneOk({ frameMax: 8192 }));
        return this.#write(connection.open());
      case "connection.open-ok":
        this.isOpen = true;
        for (const bytes of this.#early.splice(0)) this.#write(bytes);
        return;
      case "connection.close": {
        const { args } = frame;
        this.gone = `${args.short()} ${args.shortString()}`;
        this.isOpen = false;
        this.conn!.out.append(connection.closeOk());
        return this.conn!.flush();
      }
      case undefined:
        return;
    }
  }
}
