// Properties of messages by hand, written and read octet by octet: what dead letters, times to live and counts show in.

import { bits, type ContentOptions, long, longString, octet, PayloadReader, shortString } from "./raw_bytes.ts";
import type { RawMessage } from "./raw_amqp.ts";

const HEADERS = 1 << 13;
const DELIVERY_MODE = 1 << 12;
const EXPIRATION = 1 << 8;

export type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

export interface WrittenProperties {
  headers?: { readonly [key: string]: Plain };
  persistent?: boolean;
  expiration?: string;
}

/** What goes into the options of `basic.publish`. */
export function withProperties({ headers, persistent = false, expiration }: WrittenProperties): ContentOptions {
  const parts: Buffer[] = [];
  let flags = 0;
  if (headers !== undefined) {
    flags |= HEADERS;
    parts.push(plainTable(headers));
  }
  if (persistent) {
    flags |= DELIVERY_MODE;
    parts.push(octet(2));
  }
  if (expiration !== undefined) {
    flags |= EXPIRATION;
    parts.push(shortString(expiration));
  }
  return { flags, properties: Buffer.concat(parts) };
}

function plainTable(fields: { readonly [key: string]: Plain }): Buffer {
  return longString(
    Buffer.concat(Object.entries(fields).map(([key, value]) => Buffer.concat([shortString(key), plainValue(value)]))),
  );
}

function plainValue(value: Plain): Buffer {
  const typed = (letter: string, bytes: Buffer): Buffer => Buffer.concat([Buffer.from(letter), bytes]);
  if (value === null) return Buffer.from("V");
  if (typeof value === "string") return typed("S", longString(value));
  if (typeof value === "boolean") return typed("t", bits(value));
  if (typeof value === "number") return typed("I", long(value >>> 0));
  if (Array.isArray(value)) return typed("A", longString(Buffer.concat(value.map(plainValue))));
  return typed("F", plainTable(value as { readonly [key: string]: Plain }));
}

export interface ReadProperties {
  headers: { [key: string]: Plain };
  persistent: boolean;
  expiration: string | undefined;
}

/** The properties of a message that the broker sent; those that tests here do not use must not be set. */
export function propertiesOf({ properties }: RawMessage): ReadProperties {
  const reader = new PayloadReader(properties);
  const flags = reader.short();
  if ((flags & ~(HEADERS | DELIVERY_MODE | EXPIRATION)) !== 0) throw new Error(`properties with flags ${flags}`);
  const headers = (flags & HEADERS) === 0 ? {} : readTable(reader);
  const persistent = (flags & DELIVERY_MODE) !== 0 && reader.octet() === 2;
  const expiration = (flags & EXPIRATION) === 0 ? undefined : reader.shortString();
  return { headers, persistent, expiration };
}

export function headersOf(message: RawMessage): { [key: string]: Plain } {
  return propertiesOf(message).headers;
}

function readTable(reader: PayloadReader): { [key: string]: Plain } {
  const size = reader.long();
  const end = reader.at + size;
  const table: { [key: string]: Plain } = {};
  while (reader.at < end) {
    const key = reader.shortString();
    table[key] = readValue(reader);
  }
  return table;
}

function readValue(reader: PayloadReader): Plain {
  const letter = String.fromCharCode(reader.octet());
  switch (letter) {
    case "S":
      return reader.longString();
    case "t":
      return reader.octet() !== 0;
    case "I":
      return reader.long() | 0;
    case "l":
    case "T":
      return reader.longlong();
    case "V":
      return null;
    case "F":
      return readTable(reader);
    case "A": {
      const size = reader.long();
      const end = reader.at + size;
      const items: Plain[] = [];
      while (reader.at < end) items.push(readValue(reader));
      return items;
    }
    default:
      throw new Error(`a field of type ${letter}`);
  }
}
