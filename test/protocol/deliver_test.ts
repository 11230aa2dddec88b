// basic.consume, cancel, qos and get: who gets what, in which order, and what comes back when somebody goes.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp, RawMessage } from "../support/raw_amqp.ts";
import { basic, channel, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

/** A fresh queue that anybody may use, with the bodies "0", "1", ... in it. */
let queues = 0;
async function filled(count: number): Promise<string> {
  const name = `deliver-${++queues}`;
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, name));
  for (let index = 0; index < count; index++) client.send(basic.publish(1, name, String(index)));
  await client.close();
  return name;
}

const bodies = (messages: RawMessage[]): string => messages.map(({ body }) => body.toString()).join(" ");

async function ready(client: RawAmqp, name: string): Promise<number> {
  const args = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  args.shortString();
  return args.long();
}

async function readyBecomes(name: string, count: number): Promise<void> {
  const client = await broker.open();
  await waitFor(`${count} ready`, async () => await ready(client, name) === count);
  await client.close();
}

async function refusal(bytes: Buffer): Promise<[string, number]> {
  const client = await broker.open();
  client.send(bytes);
  const { level, code } = await client.refused();
  return [level, code];
}

test("consumers get messages in order, each with its tag, and tags count per channel", async () => {
  const name = await filled(3);
  const client = await broker.open({ channels: 2 });
  assert.equal((await client.call("basic.consume-ok", basic.consume(2, name, { tag: "t" }))).shortString(), "t");
  const messages = await client.messages(3);
  assert.equal(bodies(messages), "0 1 2");
  for (const [index, message] of messages.entries()) {
    const { channel, consumerTag, deliveryTag, redelivered, exchange, routingKey } = message;
    assert.deepEqual({ channel, consumerTag, deliveryTag, redelivered, exchange, routingKey }, {
      channel: 2,
      consumerTag: "t",
      deliveryTag: index + 1,
      redelivered: false,
      exchange: "",
      routingKey: name,
    });
  }
});

test("a consumer without a tag gets one, a tag used twice on a channel is a 530", async () => {
  const name = await filled(0);
  const client = await broker.open({ channels: 2 });
  const tag = async () => (await client.call("basic.consume-ok", basic.consume(1, name))).shortString();
  assert.notEqual(await tag(), await tag());
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "twice" }));
  await client.call("basic.consume-ok", basic.consume(2, name, { tag: "twice" }));
  client.send(basic.consume(1, name, { tag: "twice" }));
  const reason = await client.refused();
  assert.deepEqual([reason.level, reason.code], ["connection", 530]);
});

test("equal consumers take turns (behaviours 42)", async () => {
  const name = await filled(0);
  const client = await broker.open();
  for (const tag of ["a", "b", "c"]) await client.call("basic.consume-ok", basic.consume(1, name, { tag }));
  client.send(...Array.from({ length: 6 }, () => basic.publish(1, name, "x")));
  const tags = (await client.messages(6)).map(({ consumerTag }) => consumerTag);
  assert.equal(tags.slice(0, 3).sort().join(""), "abc");
  assert.deepEqual(tags.slice(3), tags.slice(0, 3));
});

test("prefetch bounds each consumer that comes after it, and an ack makes room (behaviours 44)", async () => {
  const name = await filled(10);
  const client = await broker.open();
  await client.call("basic.qos-ok", basic.qos(1, 2));
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "a" }));
  assert.equal(bodies(await client.messages(2)), "0 1");
  await client.expectSilence(1);
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "b" }));
  const second = await client.messages(2);
  assert.deepEqual(second.map(({ consumerTag }) => consumerTag), ["b", "b"]);
  await client.expectSilence(1);
  client.send(basic.ack(1, second[0]!.deliveryTag));
  const next = await client.message();
  assert.deepEqual([next.consumerTag, next.body.toString()], ["b", "4"]);
  client.send(basic.ack(1, 0, true));
  assert.equal((await client.messages(4)).length, 4);
  await client.expectSilence(1);
});

test("global prefetch is shared by the consumers of a channel, and can be raised (behaviours 44)", async () => {
  const name = await filled(10);
  const client = await broker.open();
  await client.call("basic.qos-ok", basic.qos(1, 3, { global: true }));
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "a" }));
  const first = await client.messages(3);
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "b" }));
  await client.expectSilence(1);
  client.send(basic.nack(1, first[2]!.deliveryTag, { requeue: false }));
  await client.message();
  await client.expectSilence(1);
  await client.call("basic.qos-ok", basic.qos(1, 5, { global: true }));
  await client.messages(2);
  await client.expectSilence(1);
  await client.call("basic.qos-ok", basic.qos(1, 0, { global: true }));
  await client.messages(4);
});

test("prefetch does not bound consumers without acknowledgement, nor basic.get", async () => {
  const name = await filled(5);
  const client = await broker.open();
  await client.call("basic.qos-ok", basic.qos(1, 1));
  client.send(basic.get(1, name), basic.get(1, name));
  assert.equal(bodies(await client.messages(2)), "0 1");
  await client.call("basic.consume-ok", basic.consume(1, name, { noAck: true }));
  assert.equal(bodies(await client.messages(3)), "2 3 4");
});

test("an exclusive consumer is alone: 403 for a second one, in either order (behaviours 25)", async () => {
  const name = await filled(0);
  const client = await broker.open();
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "alone", exclusive: true }));
  assert.deepEqual(await refusal(basic.consume(1, name)), ["channel", 403]);
  assert.deepEqual(await refusal(basic.consume(1, name, { exclusive: true })), ["channel", 403]);
  await client.call("basic.cancel-ok", basic.cancel(1, "alone"));
  await client.call("basic.consume-ok", basic.consume(1, name));
  assert.deepEqual(await refusal(basic.consume(1, name, { exclusive: true })), ["channel", 403]);
});

test("consuming and getting from a queue that is not there is a 404", async () => {
  assert.deepEqual(await refusal(basic.consume(1, "missing")), ["channel", 404]);
  assert.deepEqual(await refusal(basic.get(1, "missing")), ["channel", 404]);
});

test("a cancelled consumer gets nothing more and keeps what it holds (behaviours 2)", async () => {
  const name = await filled(2);
  const client = await broker.open();
  await client.call("basic.qos-ok", basic.qos(1, 1));
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "t" }));
  const held = await client.message();
  await client.call("basic.cancel-ok", basic.cancel(1, "t"));
  assert.equal(await ready(client, name), 1);
  client.send(basic.ack(1, held.deliveryTag));
  await client.expectSilence(1);
  assert.equal(await ready(client, name), 1);
  await client.call("basic.cancel-ok", basic.cancel(1, "t"));
  await client.call("basic.cancel-ok", basic.cancel(1, "never-there"));
});

test("consume and cancel without waiting are not answered", async () => {
  const name = await filled(1);
  const client = await broker.open();
  client.send(basic.consume(1, name, { tag: "t", noWait: true }));
  assert.equal((await client.message()).consumerTag, "t");
  client.send(basic.cancel(1, "t", true), basic.publish(1, name, "more"));
  await client.expectSilence(1);
  assert.equal(await ready(client, name), 1);
});

test("deliveries follow consume-ok, never the other way round, also behind a reply that waits for the disk", async () => {
  const name = await filled(5);
  const client = await broker.open();
  client.send(
    queue.declare(1, "deliver-slow", { durable: true }),
    basic.consume(1, name),
    queue.delete(1, "deliver-slow"),
  );
  await client.reply("queue.declare-ok");
  await client.reply("basic.consume-ok");
  const start = performance.now();
  let deliveries = 0;
  for (let replies = 0; replies < 6; replies++) {
    const frame = await client.next();
    if (frame?.name === "60.60") {
      deliveries++;
      await client.next();
      await client.next();
    } else assert.equal(frame?.name, "50.41");
  }
  assert.equal(deliveries, 5);
  assert.ok(performance.now() - start < 3000, "at once, not when something else happens to end a turn");
});

test("basic.get takes one, tells how many are left, and says when there is none", async () => {
  const name = await filled(2);
  const client = await broker.open();
  client.send(basic.get(1, name));
  const first = await client.message();
  assert.deepEqual([first.messageCount, first.redelivered, first.deliveryTag], [1, false, 1]);
  client.send(basic.get(1, name, true));
  assert.equal((await client.message()).messageCount, 0);
  await client.call("basic.get-empty", basic.get(1, name));
  client.send(basic.reject(1, 1, true), basic.get(1, name));
  assert.equal((await client.message()).redelivered, true);
});

test("what a lost connection held comes back in order, flagged, however it was lost (behaviours 1)", async () => {
  const ends: [string, (client: RawAmqp) => unknown][] = [
    ["close", (client) => client.close()],
    ["end", (client) => client.socket.end()],
    ["reset", (client) => client.reset()],
    ["violation", (client) => client.send(Buffer.from("garbage!"))],
    ["refusal", (client) => client.send(channel.open(1))],
  ];
  for (const [how, end] of ends) {
    const name = await filled(6);
    const client = await broker.open();
    await client.call("basic.qos-ok", basic.qos(1, 4));
    await client.call("basic.consume-ok", basic.consume(1, name));
    const held = await client.messages(4);
    client.send(basic.ack(1, held[1]!.deliveryTag));
    client.send(basic.get(1, name));
    held.push(...await client.messages(2));
    await end(client);
    await readyBecomes(name, 5);
    const heir = await broker.open();
    await heir.call("basic.consume-ok", basic.consume(1, name));
    const back = await heir.messages(5);
    assert.equal(bodies(back), "0 2 3 4 5", how);
    assert.ok(back.every(({ redelivered }) => redelivered), how);
  }
});

test("closing a channel brings back what it held, in the original order (behaviours 3)", async () => {
  const name = await filled(9);
  const client = await broker.open({ channels: 3 });
  for (const number of [1, 2]) await client.call("basic.qos-ok", basic.qos(number, 3));
  await client.call("basic.consume-ok", basic.consume(1, name));
  const first = await client.messages(3);
  await client.call("basic.consume-ok", basic.consume(2, name));
  const second = await client.messages(3);
  client.send(basic.ack(1, first[0]!.deliveryTag));
  await client.message();
  assert.equal(bodies(first) + " " + bodies(second), "0 1 2 3 4 5");
  await client.call("basic.cancel-ok", basic.cancel(1, "nobody"));
  client.send(channel.close(2), channel.close(1));
  while ((await client.next())?.channel !== 1 || client.hasFrame);
  await readyBecomes(name, 8);
  await client.call("basic.consume-ok", basic.consume(3, name));
  const back = await client.messages(8);
  assert.equal(bodies(back), "1 2 3 4 5 6 7 8");
  assert.equal(back.at(-1)!.redelivered, false, "nobody had the last one");
});

test("what comes back goes to consumers that are there already, before newer messages", async () => {
  const name = await filled(4);
  const holder = await broker.open();
  await holder.call("basic.qos-ok", basic.qos(1, 2));
  await holder.call("basic.consume-ok", basic.consume(1, name));
  await holder.messages(2);
  const other = await broker.open();
  await other.call("basic.qos-ok", basic.qos(1, 1));
  await other.call("basic.consume-ok", basic.consume(1, name));
  const got = await other.message();
  assert.equal(got.body.toString(), "2");
  holder.reset();
  await readyBecomes(name, 3);
  other.send(basic.ack(1, got.deliveryTag));
  const next = await other.message();
  assert.deepEqual([next.body.toString(), next.redelivered], ["0", true]);
});

test("a consumer that does not read holds up nobody else's deliveries from its queue", async () => {
  const name = await filled(0);
  const stuck = await broker.open();
  await stuck.call("basic.consume-ok", basic.consume(1, name, { noAck: true }));
  stuck.socket.pause();
  const reader = await broker.open();
  await reader.call("basic.consume-ok", basic.consume(1, name, { noAck: true }));
  const publisher = await broker.open();
  const body = Buffer.alloc(100_000);
  let received = 0;
  // More than the kernel and the broker hold for the one that does not read, twice over.
  const total = 400;
  for (let index = 0; index < total; index++) publisher.send(basic.publish(1, name, body));
  const readAll = (async () => {
    while (received < total / 2 + 50) {
      await reader.message();
      received++;
    }
  })();
  await readAll;
  assert.ok(received > total / 2, "it gets more than every second message");
  stuck.socket.resume();
  await publisher.close();
});

test("messages that the client's socket never took come back, in order, flagged (behaviours 4)", async () => {
  const count = 300;
  const name = await filled(0);
  const publisher = await broker.open();
  // More than the kernel and the broker hold for one socket.
  const padding = Buffer.alloc(64 * 1024);
  for (let index = 0; index < count; index++) {
    publisher.send(basic.publish(1, name, Buffer.concat([Buffer.from([index >> 8, index]), padding])));
  }
  await readyBecomes(name, count);
  const deaf = await broker.open();
  await deaf.call("basic.consume-ok", basic.consume(1, name));
  deaf.socket.pause();
  const sent = async () => count - await ready(publisher, name);
  await waitFor("deliveries", async () => await sent() > 0);
  assert.ok(await sent() < count, "some are still in the queue");
  deaf.reset();
  await readyBecomes(name, count);
  const client = await broker.open();
  await client.call("basic.consume-ok", basic.consume(1, name, { noAck: true }));
  const messages = await client.messages(count);
  assert.deepEqual(messages.map(({ body }) => body.readUInt16BE()), Array.from({ length: count }, (_, index) => index));
  const flags = messages.map(({ redelivered }) => redelivered);
  assert.ok(flags[0] && !flags[count - 1]);
  assert.equal(flags.lastIndexOf(true), flags.indexOf(false) - 1, "those that were under way, and no others");
});
