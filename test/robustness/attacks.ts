// What a client may send that no client should, and the reply code that each is owed.

import { array, rawTable, text, withProperties } from "../support/raw_properties.ts";
import { basic, channel, confirm, connection, exchange, queue, tx } from "../support/raw_methods.ts";
import {
  content,
  contentHeader,
  frame,
  HEARTBEAT,
  long,
  longString,
  method,
  octet,
  Random,
  short,
  shortString,
} from "../support/raw_bytes.ts";

export interface Attack {
  readonly name: string;
  /** Sent on an open connection with channel 1 and a frame_max of 131072. */
  readonly bytes: Uint8Array;
  readonly level: "channel" | "connection";
  readonly code: number;
}

/** queue.declare with these bytes as its table, length included. */
const withTable = (table: Uint8Array): Buffer => method(1, 50, 10, short(0), shortString("t"), octet(0), table);
const field = (type: string, value: Uint8Array): Buffer => Buffer.concat([octet(0), Buffer.from(type), value]);

/** A message whose header CC is this. */
function copiesTo(type: string, value: Uint8Array): Buffer {
  const properties = longString(Buffer.concat([shortString("CC"), Buffer.from(type), value]));
  return basic.publish(1, "q", "x", { flags: 1 << 13, properties });
}

function nested(depth: number): Buffer {
  let table: Buffer = long(0);
  for (let level = 1; level < depth; level++) table = longString(field("F", table));
  return table;
}

const attack = (code: number, name: string, ...parts: Uint8Array[]): Attack => {
  const level = [403, 404, 405, 406].includes(code) ? "channel" : "connection";
  return { name, bytes: Buffer.concat(parts), level, code };
};

export const ATTACKS: readonly Attack[] = [
  // Framing
  attack(501, "a frame of 4 GiB", octet(1), short(1), long(0xffff_ffff)),
  attack(501, "a body frame of 4 GiB on channel 0", octet(3), short(0), long(0xffff_ffff)),
  attack(501, "a frame larger than frame_max", frame(1, 1, Buffer.alloc(131_073))),
  attack(501, "an empty frame with a wrong end octet", octet(8), short(0), long(0), octet(0xcd)),
  attack(501, "a method with a wrong end octet", channel.flow(1, true).subarray(0, -1), octet(0)),
  attack(501, "an unknown frame type", frame(4, 0)),
  attack(501, "text", Buffer.from("GET / HTTP/1.1\r\n\r\n")),
  attack(501, "a method frame without a method", frame(1, 1)),
  attack(501, "half a method number", frame(1, 1, Buffer.from([0, 50, 0]))),
  // Channels
  attack(505, "a heartbeat on channel 1", frame(HEARTBEAT, 1)),
  attack(505, "a content header on channel 0", contentHeader(0, 1)),
  attack(505, "a body on channel 0", frame(3, 0, Buffer.from("x"))),
  attack(503, "queue.declare on channel 0", queue.declare(0, "q")),
  attack(503, "channel.open on channel 0", channel.open(0)),
  attack(503, "the handshake once more", connection.startOk()),
  attack(504, "a method on a channel that is not open", queue.declare(2, "q")),
  attack(504, "a body on a channel that is not open", frame(3, 2, Buffer.from("x"))),
  attack(504, "channel.open twice", channel.open(1)),
  attack(530, "a channel above channel_max", channel.open(2048)),
  attack(530, "the highest channel there can be", channel.open(65_535)),
  // Methods
  attack(540, "an unknown class", method(1, 999, 10)),
  attack(540, "an unknown method", method(1, 50, 999)),
  attack(406, "a commit without a transaction", method(1, 90, 20)),
  attack(406, "CC that is no array", copiesTo("S", longString("q"))),
  attack(501, "CC in a table that is cut", copiesTo("A", long(100))),
  attack(501, "a method that is cut", method(1, 50, 10, short(0))),
  attack(501, "octets behind a method", method(1, 20, 20, octet(1), octet(1))),
  attack(501, "a string longer than its method", method(1, 60, 30, octet(255), Buffer.from("tag"))),
  attack(501, "a name that is no UTF-8", method(1, 60, 70, short(0), octet(2), Buffer.from([0xff, 0xfe]), octet(0))),
  attack(406, "a tag nobody was given", basic.ack(1, 2 ** 40)),
  attack(404, "a queue that is not there", basic.get(1, "no such queue")),
  attack(403, "a name of the broker's", exchange.declare(1, "amq.x", "direct")),
  // Field tables
  attack(501, "a table longer than its frame", withTable(long(100))),
  attack(501, "a table of 4 GiB", withTable(long(0xffff_ffff))),
  attack(501, "a table shorter than its fields", withTable(Buffer.concat([long(3), field("I", long(1))]))),
  attack(501, "a string longer than its table", withTable(longString(field("S", long(0x7fff_ffff))))),
  attack(501, "an array longer than its table", withTable(longString(field("A", long(0xffff_fff0))))),
  attack(501, "a field type nobody knows", withTable(longString(field("?", octet(0))))),
  attack(501, "a table in a table, 17 times", withTable(nested(17))),
  attack(501, "a table in a table, 10,000 times", withTable(nested(10_000))),
  attack(501, "an array of 131,000 nothings", withTable(longString(field("A", longString("V".repeat(131_000)))))),
  // Content
  attack(505, "content without a method", content(1, "x")),
  attack(505, "a body without anything", frame(3, 1, Buffer.from("x"))),
  attack(505, "a body before its header", basic.publishMethod(1, "q"), frame(3, 1, Buffer.from("x"))),
  attack(505, "a method in the place of a header", basic.publishMethod(1, "q"), basic.qos(1, 1)),
  attack(505, "a second header", basic.publishMethod(1, "q"), contentHeader(1, 5), contentHeader(1, 5)),
  attack(505, "a header of another class", basic.publishMethod(1, "q"), frame(2, 1, Buffer.alloc(14))),
  attack(501, "a body larger than announced", basic.publish(1, "q", "larger", { announced: 5 })),
  attack(501, "a header that is cut", basic.publishMethod(1, "q"), frame(2, 1, Buffer.from([0, 60, 0, 0, 0]))),
  attack(501, "properties that are cut", basic.publish(1, "q", "x", { flags: 0xfff8 })),
  attack(406, "a body of 1 TiB", basic.publishMethod(1, "q"), contentHeader(1, 2n ** 40n)),
  attack(501, "a body of 2^63", basic.publishMethod(1, "q"), contentHeader(1, 2n ** 63n)),
  attack(501, "a body of 2^64-1", basic.publishMethod(1, "q"), contentHeader(1, 2n ** 64n - 1n)),
];

/** A session that says everything once, for others to cut and to spoil. */
export function session(name: string): Buffer {
  return Buffer.concat([
    queue.declare(1, name, { exclusive: true, args: { note: "x", nested: { number: 5, yes: true } } }),
    exchange.declare(1, name, "topic", { autoDelete: true }),
    queue.bind(1, name, name, "a.*.#"),
    basic.qos(1, 10),
    confirm.select(1),
    basic.publish(1, "a.b.c", "body", { exchange: name, mandatory: true }),
    basic.publish(1, name, Buffer.alloc(3000, 1), { frameMax: 1000 }),
    basic.consume(1, name, { tag: "t" }),
    basic.get(1, name),
    basic.ack(1, 1),
    basic.nack(1, 2),
    basic.recover(1, true),
    basic.cancel(1, "t"),
    queue.unbind(1, name, name, "a.*.#"),
    queue.purge(1, name),
    channel.close(1),
    channel.open(2),
    basic.publish(2, "nowhere", "returned", { mandatory: true }),
    tx.select(2),
    basic.consume(2, "amq.rabbitmq.reply-to", { noAck: true, tag: "r" }),
    basic.publish(2, name, "request", withProperties({ replyTo: "amq.rabbitmq.reply-to", correlationId: "1" })),
    basic.publish(2, name, "copied", withProperties({ headers: rawTable(["BCC", array(text(name), text("x"))]) })),
    tx.rollback(2),
    basic.publish(2, name, "at once", { immediate: true }),
    channel.flow(2, false),
    basic.consume(2, name, { tag: "f", args: { "x-priority": 3 } }),
    tx.commit(2),
    channel.flow(2, true),
    basic.recoverAsync(2, false),
    frame(HEARTBEAT, 0),
    connection.close(),
  ]);
}

/** `bytes` with a few octets changed, left out, doubled or swapped with random ones. */
export function spoiled(bytes: Buffer, random: Random): Buffer {
  let spoilt = Buffer.from(bytes);
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(spoilt.length);
    const kind = random.below(4);
    if (kind === 0) spoilt[at] = spoilt[at]! ^ (1 << random.below(8));
    else if (kind === 1) spoilt[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)]!;
    else if (kind === 2) spoilt = Buffer.concat([spoilt.subarray(0, at), spoilt.subarray(at + 1 + random.below(20))]);
    else spoilt = Buffer.concat([spoilt.subarray(0, at), random.bytes(1 + random.below(20)), spoilt.subarray(at)]);
  }
  return spoilt;
}

/** Frames that are whole, with anything in them. */
export function randomFrames(count: number, random: Random): Buffer {
  const classes = [10, 20, 40, 50, 60, 85, 90];
  return Buffer.concat(Array.from({ length: count }, () => {
    const number = random.below(3);
    const payload = random.bytes(random.below(200));
    if (random.below(4) === 0) return frame([2, 3, HEARTBEAT][random.below(3)]!, number, payload);
    return method(number, classes[random.below(classes.length)]!, 10 * random.below(13) + random.below(2), payload);
  }));
}
