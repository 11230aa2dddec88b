// Content headers (AMQP 4.2.6.1). Messages pass through as the bytes they came in, so the hot functions look into
// those bytes without decoding; whole decoding is for clients and for what reads properties by name.
//
// All functions take the run that begins behind class and weight, as `Message.header` holds it:
//
//   short    short  | longlong    short   values of the properties whose flag is set, highest flag first
//  +-------+--------+-----------+-------+---------------------------------------------------------------+
//  | class | weight | body size | flags | property list                                                 |
//  +-------+--------+-----------+-------+---------------------------------------------------------------+
//                    ^ at

import { assert } from "../lib/assert.ts";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { FRAME_HEADER } from "./amqp_frame.ts";
import type { FieldTable } from "./amqp_table.ts";
import { putTable, readTable } from "./amqp_table_codec.ts";
import {
  beginFrame,
  dropFrame,
  endFrame,
  malformed,
  putLong,
  putLonglong,
  putOctet,
  putShort,
  putShortString,
  readLong,
  readLonglong,
  ValueReader,
} from "./amqp_values.ts";

/** Class and weight, which a header frame's payload has before the run that these functions take. */
export const HEADER_PREFIX_BYTES = 4;
/** Body size and flags. */
export const HEADER_BYTES_MIN = 10;
export const CLASS_BASIC = 60;

export const PROPERTY_CONTENT_TYPE = 1 << 15;
export const PROPERTY_CONTENT_ENCODING = 1 << 14;
export const PROPERTY_HEADERS = 1 << 13;
export const PROPERTY_DELIVERY_MODE = 1 << 12;
export const PROPERTY_PRIORITY = 1 << 11;
export const PROPERTY_CORRELATION_ID = 1 << 10;
export const PROPERTY_REPLY_TO = 1 << 9;
export const PROPERTY_EXPIRATION = 1 << 8;
export const PROPERTY_MESSAGE_ID = 1 << 7;
export const PROPERTY_TIMESTAMP = 1 << 6;
export const PROPERTY_TYPE = 1 << 5;
export const PROPERTY_USER_ID = 1 << 4;
export const PROPERTY_APP_ID = 1 << 3;
export const PROPERTY_CLUSTER_ID = 1 << 2;
/**
 * Continuation (more flags follow), and a bit without meaning. RabbitMQ passes over both; we refuse them, since headers
 * are sent on as they came and every consumer would read the list that follows differently.
 */
const FLAGS_REFUSED = 0b11;

const DELIVERY_MODE_PERSISTENT = 2;

/** What is not there is not set. */
export interface Properties {
  contentType?: string;
  contentEncoding?: string;
  headers?: FieldTable;
  /** 1 transient, 2 persistent. */
  deliveryMode?: number;
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  /** Milliseconds, as text. */
  expiration?: string;
  messageId?: string;
  /** Seconds since 1970; a bigint where a number would be inexact. */
  timestamp?: number | bigint;
  type?: string;
  userId?: string;
  appId?: string;
  clusterId?: string;
}

export interface ContentHeader extends Properties {
  bodySize: number;
}

/** The property flags of a header of at least HEADER_BYTES_MIN. Hot. */
export function propertiesFlags(bytes: Uint8Array, at: number): number {
  return bytes[at + 8]! << 8 | bytes[at + 9]!;
}

/** The size that the body will have. Throws ProtocolViolation 501 above 2^53. Hot. */
export function readBodySize(bytes: Uint8Array, at: number): number {
  const size = readLonglong(bytes, at);
  if (size > Number.MAX_SAFE_INTEGER) throw malformed(`a body of ${size} octets`);
  return size;
}

/** The delivery mode, 0 when there is none. Only for headers that `checkProperties` has passed. Hot. */
export function readDeliveryMode(bytes: Uint8Array, at: number): number {
  const flags = propertiesFlags(bytes, at);
  if ((flags & PROPERTY_DELIVERY_MODE) === 0) return 0;
  at += HEADER_BYTES_MIN;
  if ((flags & PROPERTY_CONTENT_TYPE) !== 0) at += 1 + bytes[at]!;
  if ((flags & PROPERTY_CONTENT_ENCODING) !== 0) at += 1 + bytes[at]!;
  if ((flags & PROPERTY_HEADERS) !== 0) at += 4 + readLong(bytes, at);
  return bytes[at]!;
}

/** Whether the message is to survive a restart. Only for headers that `checkProperties` has passed. Hot. */
export function isPersistent(bytes: Uint8Array, at: number): boolean {
  return readDeliveryMode(bytes, at) === DELIVERY_MODE_PERSISTENT;
}

/**
 * Where the value of the property with this flag begins (PROPERTY_...), or -1 when there is none. Only for headers that
 * `checkProperties` has passed.
 */
export function findProperty(bytes: Uint8Array, at: number, flag: number): number {
  const flags = propertiesFlags(bytes, at);
  if ((flags & flag) === 0) return -1;
  at += HEADER_BYTES_MIN;
  for (let other = PROPERTY_CONTENT_TYPE; other > flag; other >>= 1) {
    if ((flags & other) !== 0) at += valueBytes(bytes, at, other);
  }
  return at;
}

/**
 * Checks that the values fill bytes[at..at+size) to the last octet; what stands in the headers table and whether texts
 * are UTF-8 is not looked at. True, or throws ProtocolViolation 501. Hot: allocates nothing.
 */
export function checkProperties(bytes: Uint8Array, at: number, size: number): boolean {
  if (size < HEADER_BYTES_MIN) throw malformed("a content header is cut");
  const end = at + size;
  let flags = propertiesFlags(bytes, at);
  at += HEADER_BYTES_MIN;
  if ((flags & FLAGS_REFUSED) !== 0) throw malformed("a content header has property flags without meaning");
  // The highest flag is the first value. A value that reaches over the end is found out by what follows.
  while (flags !== 0) {
    const flag = 1 << (31 - Math.clz32(flags));
    flags ^= flag;
    if (flag === PROPERTY_HEADERS ? end - at < 4 : at >= end) throw malformed("a property list is cut");
    at += valueBytes(bytes, at, flag);
  }
  if (at !== end) throw malformed("a property list has octets too many");
  return true;
}

/** How many octets the value at `at` takes; its length prefix must be there. */
function valueBytes(bytes: Uint8Array, at: number, flag: number): number {
  switch (flag) {
    case PROPERTY_HEADERS:
      return 4 + readLong(bytes, at);
    case PROPERTY_DELIVERY_MODE:
    case PROPERTY_PRIORITY:
      return 1;
    case PROPERTY_TIMESTAMP:
      return 8;
    default:
      return 1 + bytes[at]!;
  }
}

/** Decodes a whole header. Throws ProtocolViolation 501. */
export function decodeHeader(bytes: Uint8Array, at: number, size: number): ContentHeader {
  checkProperties(bytes, at, size);
  const flags = propertiesFlags(bytes, at);
  const header: ContentHeader = { bodySize: readBodySize(bytes, at) };
  const reader = new ValueReader(bytes, at + HEADER_BYTES_MIN, size - HEADER_BYTES_MIN);
  if ((flags & PROPERTY_CONTENT_TYPE) !== 0) header.contentType = reader.shortString();
  if ((flags & PROPERTY_CONTENT_ENCODING) !== 0) header.contentEncoding = reader.shortString();
  if ((flags & PROPERTY_HEADERS) !== 0) header.headers = readTable(reader);
  if ((flags & PROPERTY_DELIVERY_MODE) !== 0) header.deliveryMode = reader.octet();
  if ((flags & PROPERTY_PRIORITY) !== 0) header.priority = reader.octet();
  if ((flags & PROPERTY_CORRELATION_ID) !== 0) header.correlationId = reader.shortString();
  if ((flags & PROPERTY_REPLY_TO) !== 0) header.replyTo = reader.shortString();
  if ((flags & PROPERTY_EXPIRATION) !== 0) header.expiration = reader.shortString();
  if ((flags & PROPERTY_MESSAGE_ID) !== 0) header.messageId = reader.shortString();
  if ((flags & PROPERTY_TIMESTAMP) !== 0) header.timestamp = reader.uint64();
  if ((flags & PROPERTY_TYPE) !== 0) header.type = reader.shortString();
  if ((flags & PROPERTY_USER_ID) !== 0) header.userId = reader.shortString();
  if ((flags & PROPERTY_APP_ID) !== 0) header.appId = reader.shortString();
  if ((flags & PROPERTY_CLUSTER_ID) !== 0) header.clusterId = reader.shortString();
  reader.finish();
  return header;
}

/** Writes a whole header frame of class basic. An AssertionFault on a value that its property cannot hold. */
export function writeHeader(out: OutBuffer, channel: number, bodySize: number, properties: Properties): void {
  assert(Number.isSafeInteger(bodySize) && bodySize >= 0, `a body of ${bodySize} octets`);
  const mark = beginFrame(out, FRAME_HEADER, channel);
  try {
    putShort(out, CLASS_BASIC);
    putShort(out, 0);
    putLonglong(out, bodySize);
    putProperties(out, properties);
  } catch (error) {
    dropFrame(out, mark);
    throw error;
  }
  endFrame(out, mark);
}

/** Appends flags and property list. */
export function putProperties(out: OutBuffer, properties: Properties): void {
  const flagsAt = out.reserve(2) - out.start;
  let flags = 0;
  const putText = (flag: number, text: string | undefined) => {
    if (text === undefined) return;
    flags |= flag;
    putShortString(out, text);
  };
  putText(PROPERTY_CONTENT_TYPE, properties.contentType);
  putText(PROPERTY_CONTENT_ENCODING, properties.contentEncoding);
  if (properties.headers !== undefined) {
    flags |= PROPERTY_HEADERS;
    putTable(out, properties.headers);
  }
  if (properties.deliveryMode !== undefined) {
    flags |= PROPERTY_DELIVERY_MODE;
    putOctet(out, properties.deliveryMode);
  }
  if (properties.priority !== undefined) {
    flags |= PROPERTY_PRIORITY;
    putOctet(out, properties.priority);
  }
  putText(PROPERTY_CORRELATION_ID, properties.correlationId);
  putText(PROPERTY_REPLY_TO, properties.replyTo);
  putText(PROPERTY_EXPIRATION, properties.expiration);
  putText(PROPERTY_MESSAGE_ID, properties.messageId);
  if (properties.timestamp !== undefined) {
    flags |= PROPERTY_TIMESTAMP;
    putUint64(out, properties.timestamp);
  }
  putText(PROPERTY_TYPE, properties.type);
  putText(PROPERTY_USER_ID, properties.userId);
  putText(PROPERTY_APP_ID, properties.appId);
  putText(PROPERTY_CLUSTER_ID, properties.clusterId);
  out.view.setUint16(out.start + flagsAt, flags);
}

/**
 * The run of a header with other properties than it came with: `change` gets what is there and may alter it. For the few
 * messages to which the broker itself adds something. Throws ProtocolViolation 501 for a header that cannot be decoded.
 */
export function changeHeader(
  bytes: Uint8Array,
  at: number,
  size: number,
  change: (properties: Properties) => void,
): Uint8Array {
  const header = decodeHeader(bytes, at, size);
  change(header);
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, header.bodySize);
  putProperties(out, header);
  return out.bytes.slice(out.start, out.end);
}

function putUint64(out: OutBuffer, value: number | bigint): void {
  if (typeof value === "number") return putLonglong(out, value);
  putLong(out, Number(value >> 32n));
  putLong(out, Number(value & 0xFFFFFFFFn));
}
