// What clients say: packets of every type, mostly right, some wrong in one place.

import type { FuzzRandom } from "../random.ts";
import { joined, mutate } from "../mutate.ts";
import type { Version } from "./grammar.ts";

const ENCODER = new TextEncoder();
const TOPICS: readonly string[] = ["a", "a/b", "a/b/c", "b", "/", "a//b", "$x/y", "é/ü", "\ufeffa", "x.y", "*"];
const FILTERS: readonly string[] = [
  ...TOPICS,
  "#",
  "+",
  "a/+",
  "+/b",
  "a/#",
  "+/+/#",
  "$SYS/#",
  "$SYS/broker/version",
  "$share/g/a/+",
  "$share/g/#",
  "$share/h/b",
];
const WRONG: readonly string[] = ["", "a+", "#/a", "a/b#", "$share/", "$share//a", "$share/g", "$share/g+/a", "++"];
const CODES: readonly number[] = [0, 0, 0, 0x10, 0x80, 0x83, 0x92, 0x97, 0xff];

export function variable(value: number): Uint8Array {
  const octets: number[] = [];
  do {
    octets.push(value % 128 + (value >= 128 ? 128 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return Uint8Array.from(octets);
}

export function number(width: number, value: number): Uint8Array {
  return Uint8Array.from({ length: width }, (_, index) => Math.floor(value / 256 ** (width - 1 - index)) % 256);
}

export function bytes(value: Uint8Array): Uint8Array {
  return joined(number(2, value.length), value);
}

export function text(value: string): Uint8Array {
  return bytes(ENCODER.encode(value));
}

export function packet(first: number, ...parts: Uint8Array[]): Uint8Array {
  const body = joined(...parts);
  return joined(Uint8Array.of(first), variable(body.length), body);
}

export interface ConnectOptions {
  readonly version: Version;
  readonly clientId: string;
  readonly clean: boolean;
  readonly expiry?: number;
  readonly properties?: Uint8Array;
}

/** A CONNECT in good order. */
export function connect(
  { version, clientId, clean, expiry = 0, properties = new Uint8Array(0) }: ConnectOptions,
): Uint8Array {
  const own = expiry === 0 ? properties : joined(Uint8Array.of(0x11), number(4, expiry), properties);
  return packet(
    0x10,
    text(version === 3 ? "MQIsdp" : "MQTT"),
    Uint8Array.of(version, 0xc0 | (clean ? 2 : 0), 0, 0),
    ...version === 5 ? [joined(variable(own.length), own)] : [],
    text(clientId),
    text("guest"),
    text("guest"),
  );
}

export class Speaker {
  readonly #random: FuzzRandom;
  readonly #version: Version;

  constructor(random: FuzzRandom, version: Version) {
    this.#random = random;
    this.#version = version;
  }

  packets(count: number): Uint8Array[] {
    return Array.from({ length: count }, () => this.one());
  }

  one(): Uint8Array {
    const random = this.#random;
    switch (random.below(16)) {
      case 0:
      case 1:
      case 2:
        return this.subscribe();
      case 3:
        return packet(0xa2, this.#id(), this.#properties(""), ...this.#some(() => text(this.#filter())));
      case 4:
      case 5:
      case 6: {
        const type = random.between(4, 7);
        const ack = [this.#id()];
        if (this.#version === 5 && random.oneIn(2)) ack.push(Uint8Array.of(random.pick(CODES)));
        if (ack.length > 1 && random.oneIn(2)) ack.push(this.#properties("reason"));
        return packet(type << 4 | (type === 6 ? 2 : 0), ...ack);
      }
      case 7:
        return packet(0xc0);
      case 8:
        return random.oneIn(3) ? this.disconnect() : this.publish();
      case 9:
        return random.oneIn(8) ? this.connect() : this.publish();
      case 10:
        return random.oneIn(8) ? packet(random.below(256), random.bytes(random.size(30))) : this.publish();
      default:
        return this.publish();
    }
  }

  publish(): Uint8Array {
    const random = this.#random;
    const qos = random.below(3);
    const first = 0x30 | (qos > 0 && random.oneIn(4) ? 8 : 0) | qos << 1 | random.below(2);
    const payload = random.oneIn(30) ? new Uint8Array(random.size(4000)) : this.#payload();
    return packet(first, this.#topic(), ...qos > 0 ? [this.#id()] : [], this.#properties("publish"), payload);
  }

  #payload(): Uint8Array {
    const random = this.#random;
    return random.oneIn(6) ? random.bytes(random.size(40)) : ENCODER.encode("p".repeat(random.size(40)));
  }

  subscribe(): Uint8Array {
    const random = this.#random;
    const one = () => joined(text(this.#filter()), Uint8Array.of(this.#options()));
    return packet(0x82, this.#id(), this.#properties(random.oneIn(3) ? "id" : ""), ...this.#some(one));
  }

  #options(): number {
    const random = this.#random;
    if (random.oneIn(40)) return random.below(256);
    const qos = random.below(3);
    if (this.#version < 5) return qos;
    return qos | (random.oneIn(4) ? 4 : 0) | (random.oneIn(4) ? 8 : 0) | random.below(3) << 4;
  }

  disconnect(): Uint8Array {
    const random = this.#random;
    if (this.#version < 5 || random.oneIn(3)) return packet(0xe0);
    const code = Uint8Array.of(random.pick([0, 0, 4, 0x81]));
    return random.oneIn(2) ? packet(0xe0, code) : packet(0xe0, code, this.#properties("disconnect"));
  }

  connect(): Uint8Array {
    const random = this.#random;
    const flags = random.pick([0, 2, 0xc0, 0xc2, 0xc2, 0xc6, 0xee, 0xd6, 0x82, 0x42]);
    const level = random.oneIn(20) ? random.below(256) : this.#version;
    const parts = [
      text(this.#version === 3 ? "MQIsdp" : "MQTT"),
      Uint8Array.of(level, flags),
      number(2, random.below(3) * 60),
    ];
    parts.push(this.#properties("connect"), text(random.pick(["", "raw", "raw2", "é", "x".repeat(random.size(300))])));
    if ((flags & 4) > 0) parts.push(this.#properties("will"), this.#topic(), bytes(random.bytes(random.size(20))));
    if ((flags & 0x80) > 0) parts.push(text(random.oneIn(8) ? "nobody" : "guest"));
    if ((flags & 0x40) > 0) parts.push(text(random.oneIn(8) ? "wrong" : "guest"));
    return packet(0x10, ...parts);
  }

  #some<T>(make: () => T): T[] {
    const random = this.#random;
    return Array.from({ length: random.oneIn(20) ? 0 : random.between(1, random.oneIn(6) ? 12 : 2) }, make);
  }

  /** Few, so that they meet. */
  #id(): Uint8Array {
    const random = this.#random;
    return number(2, random.oneIn(60) ? random.pick([0, 65_535]) : random.between(1, 6));
  }

  #topic(): Uint8Array {
    const random = this.#random;
    if (random.oneIn(60)) return bytes(random.bytes(random.size(12)));
    if (random.oneIn(60)) return text(random.pick(["x", "/"]).repeat(random.between(190, 260)));
    if (random.oneIn(40)) return text(random.pick(["a/+", "#", "$SYS/broker/x"]));
    return text(random.oneIn(this.#version === 5 ? 16 : 60) ? "" : random.pick(TOPICS));
  }

  #filter(): string {
    const random = this.#random;
    return random.oneIn(20) ? random.pick(WRONG) : random.pick(FILTERS);
  }

  /** Nothing before MQTT 5. */
  #properties(kind: "" | "reason" | "publish" | "id" | "disconnect" | "connect" | "will"): Uint8Array {
    if (this.#version < 5) return new Uint8Array(0);
    const random = this.#random;
    const list: Uint8Array[] = [];
    const add = (id: number, ...value: Uint8Array[]): void => void list.push(joined(Uint8Array.of(id), ...value));
    const word = (): Uint8Array => text(random.pick(["", "a", "x-reply-to-topic", "é", "w".repeat(random.size(300))]));
    if (random.oneIn(4)) add(0x26, word(), word());
    if (random.oneIn(12)) add(0x26, word(), word());
    if (kind === "publish" || kind === "will") {
      if (random.oneIn(5)) add(0x01, Uint8Array.of(random.below(random.oneIn(30) ? 3 : 2)));
      if (random.oneIn(5)) add(0x02, number(4, random.pick([0, 1, 60, 4_294_967, 4_294_968, 0xffffffff])));
      if (random.oneIn(6)) add(0x03, word());
      if (random.oneIn(6)) add(0x08, text(random.pick(random.oneIn(20) ? ["a/+", ""] : ["answer", "a/b", "x.y"])));
      if (random.oneIn(6)) add(0x09, bytes(random.bytes(random.size(300))));
    }
    if (kind === "publish" && random.oneIn(3)) {
      add(0x23, number(2, random.pick(random.oneIn(30) ? [257, 0] : [1, 1, 1, 2, 256])));
    }
    if (kind === "publish" && random.oneIn(60)) add(0x0b, variable(1));
    if (kind === "id") add(0x0b, variable(random.pick(random.oneIn(20) ? [0] : [1, 127, 128, 268_435_455])));
    if (kind === "will" && random.oneIn(2)) add(0x18, number(4, random.pick([0, 1, 100])));
    if (kind === "reason" && random.oneIn(2)) add(0x1f, word());
    if (kind === "disconnect" && random.oneIn(2)) add(0x11, number(4, random.pick([0, 1, 0xffffffff])));
    if (kind === "connect") {
      if (random.oneIn(2)) add(0x11, number(4, random.pick([0, 1, 0xffffffff])));
      if (random.oneIn(3)) add(0x21, number(2, random.pick([0, 1, 2, 65_535])));
      if (random.oneIn(3)) add(0x22, number(2, random.pick([0, 1, 2, 65_535])));
      if (random.oneIn(3)) add(0x27, number(4, random.pick([0, 1, 15, 20, 60, 1000])));
      if (random.oneIn(20)) add(0x15, text("none"));
    }
    const all = joined(...list);
    return joined(variable(all.length), all);
  }
}

/** One of the packets is changed, left out, or comes twice. */
export function spoil(packets: readonly Uint8Array[], random: FuzzRandom): Uint8Array[] {
  const at = random.below(packets.length);
  const [before, one, after] = [packets.slice(0, at), packets[at]!, packets.slice(at + 1)];
  switch (random.below(4)) {
    case 0:
      return [...before, one, one, ...after];
    case 1: {
      // Its length stays right.
      const body = one.subarray(1 + variable(one.length).length);
      return [...before, packet(one[0]!, mutate(body, random)), ...after];
    }
    case 2:
      return [...before, mutate(one, random, packets), ...after];
    default:
      return [...after, one, ...before];
  }
}
