// AMQP's grammar once more, written from the specification and the table of methods and independent of src/wire: says
// whether octets are a table, a method or a property list, and whether they are spelled in the one way that the encoder
// has. What the codecs say must agree.

import { METHOD_ROWS } from "../../../scripts/amqp_methods_table.ts";

const DEPTH_MAX = 16;
const ENTRIES_MAX = 65_536;
const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true });
/** Octets of the field types whose length is fixed. */
const FIXED: Readonly<Record<string, number>> = {
  t: 1,
  b: 1,
  B: 1,
  s: 2,
  u: 2,
  I: 4,
  i: 4,
  l: 8,
  L: 8,
  T: 8,
  f: 4,
  d: 8,
  D: 5,
  V: 0,
};

/** What these octets are not: what was expected. */
class Malformed extends Error {}

export interface Verdict {
  readonly ok: boolean;
  /** Encoding what was decoded gives the same octets: no field twice, bits and reserved fields zero. */
  readonly canonical: boolean;
}

export type MethodVerdict = Verdict & { readonly known: boolean; readonly name: string };

class Reader {
  at: number;
  end: number;
  canonical = true;
  readonly bytes: Uint8Array;
  /** Texts need not be UTF-8. */
  lenient = false;
  #entries = 0;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  take(count: number): number {
    const { at } = this;
    if (at + count > this.end) throw new Malformed();
    this.at += count;
    return at;
  }

  number(width: number): number {
    const at = this.take(width);
    let value = 0;
    for (let i = 0; i < width; i++) value = value * 256 + this.bytes[at + i]!;
    return value;
  }

  shortString(): string {
    const count = this.number(1);
    return this.#text(count);
  }

  longString(isText: boolean): void {
    const count = this.number(4);
    if (isText) this.#text(count);
    else this.take(count);
  }

  #text(count: number): string {
    const at = this.take(count);
    if (this.lenient) return "";
    try {
      return STRICT_UTF8.decode(this.bytes.subarray(at, at + count));
    } catch {
      throw new Malformed();
    }
  }

  table(): void {
    this.#entries = 0;
    this.#nested(1, true);
  }

  #nested(depth: number, named: boolean): void {
    if (depth > DEPTH_MAX) throw new Malformed();
    const size = this.number(4);
    const { end } = this;
    if (this.at + size > end) throw new Malformed();
    this.end = this.at + size;
    const names = new Set<string>();
    while (this.at < this.end) {
      if (named) {
        const name = this.shortString();
        if (names.has(name)) this.canonical = false;
        names.add(name);
      }
      this.#field(depth);
    }
    this.end = end;
  }

  #field(depth: number): void {
    if (++this.#entries > ENTRIES_MAX) throw new Malformed();
    const type = String.fromCharCode(this.number(1));
    if (type === "S" || type === "x") return this.longString(false);
    if (type === "A" || type === "F") return this.#nested(depth + 1, type === "F");
    const fixed = FIXED[type];
    if (fixed === undefined) throw new Malformed();
    const at = this.take(fixed);
    if (type === "t" && this.bytes[at]! > 1) this.canonical = false;
  }

  domain(domain: string, isReserved: boolean): void {
    const from = this.at;
    if (domain === "table") this.table();
    else if (domain === "shortstr") this.shortString();
    else if (domain === "longstr" || domain === "longbytes") this.longString(domain === "longstr");
    else if (domain === "longlong") {
      // A tag that no number holds is rounded: nobody was ever given one.
      if (!Number.isSafeInteger(this.number(8))) this.canonical = false;
    } else this.take({ octet: 1, short: 2, long: 4 }[domain]!);
    if (!isReserved) return;
    for (let at = from; at < this.at; at++) if (this.bytes[at] !== 0) this.canonical = false;
  }
}

function judge(bytes: Uint8Array, at: number, end: number, read: (reader: Reader) => void): Verdict {
  const reader = new Reader(bytes, at, end);
  try {
    read(reader);
    return { ok: reader.at === end, canonical: reader.canonical };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, canonical: false };
    throw error;
  }
}

/** A whole table with its size. */
export function judgeTable(bytes: Uint8Array): Verdict {
  return judge(bytes, 0, bytes.length, (reader) => reader.table());
}

interface Argument {
  readonly domain: string;
  readonly isReserved: boolean;
}

const METHODS = new Map(METHOD_ROWS.map(([className, classId, methodName, methodId, text]) => {
  const args = text.split(" ").filter((part) => part !== "").map((part): Argument => {
    const [name, domain] = part.split(":") as [string, string];
    return { domain, isReserved: name === "ticket" || name.startsWith("reserved") };
  });
  return [classId * 65_536 + methodId, { name: `${className}.${methodName}`, args }];
}));

/** The payload of a method frame. `lenient`: texts may be any octets, as routing keys are that were passed on. */
export function judgeMethod(bytes: Uint8Array, lenient = false): MethodVerdict {
  const at = 0;
  const end = bytes.length;
  if (end - at < 4) return { ok: false, canonical: false, known: true, name: "" };
  const kind = (bytes[at]! * 256 + bytes[at + 1]!) * 65_536 + bytes[at + 2]! * 256 + bytes[at + 3]!;
  const method = METHODS.get(kind);
  if (method === undefined) return { ok: false, canonical: false, known: false, name: "" };
  const verdict = judge(bytes, at + 4, end, (reader) => {
    const { args } = method;
    reader.lenient = lenient;
    for (let index = 0; index < args.length; index++) {
      const { domain, isReserved } = args[index]!;
      if (domain !== "bit") {
        reader.domain(domain, isReserved);
        continue;
      }
      // Bits that follow each other share an octet.
      let meant = 0;
      for (let bit = 0; args[index]?.domain === "bit"; bit++, index++) if (!args[index]!.isReserved) meant |= 1 << bit;
      index--;
      if ((reader.number(1) & ~meant) !== 0) reader.canonical = false;
    }
  });
  return { ...verdict, known: true, name: method.name };
}

/** The types of the properties, from the highest flag on. */
const PROPERTIES = ["s", "s", "F", "o", "o", "s", "s", "s", "s", "T", "s", "s", "s", "s"] as const;

/** What follows class and weight of a content header. `deep`: with what stands in the headers, and UTF-8. */
export function judgeHeader(bytes: Uint8Array, at: number, end: number, deep: boolean): Verdict {
  return judge(bytes, at, end, (reader) => {
    reader.take(8);
    const flags = reader.number(2);
    if ((flags & 3) !== 0) throw new Malformed();
    for (const [index, type] of PROPERTIES.entries()) {
      if ((flags & (1 << (15 - index))) === 0) continue;
      if (type === "F" && deep) reader.table();
      else if (type === "F") reader.take(reader.number(4));
      else if (type === "s" && deep) reader.shortString();
      else reader.take(type === "s" ? reader.number(1) : type === "o" ? 1 : 8);
    }
  });
}
