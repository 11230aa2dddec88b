// Headers that the broker itself adds to a message. Clients may have sent what cannot be read: found out here, late,
// since messages pass through unread.

import type { Message } from "../store/message.ts";
import { changeHeader, type Properties } from "../wire/amqp_properties.ts";

/** The header of `message` with what `change` does to it; null when it cannot be read. */
export function changedHeader(message: Message, change: (properties: Properties) => void): Uint8Array | null {
  try {
    return changeHeader(message.header, message.headerAt, message.headerBytes, change);
  } catch {
    return null;
  }
}
