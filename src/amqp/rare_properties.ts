// Message properties that mean something to the broker. They are rare, so they are decoded only when their flag is set.

import { readExpirationMs } from "../core/expiration.ts";
import type { Field, FieldTable, FieldType } from "../wire/amqp_table.ts";
import {
  changeHeader,
  decodeHeader,
  findProperty,
  PROPERTY_EXPIRATION,
  PROPERTY_HEADERS,
  PROPERTY_REPLY_TO,
  PROPERTY_USER_ID,
} from "../wire/amqp_properties.ts";
import { DIRECT_REPLY_TO } from "./direct_replies.ts";
import { AmqpError } from "./errors.ts";

/** The flags of the properties that are looked at here; of the headers only CC and BCC. */
export const RARE_PROPERTIES = PROPERTY_HEADERS | PROPERTY_EXPIRATION | PROPERTY_USER_ID | PROPERTY_REPLY_TO;

const CC = 0x4343;
const REPLY_TO = new TextEncoder().encode(DIRECT_REPLY_TO);

/** Who publishes. */
export interface Sender {
  readonly userName: string;
  /** It may publish in the name of others. */
  readonly impersonates: boolean;
  /** Where its direct replies go; null without a consumer of them. */
  readonly replyAddress: string | null;
}

/** What a message wants of the broker beside being passed on. */
export interface Rewrite {
  /** Routing keys of CC and BCC. */
  readonly copies: readonly string[];
  /** The header to pass on instead of its own; null when that stays. */
  readonly header: Uint8Array | null;
}

/**
 * Refuses what a client may not claim (user-id) and what means nothing (expiration); says what CC, BCC and a direct
 * reply-to ask for, null when there is none of them.
 */
export function readRareProperties(
  sender: Sender,
  flags: number,
  bytes: Uint8Array,
  at: number,
  size: number,
): Rewrite | null {
  if ((flags & PROPERTY_EXPIRATION) !== 0 && readExpirationMs(bytes, at) === null) {
    const { expiration } = decodeHeader(bytes, at, size);
    throw new AmqpError(406, `invalid expiration '${expiration}': expected milliseconds from 0 to 4294967295`);
  }
  if ((flags & PROPERTY_USER_ID) !== 0 && !sender.impersonates) {
    const { userId } = decodeHeader(bytes, at, size);
    if (userId !== sender.userName) {
      throw new AmqpError(406, `user_id property set to '${userId}' but authenticated user was '${sender.userName}'`);
    }
  }
  const hasCopies = (flags & PROPERTY_HEADERS) !== 0 && mayHoldCopies(bytes, at, size);
  const wantsReply = (flags & PROPERTY_REPLY_TO) !== 0 && isDirectReplyTo(bytes, at);
  return hasCopies || wantsReply ? rewrite(sender, wantsReply, bytes, at, size) : null;
}

function rewrite(sender: Sender, wantsReply: boolean, bytes: Uint8Array, at: number, size: number): Rewrite | null {
  const { replyAddress } = sender;
  if (wantsReply && replyAddress === null) throw new AmqpError(406, "fast reply consumer does not exist");
  const { headers } = decodeHeader(bytes, at, size);
  const copies = headers === undefined ? [] : [...routingKeys(headers, "CC"), ...routingKeys(headers, "BCC")];
  const hides = headers?.has("BCC") ?? false;
  if (!wantsReply && !hides) return copies.length === 0 ? null : { copies, header: null };
  const header = changeHeader(bytes, at, size, (properties) => {
    if (wantsReply) properties.replyTo = replyAddress!;
    properties.headers?.delete("BCC");
  });
  return { copies, header };
}

/** The names that RabbitMQ's errors give to the types of fields. */
const TYPE_NAMES: Readonly<Record<FieldType, string>> = {
  t: "bool",
  b: "byte",
  B: "unsignedbyte",
  s: "short",
  u: "unsignedshort",
  I: "signedint",
  i: "unsignedint",
  l: "long",
  L: "long",
  f: "float",
  d: "double",
  D: "decimal",
  S: "longstr",
  A: "array",
  T: "timestamp",
  F: "table",
  V: "void",
  x: "binary",
};

export function typeName(field: Field): string {
  return TYPE_NAMES[field.type];
}

/** As RabbitMQ: an array, of which what is no long string is passed over. */
function routingKeys(headers: FieldTable, name: string): string[] {
  const field = headers.get(name);
  if (field === undefined) return [];
  if (field.type !== "A") {
    throw new AmqpError(406, `invalid message: {unacceptable_type_in_header,"${name}",${typeName(field)}}`);
  }
  const keys: string[] = [];
  for (const { type, value } of field.value as readonly Field[]) {
    if (type === "S") keys.push(typeof value === "string" ? value : new TextDecoder().decode(value as Uint8Array));
  }
  return keys;
}

/** Whether the letters CC stand anywhere: cheap, and mostly the end of the matter. */
function mayHoldCopies(bytes: Uint8Array, at: number, size: number): boolean {
  for (let i = at, end = at + size - 1; i < end; i++) {
    if ((bytes[i]! << 8 | bytes[i + 1]!) === CC) return true;
  }
  return false;
}

function isDirectReplyTo(bytes: Uint8Array, at: number): boolean {
  const valueAt = findProperty(bytes, at, PROPERTY_REPLY_TO);
  if (bytes[valueAt] !== REPLY_TO.length) return false;
  for (let i = 0; i < REPLY_TO.length; i++) if (bytes[valueAt + 1 + i] !== REPLY_TO[i]) return false;
  return true;
}
