// Message properties that mean something to the broker. They are rare, so they are decoded only when their flag is set.

import { readExpirationMs } from "../core/expiration.ts";
import { decodeHeader, PROPERTY_EXPIRATION, PROPERTY_HEADERS, PROPERTY_USER_ID } from "../wire/amqp_properties.ts";
import { AmqpError } from "./errors.ts";

/** The flags of the properties that are looked at here; of the headers only CC and BCC. */
export const RARE_PROPERTIES = PROPERTY_HEADERS | PROPERTY_EXPIRATION | PROPERTY_USER_ID;

const CC = 0x4343;

/** Refuses what a client may not claim (user-id), what means nothing (expiration), and what is not there yet (CC, BCC). */
export function checkRareProperties(
  userName: string,
  flags: number,
  bytes: Uint8Array,
  at: number,
  size: number,
): void {
  if ((flags & PROPERTY_EXPIRATION) !== 0 && readExpirationMs(bytes, at) === null) {
    const { expiration } = decodeHeader(bytes, at, size);
    throw new AmqpError(406, `invalid expiration '${expiration}': expected milliseconds from 0 to 4294967295`);
  }
  if ((flags & PROPERTY_USER_ID) !== 0) {
    const { userId } = decodeHeader(bytes, at, size);
    if (userId !== userName) {
      throw new AmqpError(406, `user_id property set to '${userId}' but authenticated user was '${userName}'`);
    }
  }
  if ((flags & PROPERTY_HEADERS) !== 0 && mayHoldCopies(bytes, at, size)) {
    const { headers } = decodeHeader(bytes, at, size);
    const key = ["CC", "BCC"].find((name) => headers?.has(name));
    if (key !== undefined) throw new AmqpError(540, `message header '${key}'`);
  }
}

/** Whether the letters CC stand anywhere: cheap, and mostly the end of the matter. */
function mayHoldCopies(bytes: Uint8Array, at: number, size: number): boolean {
  for (let i = at, end = at + size - 1; i < end; i++) {
    if ((bytes[i]! << 8 | bytes[i + 1]!) === CC) return true;
  }
  return false;
}
