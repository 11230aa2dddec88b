// Builds valid structures octet by octet, remembers where their lengths stand, and breaks one of them when asked to.

import { METHOD_ROWS, type MethodRow } from "../../../scripts/amqp_methods_table.ts";
import { putBig } from "../mutate.ts";
import type { FuzzRandom } from "../random.ts";

const ENCODER = new TextEncoder();
const WORDS: readonly string[] = [
  "",
  "a",
  "q",
  "x-match",
  "x-delay",
  "x-death",
  "CC",
  "BCC",
  "x-expires",
  "a.b",
  "#",
  "*",
];

const TYPES: readonly string[] = [..."tbBsuIilLTfdDSxVAFAF"];
const ZEROS = new Uint8Array(8);

/** Numbers are quicker than bigints, and most are small. */
function put(bytes: Uint8Array, at: number, width: number, value: number | bigint): void {
  if (typeof value === "bigint" || width > 4) return putBig(bytes, at, width, BigInt(value));
  for (let i = width - 1; i >= 0; i--) {
    bytes[at + i] = value;
    value = Math.floor(value / 256);
  }
}

export class Builder {
  readonly random: FuzzRandom;
  #bytes: Uint8Array = new Uint8Array(256);
  #length = 0;
  /** Where lengths, flags and type letters stand: what is worth breaking. */
  readonly #fields: { at: number; width: number }[] = [];

  constructor(random: FuzzRandom) {
    this.random = random;
  }

  get length(): number {
    return this.#length;
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  raw(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#bytes.length) {
      const larger = new Uint8Array(2 * (this.#length + bytes.length));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  number(width: number, value: number | bigint): void {
    const at = this.#length;
    this.raw(ZEROS.subarray(0, width));
    put(this.#bytes, at, width, value);
  }

  /** A number that says how what follows is to be read. */
  field(width: number, value: number): void {
    this.#fields.push({ at: this.#length, width });
    this.number(width, value);
  }

  shortString(bytes: Uint8Array): void {
    this.field(1, bytes.length);
    this.raw(bytes);
  }

  longString(bytes: Uint8Array): void {
    this.field(4, bytes.length);
    this.raw(bytes);
  }

  /** A length that is known when `write` has written. */
  sized(width: number, write: () => void): void {
    const at = this.#length;
    this.field(width, 0);
    write();
    put(this.#bytes, at, width, this.#length - at - width);
  }

  /** Sets one of the lengths and letters to what it should not be. */
  breakOne(): void {
    if (this.#fields.length === 0) return;
    const { at, width } = this.random.pick(this.#fields);
    let value = 0n;
    for (let i = 0; i < width; i++) value = value << 8n | BigInt(this.#bytes[at + i]!);
    const beside = value + BigInt(this.random.pick([-1, 1, 1, 2, 4]));
    putBig(this.#bytes, at, width, this.random.oneIn(2) ? beside : this.random.edge());
  }

  text(most = 255): Uint8Array {
    const { random } = this;
    if (random.oneIn(2)) return ENCODER.encode(random.pick(WORDS));
    if (random.oneIn(20)) return ENCODER.encode("é".repeat(random.size(most >> 1)));
    if (random.oneIn(40)) return random.bytes(random.size(most));
    return ENCODER.encode("n".repeat(random.size(most)));
  }

  table(depth = 1): void {
    this.sized(4, () => {
      for (let count = this.random.size(24); count > 0; count--) {
        this.shortString(this.text(64));
        this.value(depth);
      }
    });
  }

  value(depth: number): void {
    const { random } = this;
    const type = depth > 17 ? "V" : random.pick(TYPES);
    this.field(1, type.charCodeAt(0));
    switch (type) {
      case "S":
      case "x":
        return this.longString(random.oneIn(3) ? random.bytes(random.size(300)) : this.text());
      case "A":
        return this.sized(4, () => {
          for (let count = random.size(depth > 3 ? 2 : 20); count > 0; count--) this.value(depth + 1);
        });
      case "F":
        return depth > 3 && !random.oneIn(4) ? this.sized(4, () => {}) : this.table(depth + 1);
      case "t":
        return this.number(1, random.below(random.oneIn(9) ? 256 : 2));
      case "D":
        this.number(1, random.below(256));
        return this.number(4, random.edge());
      default:
        return this.number({ b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, f: 4, V: 0 }[type] ?? 8, this.#integer());
    }
  }

  #integer(): bigint {
    const { random } = this;
    return random.oneIn(2) ? random.edge() : BigInt(random.next()) << BigInt(random.below(33));
  }

  /** The payload of a method frame. */
  method(row: MethodRow = this.random.pick(METHOD_ROWS)): void {
    const [, classId, , methodId, text] = row;
    this.number(2, classId);
    this.field(2, methodId);
    let bits = 0;
    for (const part of text === "" ? [] : text.split(" ")) {
      const domain = part.slice(part.indexOf(":") + 1);
      if (domain === "bit") {
        bits++;
        continue;
      }
      this.#bits(bits);
      bits = 0;
      if (domain === "table") this.table();
      else if (domain === "shortstr") this.shortString(this.text());
      else if (domain === "longstr") this.longString(this.text());
      else if (domain === "longbytes") this.longString(this.random.bytes(this.random.size(300)));
      else this.number({ octet: 1, short: 2, long: 4, longlong: 8 }[domain]!, this.#integer());
    }
    this.#bits(bits);
  }

  #bits(count: number): void {
    if (count > 0) this.number(1, this.random.below(this.random.oneIn(8) ? 256 : 1 << count));
  }

  /** Body size, flags and properties. */
  header(bodySize: number | bigint): void {
    const { random } = this;
    this.number(8, bodySize);
    const flags = random.oneIn(3) ? random.next() & 0xfffc : 1 << random.between(2, 15);
    this.field(2, flags);
    for (let bit = 15; bit > 1; bit--) {
      if ((flags & (1 << bit)) === 0) continue;
      if (bit === 13) this.table();
      else if (bit === 12 || bit === 11) this.number(1, random.below(random.oneIn(4) ? 256 : 3));
      else if (bit === 6) this.number(8, this.#integer());
      else if (bit === 8) this.shortString(ENCODER.encode(String(random.edge())));
      else this.shortString(this.text());
    }
  }

  /** A whole frame. */
  frame(type: number, channel: number, write: () => void): void {
    this.field(1, type);
    this.number(2, channel);
    this.sized(4, write);
    this.field(1, 0xce);
  }
}
