// A message as the broker passes it on: three runs of bytes in somebody else's buffers, never decoded on the way.
// One object is filled again and again; what it refers to is valid only during the call it is passed to.

import { copyBytes } from "../lib/out_buffer.ts";

const EMPTY = new Uint8Array(0);

/** The bits of `flags`, as stored in a record. */
export const MESSAGE_PERSISTENT = 0x01;
/** Its header has the property `expiration`. */
export const MESSAGE_EXPIRES = 0x02;
/** The bits from here on up to 0x80 are the publishing protocol's own. */
export const MESSAGE_PROTOCOL = 0x04;

export class Message {
  /** When the broker took it in, milliseconds since 1970. */
  timestampMs = 0;
  /** MESSAGE_... bits. */
  flags = 0;
  /** Exchange and routing key, two AMQP short strings one behind the other, as in basic.publish and basic.deliver. */
  route: Uint8Array = EMPTY;
  routeAt = 0;
  routeBytes = 0;
  /** What follows the weight in an AMQP content header: body size (u64), property flags, property list. */
  header: Uint8Array = EMPTY;
  headerAt = 0;
  headerBytes = 0;
  body: Uint8Array = EMPTY;
  bodyAt = 0;
  bodyBytes = 0;
  /** Set by the store on reading: where it lies, how long its record is, whether it was delivered before. */
  position = 0;
  recordBytes = 0;
  redelivered = false;
}

/** A message of its own: what the original refers to goes with its chunk. Of the body no more than `bodyBytesMax`. */
export function copyOfMessage(message: Message, bodyBytesMax = Infinity): Message {
  const { routeBytes, headerBytes } = message;
  const bodyBytes = Math.min(message.bodyBytes, bodyBytesMax);
  const bytes = new Uint8Array(routeBytes + headerBytes + bodyBytes);
  copyBytes(message.route, message.routeAt, bytes, 0, routeBytes);
  copyBytes(message.header, message.headerAt, bytes, routeBytes, headerBytes);
  copyBytes(message.body, message.bodyAt, bytes, routeBytes + headerBytes, bodyBytes);
  const copy = new Message();
  copy.flags = message.flags;
  copy.timestampMs = message.timestampMs;
  copy.route = copy.header = copy.body = bytes;
  copy.headerAt = routeBytes;
  copy.bodyAt = routeBytes + headerBytes;
  copy.routeBytes = routeBytes;
  copy.headerBytes = headerBytes;
  copy.bodyBytes = bodyBytes;
  return copy;
}
