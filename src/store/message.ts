// A message as the broker passes it on: three runs of bytes in somebody else's buffers, never decoded on the way.
// One object is filled again and again; what it refers to is valid only during the call it is passed to.

const EMPTY = new Uint8Array(0);

/** The bits of `flags`, as stored in a record. */
export const MESSAGE_PERSISTENT = 0x01;
/** Its header has the property `expiration`. */
export const MESSAGE_EXPIRES = 0x02;

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
