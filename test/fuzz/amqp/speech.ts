// What clients say: sentences of valid methods and content with names and arguments that meet each other, and then one
// thing that is wrong with them.

import { bits, frame, long, longString, method, octet, short, shortString } from "../../support/raw_bytes.ts";
import { basic, channel, confirm, connection, exchange, queue, tx } from "../../support/raw_methods.ts";
import { joined, mutate } from "../mutate.ts";
import type { FuzzRandom } from "../random.ts";
import { Builder } from "../wire/builder.ts";

const QUEUES: readonly string[] = ["a", "b", "c", "", "nope", "amq.rabbitmq.reply-to", "é"];
const EXCHANGES: readonly string[] = [
  "x",
  "y",
  "z",
  "amq.fanout",
  "amq.topic",
  "amq.headers",
  "amq.direct",
  "",
  "nope",
];
const TYPES: readonly string[] = [
  "direct",
  "fanout",
  "topic",
  "headers",
  "x-delayed-message",
  "x-consistent-hash",
  "?",
];
const KEYS: readonly string[] = ["a", "b", "", "#", "*.a", "#.#.#.#", "a.b.c", "1", "amq.rabbitmq.reply-to.x"];
const TAGS: readonly string[] = ["", "t", "u"];
const DEEP: readonly string[] = ["first", "last", "next", "1h", "5m", "all", "any", "any-with-x", "drop-head"];

interface Argument {
  readonly name: string;
  readonly values: readonly string[];
}

/** What the arguments of queues, exchanges, bindings and consumers may be, and what values make sense there. */
const ARGUMENTS: readonly Argument[] = [
  { name: "x-queue-type", values: ["classic", "quorum", "stream"] },
  { name: "x-queue-type", values: ["stream"] },
  { name: "x-message-ttl", values: ["0", "1", "4294967295"] },
  { name: "x-expires", values: ["1", "4294967295"] },
  { name: "x-max-length", values: ["0", "1", "3"] },
  { name: "x-max-length-bytes", values: ["0", "10"] },
  { name: "x-overflow", values: ["drop-head", "reject-publish", "reject-publish-dlx"] },
  { name: "x-dead-letter-exchange", values: ["", "x", "y", "nope", "amq.fanout", "amq.topic"] },
  { name: "x-dead-letter-routing-key", values: ["a", "b", "", "k".repeat(300), "é".repeat(200)] },
  { name: "x-delivery-limit", values: ["-1", "0", "1"] },
  { name: "x-single-active-consumer", values: ["true"] },
  { name: "x-consumer-timeout", values: ["0", "1", "999999"] },
  { name: "x-max-priority", values: ["0", "1", "255"] },
  { name: "x-message-deduplication", values: ["true"] },
  { name: "x-cache-size", values: ["1", "3"] },
  { name: "x-cache-ttl", values: ["0", "1000"] },
  { name: "x-deduplication-header", values: ["h", ""] },
  { name: "x-max-age", values: ["1s", "0s", "7D", "999999999999Y"] },
  { name: "x-stream-max-segment-size-bytes", values: ["0", "1", "100", "65536", "500000000"] },
  { name: "x-stream-offset", values: DEEP },
  { name: "x-stream-filter", values: ["a", "a,b", ","] },
  { name: "x-stream-match-unfiltered", values: ["true"] },
  { name: "x-filter-match-type", values: DEEP },
  { name: "x-stream-automatic-offset-tracking", values: ["true", "false"] },
  { name: "x-priority", values: ["-1", "5", "2147483648"] },
  { name: "x-cancel-on-ha-failover", values: ["true"] },
  { name: "alternate-exchange", values: ["x", "y", "", "nope"] },
  { name: "x-delayed-type", values: TYPES },
  { name: "x-match", values: DEEP },
  { name: "hash-header", values: ["h"] },
  { name: "x-algorithm", values: ["ring", "jump"] },
];
/** What the broker reads in the headers of messages. */
const HEADERS: readonly Argument[] = [
  { name: "CC", values: [] },
  { name: "BCC", values: [] },
  { name: "x-delay", values: ["0", "1", "-5", "4294967296"] },
  { name: "x-death", values: [] },
  { name: "x-deduplication-header", values: ["1", "2"] },
  { name: "x-stream-filter-value", values: ["a", "b"] },
  { name: "x-cache-ttl", values: ["0"] },
  { name: "h", values: ["1"] },
  { name: "x-match", values: DEEP },
];

export class Speaker {
  readonly #random: FuzzRandom;
  readonly #channels: number;

  constructor(random: FuzzRandom, channels: number) {
    this.#random = random;
    this.#channels = channels;
  }

  /** So many sentences, as frames. */
  frames(count: number): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (let i = 0; i < count; i++) frames.push(...this.#sentence());
    return frames;
  }

  #sentence(): Uint8Array[] {
    const random = this.#random;
    const number = random.oneIn(40) ? random.below(20) : random.between(1, Math.max(1, this.#channels));
    const sentences: readonly (() => Uint8Array[])[] = [
      () => this.#declareQueue(number),
      () => this.#declareQueue(number),
      () => [this.#declareExchange(number)],
      () => [this.#bind(number)],
      () => this.#publish(number),
      () => this.#publish(number),
      () => this.#publish(number),
      () => this.#publish(number),
      () => this.#consume(number),
      () => this.#consume(number),
      () => this.#settle(number),
      () => this.#settle(number),
      () => [basic.get(number, this.#queue(), random.oneIn(3))],
      () => [basic.cancel(number, random.pick(TAGS), random.oneIn(2))],
      () => [basic.recover(number, random.oneIn(2))],
      () => [basic.qos(number, random.below(5), { global: random.oneIn(4) })],
      () => [random.oneIn(2) ? confirm.select(number) : tx.select(number)],
      () => [random.oneIn(2) ? tx.commit(number) : tx.rollback(number)],
      () => [channel.flow(number, !random.oneIn(4))],
      () => [queue.purge(number, this.#queue())],
      () => [queue.delete(number, this.#queue(), { ifUnused: random.oneIn(4), ifEmpty: random.oneIn(4) })],
      () => [exchange.delete(number, random.pick(EXCHANGES), { ifUnused: random.oneIn(3) })],
      () => [channel.close(number), ...random.oneIn(2) ? [channel.open(number)] : []],
      () => [channel.open(number)],
      () => [frame(8, 0)],
    ];
    return random.pick(sentences)();
  }

  #queue(): string {
    return QUEUES[Math.min(this.#random.below(QUEUES.length), this.#random.below(QUEUES.length))]!;
  }

  #declareQueue(number: number): Uint8Array[] {
    const random = this.#random;
    const name = this.#queue();
    const flags = bits(random.oneIn(12), random.oneIn(2), random.oneIn(6), random.oneIn(6), random.oneIn(5));
    const args = random.oneIn(2) ? this.#arguments(ARGUMENTS) : long(0);
    return [method(number, 50, 10, short(0), shortString(name), flags, args)];
  }

  #declareExchange(number: number): Uint8Array {
    const random = this.#random;
    const flags = bits(random.oneIn(12), random.oneIn(3), random.oneIn(4), random.oneIn(9), random.oneIn(5));
    const args = random.oneIn(2) ? this.#arguments(ARGUMENTS) : long(0);
    const [name, type] = [random.pick(EXCHANGES), random.pick(TYPES)];
    return method(number, 40, 10, short(0), shortString(name), shortString(type), flags, args);
  }

  #bind(number: number): Uint8Array {
    const random = this.#random;
    const [source, key] = [random.pick(EXCHANGES), random.pick(KEYS)];
    const args = random.oneIn(3) ? this.#arguments(ARGUMENTS) : long(0);
    const ids = random.pick([[50, 20], [50, 20], [50, 50], [40, 30], [40, 30], [40, 40]] as const);
    const destination = ids[0] === 50 ? this.#queue() : random.pick(EXCHANGES);
    const names = [destination, source];
    const noWait = ids[1] === 50 ? Buffer.alloc(0) : bits(random.oneIn(4));
    const text = Buffer.concat([...names, key].map(shortString));
    return method(number, ids[0], ids[1], short(0), text, noWait, args);
  }

  #publish(number: number): Uint8Array[] {
    const random = this.#random;
    const size = random.oneIn(40) ? random.below(70_000) : random.below(40);
    const key = random.oneIn(12) ? this.#oddKey() : shortString(random.oneIn(2) ? this.#queue() : random.pick(KEYS));
    const route = Buffer.concat([shortString(random.oneIn(2) ? "" : random.pick(EXCHANGES)), key]);
    const frames: Uint8Array[] = [
      method(number, 60, 40, short(0), route, bits(random.oneIn(4), random.oneIn(12))),
      frame(2, number, this.#header(size)),
    ];
    for (let left = size; left > 0;) {
      const count = Math.min(left, random.oneIn(3) ? random.between(1, left) : left, 16_000);
      frames.push(frame(3, number, new Uint8Array(count).fill(left)));
      left -= count;
    }
    return frames;
  }

  /** Octets that are no text. */
  #oddKey(): Uint8Array {
    const count = this.#random.oneIn(2) ? 255 : this.#random.below(256);
    return Buffer.concat([octet(count), Buffer.alloc(count, 0xff)]);
  }

  #header(size: number): Uint8Array {
    const random = this.#random;
    const builder = new Builder(random);
    builder.raw(Uint8Array.of(0, 60, 0, 0));
    if (random.oneIn(6)) builder.header(size);
    else {
      const headers = random.oneIn(3);
      const persistent = random.oneIn(2);
      const expires = random.oneIn(8);
      const reply = random.oneIn(20);
      builder.number(8, size);
      const flags = (headers ? 1 << 13 : 0) | (persistent ? 1 << 12 : 0) | (reply ? 1 << 9 : 0) |
        (expires ? 1 << 8 : 0);
      builder.number(2, flags);
      if (headers) builder.raw(this.#arguments(HEADERS));
      if (persistent) builder.number(1, random.oneIn(9) ? random.below(256) : 2);
      if (reply) builder.raw(shortString("amq.rabbitmq.reply-to"));
      if (expires) builder.raw(shortString(random.pick(["0", "1", "60000", "4294967295", "4294967296", "", "x"])));
    }
    return builder.take();
  }

  #arguments(known: readonly Argument[]): Uint8Array {
    const random = this.#random;
    const fields: Uint8Array[] = [];
    for (let count = random.between(1, 4); count > 0; count--) {
      const { name, values } = random.pick(known);
      fields.push(
        shortString(name),
        values.length > 0 && !random.oneIn(6) ? typed(random, random.pick(values)) : this.#any(),
      );
    }
    return longString(Buffer.concat(fields));
  }

  #any(): Uint8Array {
    const builder = new Builder(this.#random);
    if (this.#random.oneIn(2)) builder.value(1);
    else {
      builder.raw(Buffer.from("A"));
      builder.sized(4, () => {
        for (let count = this.#random.below(4); count > 0; count--) {
          builder.raw(typed(this.#random, this.#random.pick(["a", "b", "c", "k".repeat(300)])));
        }
      });
    }
    return builder.take();
  }

  #consume(number: number): Uint8Array[] {
    const random = this.#random;
    const noAck = random.oneIn(4);
    const flags = bits(random.oneIn(40), noAck, random.oneIn(12), random.oneIn(3));
    const args = random.oneIn(3) ? this.#arguments(ARGUMENTS) : long(0);
    const name = shortString(this.#queue());
    const consume = method(number, 60, 20, short(0), name, shortString(random.pick(TAGS)), flags, args);
    return random.oneIn(3) ? [basic.qos(number, random.between(1, 4)), consume] : [consume];
  }

  #settle(number: number): Uint8Array[] {
    const random = this.#random;
    const tag = random.oneIn(12) ? Number(random.edge() & 0xffffffffffffn) : random.below(6);
    const multiple = random.oneIn(3);
    const requeue = random.oneIn(2);
    return [
      random.pick([
        () => basic.ack(number, tag, multiple),
        () => basic.nack(number, tag, { multiple, requeue }),
        () => basic.reject(number, tag, requeue),
      ])(),
    ];
  }
}

/** A text as the type that it looks like, mostly. */
function typed(random: FuzzRandom, text: string): Uint8Array {
  if (/^-?\d+$/.test(text) && !random.oneIn(6)) {
    const bytes = Buffer.alloc(9, "l");
    bytes.writeBigInt64BE(BigInt(text), 1);
    return bytes;
  }
  if ((text === "true" || text === "false") && !random.oneIn(6)) return Buffer.from([0x74, text === "true" ? 1 : 0]);
  return Buffer.concat([Buffer.from("S"), longString(text)]);
}

/** One thing is wrong: a frame is missing, twice, at the wrong place, on another channel, spoiled, or not known. */
export function spoil(frames: Uint8Array[], random: FuzzRandom): Uint8Array[] {
  const at = random.below(frames.length);
  const spoiled = [...frames];
  const chosen = frames[at]!;
  switch (random.below(9)) {
    case 0:
      spoiled.splice(at, 1);
      break;
    case 1:
      spoiled.splice(at, 0, chosen);
      break;
    case 2:
      spoiled.splice(at, 1);
      spoiled.splice(random.below(frames.length), 0, chosen);
      break;
    case 3:
      spoiled[at] = changed(chosen, (copy) => new DataView(copy.buffer).setUint16(1, random.below(18)));
      break;
    case 4:
      spoiled[at] = mutate(chosen, random, frames);
      break;
    case 5: {
      // Its payload is another one; the frame is whole.
      const payload = mutate(chosen.subarray(7, -1), random, frames);
      spoiled[at] = frame(chosen[0]!, chosen[1]! << 8 | chosen[2]!, payload);
      break;
    }
    case 6: {
      const builder = new Builder(random);
      builder.frame(1, random.between(0, 2), () => builder.method());
      spoiled.splice(at, 0, builder.take());
      break;
    }
    case 7:
      spoiled[at] = changed(
        chosen,
        (copy) => new DataView(copy.buffer).setUint32(3, Number(random.edge() & 0xffffffffn)),
      );
      break;
    default:
      spoiled.splice(at, 0, frame(random.pick([1, 2, 3, 8, 4]), random.below(4), random.bytes(random.size(40))));
  }
  return spoiled;
}

function changed(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = Uint8Array.from(bytes);
  change(copy);
  return copy;
}

/** From the protocol header to the first channel. */
export function handshake(random: FuzzRandom): Uint8Array[] {
  const password = random.oneIn(6) ? "wrong" : "guest";
  const frameMax = random.pick([4096, 8192, 16_384, 16_384, 16_385, 0, 100]);
  return [
    Uint8Array.of(0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1),
    connection.startOk({ password, mechanism: random.pick(["PLAIN", "PLAIN", "PLAIN", "AMQPLAIN", "EXTERNAL", "X"]) }),
    connection.tuneOk({ frameMax, channelMax: random.pick([1, 16, 16, 16, 17, 0]) }),
    connection.open(random.oneIn(8) ? "nope" : "/"),
    channel.open(1),
  ];
}

export function joinedFrames(frames: readonly Uint8Array[]): Uint8Array {
  return joined(...frames);
}
