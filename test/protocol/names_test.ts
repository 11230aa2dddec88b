// Names and field tables: whatever a client may write, it reads again.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { MemoryBroker } from "../support/memory_broker.ts";
import { array, propertyList, type RawField, rawTable, text, withProperties } from "../support/raw_properties.ts";
import { bits, content, long, longlong, longString, method, octet, short, shortString } from "../support/raw_bytes.ts";
import { basic, exchange, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

/** Cuts a text to so many bytes of UTF-8, never in the middle of a character. */
function cut(value: string, bytesMax: number): string {
  const characters = [...value];
  while (Buffer.byteLength(characters.join("")) > bytesMax) characters.pop();
  return characters.join("");
}

/** Names of any characters, many of them as long as a name may be. */
const name = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 100 }),
  fc.tuple(fc.constantFrom("a", "é", "界", "🐇", "\u0000", "\ufeff", "/", "."), fc.integer({ min: 240, max: 255 }))
    .map(([character, bytes]) => cut(character.repeat(bytes), bytes).padEnd(1, "x")),
).map((value) => cut(value, 255)).filter((value) => value !== "" && !value.startsWith("amq."));

test("queues, exchanges, routing keys and consumer tags may be any UTF-8 up to 255 bytes", async () => {
  const client = await broker.open();
  await fc.assert(
    fc.asyncProperty(name, name, name, name, async (queueName, exchangeName, key, tag) => {
      const declared = await client.call("queue.declare-ok", queue.declare(1, queueName, { exclusive: true }));
      assert.equal(declared.shortString(), queueName);
      await client.call("exchange.declare-ok", exchange.declare(1, exchangeName, "direct", { autoDelete: true }));
      await client.call("queue.bind-ok", queue.bind(1, queueName, exchangeName, key));
      const consuming = await client.call("basic.consume-ok", basic.consume(1, queueName, { tag, noAck: true }));
      assert.equal(consuming.shortString(), tag);
      client.send(basic.publish(1, key, "bound", { exchange: exchangeName }), basic.publish(1, queueName, "direct"));
      const [bound, direct] = await client.messages(2);
      assert.deepEqual([bound!.exchange, bound!.routingKey, bound!.consumerTag], [exchangeName, key, tag]);
      assert.deepEqual([direct!.exchange, direct!.routingKey], ["", queueName]);
      const cancelled = await client.call("basic.cancel-ok", basic.cancel(1, tag));
      assert.equal(cancelled.shortString(), tag);
      client.send(basic.publish(1, key, "got", { exchange: exchangeName }), basic.get(1, queueName, true));
      const got = await client.message();
      assert.deepEqual([got.exchange, got.routingKey, got.body.toString()], [exchangeName, key, "got"]);
      await client.call("queue.delete-ok", queue.delete(1, queueName));
    }),
    { numRuns: 60 },
  );
});

const shortName = fc.string({ unit: "binary", maxLength: 60 });
const field: fc.Arbitrary<RawField> = fc.letrec<{ field: RawField }>((tie) => ({
  field: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.string({ unit: "binary", maxLength: 300 }).map((value) => text(value)),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.concat([Buffer.from("S"), longString(bytes)])),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.concat([Buffer.from("x"), longString(bytes)])),
    fc.boolean().map((value) => Buffer.concat([Buffer.from("t"), octet(value ? 1 : 0)])),
    fixed("bB", 1),
    fixed("su", 2),
    fixed("Iif", 4),
    fixed("lLTd", 8),
    fixed("D", 5),
    fc.constant(Buffer.from("V")),
    fc.array(tie("field"), { maxLength: 4 }).map((items) => array(...items)),
    fc.array(fc.tuple(shortName, tie("field")), { maxLength: 4 }).map((fields) =>
      Buffer.concat([Buffer.from("F"), rawTable(...fields)])
    ),
  ),
})).field;

/** Fields of these types, any octets as their value. */
function fixed(letters: string, bytes: number): fc.Arbitrary<RawField> {
  return fc.tuple(fc.constantFrom(...letters), fc.uint8Array({ minLength: bytes, maxLength: bytes }))
    .map(([letter, value]) => Buffer.concat([Buffer.from(letter), value]));
}

test("header tables of any type and nesting come back byte for byte, delivered, fetched and returned", async () => {
  const client = await broker.open();
  const queueName = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  const fields = fc.array(fc.tuple(shortName, field), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fields, async (given) => {
      // CC and BCC mean something; here only what means nothing is sent.
      const headers = rawTable(...given.filter(([key]) => key !== "CC" && key !== "BCC"));
      const options = withProperties({ headers, deliveryMode: 2, contentType: "é" });
      client.send(
        basic.publish(1, queueName, "x", options),
        basic.publish(1, "nowhere-at-all", "x", { ...options, mandatory: true }),
        basic.get(1, queueName, true),
      );
      for (const message of await client.messages(2)) assert.deepEqual(message.properties, propertyList(options));
    }),
    { numRuns: 150 },
  );
});

test("a header table to which the broker adds nothing but from which it takes BCC keeps all else byte for byte", async () => {
  const client = await broker.open();
  const queueName = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  const others: [string, RawField][] = [
    ["long", Buffer.concat([Buffer.from("l"), longlong(2n ** 63n + 5n)])],
    ["unsigned", Buffer.concat([Buffer.from("i"), long(0xffffffff)])],
    ["short", Buffer.concat([Buffer.from("s"), short(0x8000)])],
    ["nan", Buffer.concat([Buffer.from("d"), Buffer.from("7ff800000000beef", "hex")])],
    ["float", Buffer.concat([Buffer.from("f"), Buffer.from("7fa00001", "hex")])],
    ["no text", Buffer.concat([Buffer.from("S"), longString(Buffer.from([0xff, 0xfe]))])],
    ["decimal", Buffer.from("D\x02\x00\x00\x01\x00", "latin1")],
    ["nested", array(Buffer.concat([Buffer.from("F"), rawTable(["BCC", text("stays")])]))],
    ["void", Buffer.from("V")],
  ];
  const hidden: [string, RawField] = ["BCC", array(text("nowhere"))];
  const options = withProperties({ headers: rawTable(...others, hidden), deliveryMode: 1 });
  client.send(basic.publish(1, queueName, "x", options), basic.get(1, queueName, true));
  const expected = propertyList(withProperties({ headers: rawTable(...others), deliveryMode: 1 }));
  assert.deepEqual((await client.message()).properties, expected);
});

test("a routing key that is no UTF-8 comes back byte for byte, returned, fetched, delivered and dead-lettered", async () => {
  const client = await broker.open();
  const key = Buffer.alloc(255, 0xff);
  const publish = (name: string, mandatory = false): Buffer =>
    Buffer.concat([
      method(1, 60, 40, short(0), shortString(name), octet(key.length), key, bits(mandatory)),
      content(1, "x"),
    ]);
  const fetched = async (...before: Buffer[]): Promise<Buffer> => {
    client.send(...before, basic.get(1, "odd keys", true));
    const { payload } = await client.reply("basic.get-ok");
    await client.next();
    await client.next();
    return payload;
  };
  await client.call("exchange.declare-ok", exchange.declare(1, "odd keys", "fanout", { autoDelete: true }));
  await client.call("queue.declare-ok", queue.declare(1, "odd keys", { exclusive: true }));
  await client.call("queue.bind-ok", queue.bind(1, "odd keys", "odd keys", ""));
  client.send(publish("amq.topic", true));
  assert.ok((await client.reply("basic.return")).payload.includes(key));
  await client.next();
  await client.next();
  assert.ok((await fetched(publish("odd keys"))).includes(key));
  // The answer waits for the disk here: nobody could be told of a fault any more.
  const durable = queue.declare(1, "odd keys, durable", { durable: true });
  client.send(publish("odd keys"), durable);
  client.send(basic.get(1, "odd keys", true));
  await client.reply("queue.declare-ok");
  assert.ok((await client.reply("basic.get-ok")).payload.includes(key));
  await client.next();
  await client.next();
  const dead = queue.declare(1, "dying", {
    exclusive: true,
    args: { "x-max-length": 0, "x-dead-letter-exchange": "odd keys" },
  });
  await client.call("queue.declare-ok", dead);
  await client.call("queue.bind-ok", queue.bind(1, "dying", "amq.fanout", ""));
  client.send(publish("amq.fanout"));
  await client.expectSilence(1);
  assert.ok((await fetched()).includes(key));
  client.send(publish("odd keys"));
  await client.call("basic.consume-ok", basic.consume(1, "odd keys", { noAck: true }));
  assert.ok((await client.reply("basic.deliver")).payload.includes(key));
  await client.next();
  await client.next();
  await client.call("queue.delete-ok", queue.delete(1, "odd keys, durable"));
});
