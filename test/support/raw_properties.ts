// Message properties by hand: typed fields of header tables, and the property list with its flags.

import { type ContentOptions, longString, octet, shortString } from "./raw_bytes.ts";

/** A field's type letter and value. */
export type RawField = Buffer;

export const text = (value: string | Uint8Array): RawField => Buffer.concat([Buffer.from("S"), longString(value)]);
export const array = (...items: RawField[]): RawField =>
  Buffer.concat([Buffer.from("A"), longString(Buffer.concat(items))]);

/** A table with its size before it. */
export function rawTable(...fields: [name: string, field: RawField][]): Buffer {
  return longString(Buffer.concat(fields.map(([name, field]) => Buffer.concat([shortString(name), field]))));
}

export interface RawProperties {
  contentType?: string;
  /** A table with its size before it. */
  headers?: Uint8Array;
  deliveryMode?: number;
  replyTo?: string;
  correlationId?: string;
  userId?: string;
}

/** The properties as `publish` and `content` take them. */
export function withProperties(given: RawProperties): ContentOptions {
  let flags = 0;
  const parts: Uint8Array[] = [];
  const put = (bit: number, bytes: Uint8Array | undefined): void => {
    if (bytes === undefined) return;
    flags |= 1 << bit;
    parts.push(bytes);
  };
  const short = (value: string | undefined) => value === undefined ? undefined : shortString(value);
  put(15, short(given.contentType));
  put(13, given.headers);
  put(12, given.deliveryMode === undefined ? undefined : octet(given.deliveryMode));
  put(10, short(given.correlationId));
  put(9, short(given.replyTo));
  put(4, short(given.userId));
  return { flags, properties: Buffer.concat(parts) };
}

/** The property list that a message comes with: flags and values. */
export function propertyList({ flags = 0, properties = new Uint8Array(0) }: ContentOptions): Buffer {
  return Buffer.concat([Buffer.from([flags >>> 8, flags & 0xff]), properties]);
}
