// What a client is owed for a stream of octets on an open connection, as far as the specification and a few facts of the
// broker tell it without being the broker: which error ends the connection, which errors end channels. Where that
// depends on more than is known here it says so and predicts no further.

import { judgeHeader, judgeMethod } from "../wire/grammar.ts";

export interface OracleOptions {
  /** Largest frame taken, with its overhead. */
  readonly frameBytesMax: number;
  readonly channelMax: number;
  readonly messageBytesMax: number;
  /** Channels that are open already: 1 to n. */
  readonly channels: number;
  /** Octets that the broker's own exchanges are called. */
  readonly exchanges: readonly string[];
}

/** How the connection ends: with one of these codes, by the client's wish, not at all, or nobody knows. */
export type Ending = { readonly codes: readonly number[] } | "closed" | "open" | "unknown";

export interface Prediction {
  readonly ending: Ending;
  /** Channels of which every error is known, with the codes in order. */
  readonly channelCodes: ReadonlyMap<number, readonly number[]>;
}

type Content = null | { readonly expects: "header" } | { readonly expects: "body"; left: number };

/** Whether a channel takes frames: perhaps not, when something may have been refused. */
type ChannelState = "open" | "perhaps" | "failed" | "leaving";

class ChannelModel {
  state: ChannelState = "open";
  content: Content = null;
  confirms = false;
  transactions = false;
  /** It may hold deliveries. */
  holds = false;
  /** A reply may wait for the disk. */
  waits = false;
  exchange = "";
  readonly tags = new Set<string>();
}

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const METHOD = 1;
const HEADER = 2;
const HEARTBEAT = 8;
const REPLY_TO = "amq.rabbitmq.reply-to";
/** Methods of a client that have nothing to say on a channel. */
const IGNORED: readonly string[] = ["basic.cancel-ok", "channel.flow-ok"];
const HARMLESS: readonly string[] = ["basic.recover", "basic.recover-async", "channel.flow"];

class Oracle {
  readonly #options: OracleOptions;
  readonly #channels = new Map<number, ChannelModel>();
  readonly #codes = new Map<number, number[]>();
  /** Channels on which something may have happened that is not known. */
  readonly #vague = new Set<number>();
  readonly #queues = new Set<string>();
  readonly #exchanges: Set<string>;
  /** A queue may be a stream, or have others' rules. */
  #anyArguments = false;
  #ending: Ending = "open";

  constructor(options: OracleOptions) {
    this.#options = options;
    this.#exchanges = new Set(options.exchanges);
    for (let number = 1; number <= options.channels; number++) this.#channels.set(number, new ChannelModel());
  }

  run(stream: Uint8Array): Prediction {
    const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
    let at = 0;
    while (this.#ending === "open" && stream.length - at >= 7) {
      const type = stream[at]!;
      const size = view.getUint32(at + 3);
      if (![1, 2, 3, HEARTBEAT].includes(type) || size + 8 > this.#options.frameBytesMax) this.#end(501);
      else if (stream.length - at < size + 8) break;
      else if (stream[at + 7 + size] !== 0xce) this.#end(501);
      else this.#frame(type, view.getUint16(at + 1), stream.subarray(at + 7, at + 7 + size));
      at += size + 8;
    }
    const known = [...this.#channels.keys(), ...this.#codes.keys()].filter((number) => !this.#vague.has(number));
    return {
      ending: this.#ending,
      channelCodes: new Map(known.map((number) => [number, this.#codes.get(number) ?? []])),
    };
  }

  #end(...codes: number[]): void {
    this.#ending = { codes };
  }

  #frame(type: number, number: number, payload: Uint8Array): void {
    if (type === HEARTBEAT) {
      if (number !== 0) this.#end(505);
      return;
    }
    if (number === 0) return this.#channelZero(type, payload);
    const channel = this.#channels.get(number);
    if (channel === undefined) return this.#withoutChannel(type, number, payload);
    if (channel.state === "failed") return this.#whileFailed(type, number, payload);
    if (channel.state === "leaving") return void (this.#ending = "unknown");
    const error = type === METHOD
      ? this.#method(channel, number, payload)
      : type === HEADER
      ? this.#header(channel, payload)
      : this.#body(channel, payload.length);
    if (error === null) return;
    if (error === "vague") return this.#doubt(channel, number);
    if (error === "unknown") return void (this.#ending = "unknown");
    if ([403, 404, 405, 406].includes(error[0]!)) return this.#fail(channel, number, error[0]!);
    if (channel.state === "perhaps") this.#ending = "unknown";
    else this.#end(...error);
  }

  #channelZero(type: number, payload: Uint8Array): void {
    if (type !== METHOD) return this.#end(505);
    const verdict = judgeMethod(payload);
    if (!verdict.known) return this.#end(540);
    if (!verdict.ok) return this.#end(501);
    if (verdict.name === "connection.close") this.#ending = "closed";
    else if (verdict.name === "connection.update-secret") this.#ending = "unknown";
    else this.#end(503);
  }

  #withoutChannel(type: number, number: number, payload: Uint8Array): void {
    const kind = type === METHOD && payload.length >= 4 ? new DataView(payload.slice().buffer).getUint32(0) : 0;
    const { ok } = judgeMethod(payload);
    switch (kind) {
      case 0x14000a:
        if (!ok) return this.#end(501);
        if (number > this.#options.channelMax) return this.#end(530);
        this.#channels.set(number, new ChannelModel());
        return;
      case 0x140028:
      case 0x140029:
      case 0x3c0050:
      case 0x3c005a:
      case 0x3c0078:
        return;
      default:
        this.#end(504);
    }
  }

  /** Everything is ignored but what ends the channel. */
  #whileFailed(type: number, number: number, payload: Uint8Array): void {
    if (type !== METHOD || payload.length < 4) {
      if (type === METHOD) this.#end(501);
      return;
    }
    const kind = new DataView(payload.slice().buffer).getUint32(0);
    if (kind === 0x140028 || kind === 0x140029) this.#leave(this.#channels.get(number)!, number);
  }

  #leave(channel: ChannelModel, number: number): void {
    if (channel.waits || channel.state === "perhaps") channel.state = "leaving";
    else this.#channels.delete(number);
  }

  #fail(channel: ChannelModel, number: number, code: number): void {
    if (channel.state === "perhaps") return;
    channel.state = "failed";
    channel.content = null;
    this.#codes.set(number, [...this.#codes.get(number) ?? [], code]);
  }

  #doubt(channel: ChannelModel, number: number): void {
    channel.state = "perhaps";
    this.#vague.add(number);
  }

  #header(channel: ChannelModel, payload: Uint8Array): readonly number[] | "vague" | "unknown" | null {
    if (channel.content?.expects !== "header") return [505];
    if (payload.length < 4 || payload[0] !== 0 || payload[1] !== 60) return [505];
    if (!judgeHeader(payload, 4, payload.length, false).ok) return [501];
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const size = view.getBigUint64(4);
    if (size > BigInt(Number.MAX_SAFE_INTEGER)) return [501];
    if (size > BigInt(this.#options.messageBytesMax)) return [406];
    // Headers, reply-to, expiration and user-id mean something to the broker.
    const rare = (view.getUint16(12) & 0b0010_0011_0001_0000) !== 0;
    if (rare && !judgeHeader(payload, 4, payload.length, true).ok) return "unknown";
    channel.content = { expects: "body", left: Number(size) };
    const done = size === 0n ? this.#published(channel) : null;
    return done === "unknown" || done === "vague" ? done : rare ? "vague" : done;
  }

  #body(channel: ChannelModel, count: number): readonly number[] | "vague" | "unknown" | null {
    const { content } = channel;
    if (content?.expects !== "body") return [505];
    content.left -= count;
    if (content.left < 0) return [501];
    return content.left === 0 ? this.#published(channel) : null;
  }

  #published(channel: ChannelModel): readonly number[] | "vague" | "unknown" | null {
    channel.content = null;
    if (channel.exchange === "") return this.#anyArguments ? "vague" : null;
    if (!this.#exchanges.has(channel.exchange)) return [404];
    // An exchange may look into headers.
    return "vague";
  }

  #method(channel: ChannelModel, number: number, payload: Uint8Array): readonly number[] | "vague" | "unknown" | null {
    if (payload.length < 4) return [501];
    const isPublish = payload[0] === 0 && payload[1] === 60 && payload[2] === 0 && payload[3] === 40;
    if (channel.content !== null) return [505];
    if (isPublish) return this.#publish(channel, payload);
    const { known, ok, name } = judgeMethod(payload);
    if (!known) return [540];
    if (!ok) return [501];
    const args = new Arguments(payload);
    switch (name) {
      case "channel.close":
        this.#leave(channel, number);
        return null;
      case "channel.open":
        return [504];
      case "basic.qos":
        return args.long() === 0 ? null : [540];
      case "confirm.select":
        if (channel.transactions) return [406];
        channel.confirms = true;
        return null;
      case "tx.select":
        if (channel.confirms) return [406];
        channel.transactions = true;
        return null;
      case "tx.commit":
        channel.waits = true;
        return channel.transactions ? "vague" : [406];
      case "tx.rollback":
        return channel.transactions ? "vague" : [406];
      case "basic.ack":
      case "basic.nack":
      case "basic.reject":
        return this.#settle(channel, name, payload);
      case "basic.cancel":
        return null;
    }
    if (IGNORED.includes(name) || HARMLESS.includes(name)) return null;
    return this.#topology(channel, name, args);
  }

  #topology(channel: ChannelModel, name: string, args: Arguments): readonly number[] | "vague" | "unknown" | null {
    switch (name) {
      case "basic.get":
      case "basic.consume":
        return this.#read(channel, name, args);
      case "queue.declare": {
        args.short();
        const queue = args.shortString();
        const passive = (args.octet() & 1) !== 0;
        const isEmpty = args.long() === 0;
        channel.waits = true;
        if (passive && this.#isUnknown(queue)) return [404];
        this.#queues.add(queue);
        if (!isEmpty) this.#anyArguments = true;
        return "vague";
      }
      case "exchange.declare":
        args.short();
        this.#exchanges.add(args.shortString());
        channel.waits = true;
        return "vague";
      case "queue.purge":
        return this.#anyArguments ? "unknown" : "vague";
      case "queue.bind":
      case "queue.unbind":
      case "queue.delete":
      case "exchange.bind":
      case "exchange.unbind":
      case "exchange.delete":
        channel.waits = true;
        return "vague";
      default:
        return name.startsWith("queue.") || name.startsWith("exchange.") ? [503, 540] : [540, 503];
    }
  }

  #publish(channel: ChannelModel, payload: Uint8Array): readonly number[] | null {
    const exchangeBytes = payload[6];
    const keyBytes = exchangeBytes === undefined ? undefined : payload[7 + exchangeBytes];
    if (keyBytes === undefined || payload.length !== 9 + exchangeBytes! + keyBytes) return [502];
    channel.exchange = DECODER.decode(payload.subarray(7, 7 + exchangeBytes!));
    channel.content = { expects: "header" };
    return null;
  }

  #settle(channel: ChannelModel, name: string, payload: Uint8Array): readonly number[] | "vague" | null {
    const isAll = name !== "basic.reject" && payload.subarray(4, 12).every((octet) => octet === 0) &&
      (payload[12]! & 1) !== 0;
    if (isAll) return null;
    return channel.holds ? "vague" : [406];
  }

  #read(channel: ChannelModel, name: string, args: Arguments): readonly number[] | "vague" | "unknown" | null {
    args.short();
    const queue = args.shortString();
    if (queue !== "" && queue !== REPLY_TO && this.#isUnknown(queue)) return [404];
    if (this.#anyArguments) return "unknown";
    channel.holds = true;
    if (name === "basic.get") return "vague";
    const tag = args.shortString();
    const noLocal = (args.octet() & 1) !== 0;
    if (noLocal || channel.tags.has(tag)) return "unknown";
    if (tag !== "") channel.tags.add(tag);
    return "vague";
  }

  /** Nobody has declared it, by this name or by one that the broker made. */
  #isUnknown(queue: string): boolean {
    return queue !== "" && !this.#queues.has(queue) && !queue.startsWith("amq.");
  }
}

/** The arguments of a method that is known to be whole. */
class Arguments {
  readonly #view: DataView;
  readonly #payload: Uint8Array;
  #at = 4;

  constructor(payload: Uint8Array) {
    this.#payload = payload;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  }

  octet(): number {
    return this.#view.getUint8(this.#at++);
  }

  short(): number {
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2);
  }

  long(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4);
  }

  shortString(): string {
    const count = this.octet();
    this.#at += count;
    return DECODER.decode(this.#payload.subarray(this.#at - count, this.#at));
  }
}

export function predict(stream: Uint8Array, options: OracleOptions): Prediction {
  return new Oracle(options).run(stream);
}
