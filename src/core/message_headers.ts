// The headers of a message, decoded for the few that need to look at them.

import type { Message } from "../store/message.ts";
import { findProperty, propertiesFlags, PROPERTY_HEADERS } from "../wire/amqp_properties.ts";
import { ProtocolViolation } from "../wire/amqp_frame.ts";
import type { FieldTable } from "../wire/amqp_table.ts";
import { decodeTable } from "../wire/amqp_table_codec.ts";
import { readLong } from "../wire/amqp_values.ts";

/** The headers of a message, null when it has none. Throws ProtocolViolation 501 when they cannot be read. */
export function readHeaders({ header, headerAt }: Message): FieldTable | null {
  if ((propertiesFlags(header, headerAt) & PROPERTY_HEADERS) === 0) return null;
  const at = findProperty(header, headerAt, PROPERTY_HEADERS);
  return decodeTable(header, at, 4 + readLong(header, at));
}

/**
 * The same, where headers that cannot be read are as good as none: messages are routed long after they were published,
 * when nobody is there any more who could be told.
 */
export function readHeadersOrNone(message: Message): FieldTable | null {
  try {
    return readHeaders(message);
  } catch (error) {
    if (error instanceof ProtocolViolation) return null;
    throw error;
  }
}
