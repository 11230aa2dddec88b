// One field more in the headers of a message that is about to be sent, without a look at the others: the stored bytes
// are copied in two pieces around it.
//
//   size | flags | content type .. | table length | fields ...        | delivery mode ...
//   size | flags | content type .. | + n          | fields ... field  | delivery mode ...

import { copyBytes } from "../lib/out_buffer.ts";
import {
  HEADER_BYTES_MIN,
  propertiesFlags,
  PROPERTY_CONTENT_ENCODING,
  PROPERTY_CONTENT_TYPE,
  PROPERTY_HEADERS,
} from "./amqp_properties.ts";
import { readLong } from "./amqp_values.ts";

/** What a header grows by beside the field: the length of a table that was not there. */
export const SPLICE_BYTES_MAX = 4;

/**
 * Copies the header run bytes[at..at+size) to `target`, with `field` (name, type and value) as the last one of its
 * headers, where it wins over one of the same name; returns the run's length. `target` has room for `size` and
 * SPLICE_BYTES_MAX more than the field. Only for headers that `checkProperties` has passed.
 */
export function spliceHeader(
  bytes: Uint8Array,
  at: number,
  size: number,
  field: Uint8Array,
  target: Uint8Array,
): number {
  const flags = propertiesFlags(bytes, at);
  let tableAt = at + HEADER_BYTES_MIN;
  if ((flags & PROPERTY_CONTENT_TYPE) !== 0) tableAt += 1 + bytes[tableAt]!;
  if ((flags & PROPERTY_CONTENT_ENCODING) !== 0) tableAt += 1 + bytes[tableAt]!;
  const hasTable = (flags & PROPERTY_HEADERS) !== 0;
  const tableBytes = hasTable ? readLong(bytes, tableAt) : 0;
  const before = tableAt - at;
  const fieldsAt = hasTable ? tableAt + 4 : tableAt;
  copyBytes(bytes, at, target, 0, before);
  target[8] = (flags | PROPERTY_HEADERS) >>> 8;
  target[9] = flags;
  const total = tableBytes + field.length;
  target[before] = total >>> 24;
  target[before + 1] = total >>> 16;
  target[before + 2] = total >>> 8;
  target[before + 3] = total;
  copyBytes(bytes, fieldsAt, target, before + 4, tableBytes);
  target.set(field, before + 4 + tableBytes);
  const rest = at + size - fieldsAt - tableBytes;
  const restTo = before + 4 + total;
  copyBytes(bytes, fieldsAt + tableBytes, target, restTo, rest);
  return restTo + rest;
}
