// A message's own time to live: the property `expiration`, milliseconds as text, counted from when the broker took it in.

import { arrivalMs } from "../lib/clock.ts";
import type { Message } from "../store/message.ts";
import { findProperty, PROPERTY_EXPIRATION } from "../wire/amqp_properties.ts";

/** As RabbitMQ: what fits a u32. */
const EXPIRATION_MS_MAX = 0xffffffff;

/**
 * The expiration in a content header (milliseconds), null when it is no whole number from 0 to 2^32 - 1. Only for
 * headers that `checkProperties` has passed and that have the property.
 */
export function readExpirationMs(header: Uint8Array, at: number): number | null {
  const valueAt = findProperty(header, at, PROPERTY_EXPIRATION);
  const end = valueAt + 1 + header[valueAt]!;
  if (end === valueAt + 1) return null;
  let value = 0;
  for (let i = valueAt + 1; i < end; i++) {
    const digit = header[i]! - 0x30;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
    if (value > EXPIRATION_MS_MAX) return null;
  }
  return value;
}

/** Whether a message with the flag MESSAGE_EXPIRES is past its time. One that expires at once still reaches who waits. */
export function isExpired(message: Message, nowMs: number): boolean {
  const expirationMs = readExpirationMs(message.header, message.headerAt);
  return expirationMs !== null && nowMs > arrivalMs(message.timestampMs, nowMs) + expirationMs;
}
