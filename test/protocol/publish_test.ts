// basic.publish: content in all its cuts, what is returned and what is refused.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import {
  BODY,
  content,
  contentHeader,
  frame,
  octet,
  PERSISTENT,
  Random,
  short,
  shortString,
  table,
} from "../support/raw_bytes.ts";
import { basic, confirm, exchange, queue } from "../support/raw_methods.ts";

const MESSAGE_BYTES_MAX = 1_000_000;
const broker = new MemoryBroker({ messageBytesMax: MESSAGE_BYTES_MAX });
after(() => broker.stop());

async function withQueue(frameMax = 131_072): Promise<{ client: RawAmqp; name: string }> {
  const client = await broker.open({ channels: 2, frameMax });
  const declared = await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }));
  return { client, name: declared.shortString() };
}

/** The broker refuses `bytes`, which follow a whole message that must have arrived. */
async function refusal(bytes: (name: string) => Buffer): Promise<{ level: string; code: number; text: string }> {
  const { client, name } = await withQueue();
  client.send(basic.publish(1, name, "before"), basic.get(1, name, true));
  assert.equal((await client.message()).body.toString(), "before");
  client.send(bytes(name));
  const { level, code, text } = await client.refused();
  return { level, code, text };
}

const expectRefusal = async (level: string, code: number, bytes: (name: string) => Buffer): Promise<void> => {
  const reason = await refusal(bytes);
  assert.deepEqual([reason.level, reason.code], [level, code], reason.text);
};

test("bodies around the size of a frame arrive whole in several queues (behaviours 37)", async () => {
  const random = new Random(37);
  for (const frameMax of [4096, 131_072]) {
    const { client, name } = await withQueue(frameMax);
    const other = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
    await client.call("queue.bind-ok", queue.bind(1, name, "amq.fanout", ""));
    await client.call("queue.bind-ok", queue.bind(1, other, "amq.fanout", ""));
    const sizes = [0, 1, frameMax - 9, frameMax - 8, frameMax - 7, frameMax, 2 * (frameMax - 8), 2 * frameMax, 500_000];
    for (const size of sizes) {
      const body = Buffer.concat([random.bytes(Math.min(size, 5000)), Buffer.alloc(Math.max(0, size - 5000), 7)]);
      client.send(basic.publish(1, "", body, { exchange: "amq.fanout", frameMax }));
      for (const target of [name, other]) {
        client.send(basic.get(1, target, true));
        assert.ok((await client.message()).body.equals(body), `${size} bytes in frames of ${frameMax}`);
      }
    }
  }
});

test("frames to the client are split to the size it asked for (behaviours 37)", async () => {
  const { client, name } = await withQueue(4096);
  const body = Buffer.alloc(10_000, 1);
  client.send(basic.publish(1, name, body, { frameMax: 4096 }), basic.consume(1, name, { noAck: true }));
  await client.reply("basic.consume-ok");
  await client.reply("basic.deliver");
  assert.equal((await client.next())?.name, "header");
  const sizes: number[] = [];
  while (sizes.reduce((sum, size) => sum + size, 0) < body.length) sizes.push((await client.next())!.payload.length);
  assert.deepEqual(sizes, [4088, 4088, 1824]);
});

test("a body may come in frames of any size, empty ones too, and byte by byte", async () => {
  const { client, name } = await withQueue();
  const pieces = ["", "a", "", "bc", "def", ""].map((text) => frame(3, 1, Buffer.from(text)));
  const whole = Buffer.concat([
    basic.publishMethod(1, name),
    contentHeader(1, 7),
    ...pieces,
    frame(3, 1, Buffer.from("g")),
  ]);
  client.send(whole);
  for (const byte of whole) client.send(Buffer.from([byte]));
  client.send(basic.get(1, name, true), basic.get(1, name, true));
  for (const message of await client.messages(2)) assert.equal(message.body.toString(), "abcdefg");
});

test("two channels may interleave their messages frame by frame", async () => {
  const { client, name } = await withQueue();
  client.send(
    basic.publishMethod(1, name),
    basic.publishMethod(2, name),
    contentHeader(1, 4),
    contentHeader(2, 6),
    frame(3, 1, Buffer.from("on")),
    frame(3, 2, Buffer.from("two")),
    frame(3, 1, Buffer.from("e1")),
    frame(3, 2, Buffer.from("two")),
    basic.get(1, name, true),
    basic.get(1, name, true),
  );
  assert.deepEqual((await client.messages(2)).map(({ body }) => body.toString()), ["one1", "twotwo"]);
});

test("properties and routing key pass through untouched, of every length", async () => {
  const { client, name } = await withQueue();
  const headers = table({ text: "ü", number: -1 >>> 0, yes: true, nested: { deep: { deeper: "x" } } });
  const strings = ["text/plain", "", "x".repeat(255)].map(shortString);
  const all = Buffer.concat([
    strings[0]!, // content-type
    strings[1]!, // content-encoding
    headers,
    octet(2), // delivery-mode
    octet(9), // priority
    strings[2]!, // correlation-id
    shortString("reply"),
    shortString("message-1"),
    Buffer.alloc(8, 5), // timestamp
    shortString("type"),
    shortString("guest"), // user-id
    shortString("app"),
    shortString("cluster"),
  ]);
  const flags = 0b1111_1110_1111_1100;
  client.send(basic.publish(1, name, "body", { flags, properties: all }), basic.get(1, name, true));
  assert.deepEqual((await client.message()).properties, Buffer.concat([short(flags), all]));
  const key = "k".repeat(255);
  await client.call("queue.bind-ok", queue.bind(1, name, "amq.direct", key));
  client.send(basic.publish(1, key, "long key", { exchange: "amq.direct" }), basic.get(1, name, true));
  const message = await client.message();
  assert.deepEqual([message.routingKey, message.exchange], [key, "amq.direct"]);
});

test("a mandatory message that no queue takes comes back whole with 312, before its confirm (behaviours 11)", async () => {
  const { client, name } = await withQueue(4096);
  await client.call("confirm.select-ok", confirm.select(1));
  const body = Buffer.alloc(10_000, 3);
  client.send(basic.publish(1, "no-such-queue", body, { mandatory: true, frameMax: 4096, ...PERSISTENT }));
  const returned = await client.message();
  assert.deepEqual([returned.by, returned.replyCode, returned.exchange, returned.routingKey], [
    "return",
    312,
    "",
    "no-such-queue",
  ]);
  assert.ok(returned.body.equals(body));
  assert.deepEqual(returned.properties, Buffer.from([0x10, 0, 2]));
  assert.equal((await client.reply("basic.ack")).args.longlong(), 1);
  client.send(basic.publish(1, "no-such-queue", "", { mandatory: true }));
  assert.equal((await client.message()).body.length, 0);
  await client.reply("basic.ack");
  client.send(
    basic.publish(1, name, "routed", { mandatory: true }),
    basic.publish(1, "no-such-queue", "not asked for"),
  );
  const confirmed = await client.reply("basic.ack");
  assert.ok(confirmed.args.longlong() >= 3, "nothing is returned");
});

test("an exchange that is not there is a 404 on the channel, and the message that named it is ignored", async () => {
  await expectRefusal("channel", 404, (name) => basic.publish(1, name, "x", { exchange: "missing" }));
});

test("a route that was good is refused when its exchange is gone", async () => {
  const { client, name } = await withQueue();
  await client.call("exchange.declare-ok", exchange.declare(1, "fading", "fanout"));
  await client.call("queue.bind-ok", queue.bind(1, name, "fading", ""));
  client.send(basic.publish(1, "k", "a", { exchange: "fading" }), basic.get(1, name, true));
  await client.message();
  await client.call("exchange.delete-ok", exchange.delete(2, "fading"));
  client.send(basic.publish(1, "k", "b", { exchange: "fading" }));
  assert.equal((await client.refused()).code, 404);
});

test("a message over the maximum closes its channel with 406, as soon as its size is known (behaviours 38)", async () => {
  await expectRefusal(
    "channel",
    406,
    (name) => Buffer.concat([basic.publishMethod(1, name), contentHeader(1, MESSAGE_BYTES_MAX + 1)]),
  );
  const { client, name } = await withQueue();
  client.send(basic.publish(1, name, Buffer.alloc(MESSAGE_BYTES_MAX)), basic.get(1, name, true));
  assert.equal((await client.message()).body.length, MESSAGE_BYTES_MAX);
});

test("announced sizes that nobody can mean are refused", async () => {
  const announce = (size: bigint) => (name: string) =>
    Buffer.concat([basic.publishMethod(1, name), contentHeader(1, size)]);
  await expectRefusal("channel", 406, announce(2n ** 53n - 1n));
  await expectRefusal("channel", 406, announce(2n ** 32n));
  await expectRefusal("connection", 501, announce(2n ** 63n));
  await expectRefusal("connection", 501, announce(2n ** 64n - 1n));
});

test("more body than announced is a 501", async () => {
  await expectRefusal("connection", 501, (name) => basic.publish(1, name, "four+", { announced: 4 }));
  await expectRefusal(
    "connection",
    505,
    (name) => Buffer.concat([basic.publish(1, name, ""), frame(3, 1, Buffer.from("x"))]),
  );
});

test("frames out of the order method, header, body are a 505", async () => {
  const out: ((name: string) => Buffer)[] = [
    () => content(1, "no method"),
    () => frame(3, 1, Buffer.from("no header")),
    (name) => Buffer.concat([basic.publishMethod(1, name), frame(3, 1, Buffer.from("no header"))]),
    (name) => Buffer.concat([basic.publishMethod(1, name), basic.publishMethod(1, name)]),
    (name) => Buffer.concat([basic.publishMethod(1, name), basic.get(1, name)]),
    (name) => Buffer.concat([basic.publishMethod(1, name), contentHeader(1, 5), contentHeader(1, 5)]),
    (name) => Buffer.concat([basic.publishMethod(1, name), contentHeader(1, 5), basic.ack(1, 1)]),
    (name) => Buffer.concat([basic.publishMethod(1, name), frame(2, 1, Buffer.alloc(14))]),
  ];
  for (const bytes of out) await expectRefusal("connection", 505, bytes);
});

test("a content header that lies about its properties is a 501", async () => {
  const header = (flags: number, properties: Uint8Array) => (name: string) =>
    basic.publish(1, name, "x", { flags, properties });
  const lies = [
    header(0x8000, octet(5)), // content-type of 5 octets, none there
    header(0x8000, new Uint8Array(0)),
    header(0x2000, Buffer.from([0xff, 0xff, 0xff, 0xff])), // headers of 4 GiB
    header(0x2000, Buffer.from([0, 0])),
    header(0x0040, Buffer.alloc(7)), // a timestamp cut
    header(0, octet(0)), // an octet nobody announced
    header(1, new Uint8Array(0)), // continuation
  ];
  for (const bytes of lies) await expectRefusal("connection", 501, bytes);
});

test("basic.publish whose strings reach over its end is refused and hurts no other channel's content", async () => {
  const method = (args: number[]) => () => frame(1, 1, Buffer.from([0, 60, 0, 40, ...args]));
  for (const args of [[], [0, 0], [0, 0, 255], [0, 0, 0, 9, 65], [0, 0, 0, 1, 65], [0, 0, 0, 0, 0, 0]]) {
    const { level, code } = await refusal(method(args));
    assert.equal(level, "connection");
    assert.ok(code === 501 || code === 502, `${code}`);
  }
});

test("a user-id must be the publisher's own", async () => {
  const userId = (name: string) => ({ flags: 0x0010, properties: shortString(name) });
  await expectRefusal("channel", 406, (name) => basic.publish(1, name, "x", userId("somebody")));
  const { client, name } = await withQueue();
  client.send(basic.publish(1, name, "x", userId("guest")), basic.get(1, name, true));
  await client.message();
});

test("bodies that are not whole are bounded for all channels of a connection together", async () => {
  const client = await broker.open({ channels: 100 });
  const part = Buffer.alloc(100_000);
  for (let channel = 1; channel <= 100; channel++) {
    client.send(basic.publishMethod(channel, "q"), contentHeader(channel, 900_000));
    for (let i = 0; i < 8; i++) client.send(frame(BODY, channel, part));
  }
  const { level, code, text } = await client.refused();
  assert.deepEqual([level, code], ["connection", 506], text);
});
