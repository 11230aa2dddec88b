// Several consumers of one queue: whose turn it is, and how long they may take.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Broker } from "../../src/mod.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import { RawAmqp } from "../support/raw_amqp.ts";
import type { Table } from "../support/raw_bytes.ts";
import { basic, channel, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function declare(client: RawAmqp, name: string, args: Table = {}): Promise<void> {
  await client.call("queue.declare-ok", queue.declare(1, name, { args }));
}

async function consume(client: RawAmqp, name: string, tag: string, priority?: number): Promise<void> {
  const args: Table = priority === undefined ? {} : { "x-priority": priority };
  await client.call("basic.consume-ok", basic.consume(1, name, { tag, args }));
}

function publish(client: RawAmqp, name: string, count: number): void {
  for (let index = 0; index < count; index++) client.send(basic.publish(1, name, `${index}`));
}

test("a consumer without a prefetch of its own gets so many, and more as it settles them", async () => {
  const limited = new Broker({ memory: true, amqp: { port: 0, consumerPrefetch: 3 } });
  await limited.start();
  const client = await RawAmqp.open(limited.listeners[0]!.port, { channels: 1 });
  try {
    await declare(client, "q");
    publish(client, "q", 10);
    await consume(client, "q", "all");
    const bodies = async (count: number) => (await client.messages(count)).map(({ body }) => body.toString());
    assert.deepEqual(await bodies(3), ["0", "1", "2"]);
    await client.expectSilence(1);
    client.send(basic.ack(1, 2, true));
    assert.deepEqual(await bodies(2), ["3", "4"]);
    await client.expectSilence(1);
    // One of its own goes before it.
    await client.call("basic.qos-ok", basic.qos(1, 4));
    await consume(client, "q", "four");
    assert.deepEqual(await bodies(4), ["5", "6", "7", "8"]);
    await client.expectSilence(1);
  } finally {
    client.socket.destroy();
    await limited.stop();
  }
});

test("equals take turns; those of a higher priority come first until they are full (behaviours 42)", async () => {
  const client = await broker.open();
  await declare(client, "ranked");
  await client.call("basic.qos-ok", basic.qos(1, 2));
  await consume(client, "ranked", "none");
  await consume(client, "ranked", "low", -1);
  await consume(client, "ranked", "high a", 5);
  await consume(client, "ranked", "high b", 5);
  publish(client, "ranked", 8);
  const messages = await client.messages(8);
  assert.deepEqual(
    messages.map(({ consumerTag }) => consumerTag),
    ["high a", "high b", "high a", "high b", "none", "none", "low", "low"],
  );
  const held = messages.filter(({ consumerTag }) => consumerTag === "high b");
  for (const { deliveryTag } of held) client.send(basic.ack(1, deliveryTag));
  publish(client, "ranked", 2);
  assert.deepEqual((await client.messages(2)).map(({ consumerTag }) => consumerTag), ["high b", "high b"]);
});

test("only one consumer is active; the next takes over when it leaves (behaviours 43)", async () => {
  const first = await broker.open();
  await declare(first, "single", { "x-single-active-consumer": true });
  await first.call("basic.qos-ok", basic.qos(1, 1));
  await consume(first, "single", "first");
  const second = await broker.open();
  await consume(second, "single", "second", 10);
  const third = await broker.open();
  await consume(third, "single", "third");
  publish(third, "single", 3);
  const held = await first.message();
  assert.equal(held.body.toString(), "0");
  await second.expectSilence(1);
  await first.call("basic.cancel-ok", basic.cancel(1, "first"));
  assert.deepEqual((await second.messages(2)).map(({ body }) => body.toString()), ["1", "2"]);
  first.send(basic.reject(1, held.deliveryTag, true));
  assert.equal((await second.message()).body.toString(), "0");
  second.reset();
  const bodies = (await third.messages(3)).map(({ body, redelivered }) => body.toString() + (redelivered ? "!" : ""));
  assert.deepEqual(bodies, ["0!", "1!", "2!"]);
});

test("a queue with a single active consumer has no exclusive ones (behaviours 25, 43)", async () => {
  const client = await broker.open();
  await declare(client, "single-exclusive", { "x-single-active-consumer": true });
  client.send(basic.consume(1, "single-exclusive", { exclusive: true }));
  assert.equal((await client.refused()).code, 403);
});

test("who holds a message for too long loses the channel, and others get it (behaviours 47)", async () => {
  const slow = await broker.open({ channels: 2 });
  await declare(slow, "timed", { "x-consumer-timeout": 100 });
  await declare(slow, "patient");
  publish(slow, "timed", 1);
  publish(slow, "patient", 1);
  await slow.call("basic.consume-ok", basic.consume(2, "patient", { tag: "patient" }));
  await slow.message();
  await consume(slow, "timed", "slow");
  await slow.message();
  const reason = await slow.refused();
  assert.deepEqual([reason.level, reason.channel, reason.code], ["channel", 1, 406]);
  assert.match(reason.text, /delivery acknowledgement on channel 1 timed out\. Timeout value used: 100 ms/);
  const other = await broker.open();
  await other.call("basic.consume-ok", basic.consume(1, "timed", { noAck: true }));
  assert.ok((await other.message()).redelivered);
  await slow.call("channel.open-ok", channel.open(1));
  await slow.expectSilence(2);
});

test("who settles in time keeps the channel, and nothing out is nothing late (behaviours 47)", async () => {
  const client = await broker.open({ channels: 2 });
  await declare(client, "in-time", { "x-consumer-timeout": 1000 });
  await declare(client, "too-late", { "x-consumer-timeout": 1000 });
  await consume(client, "in-time", "tag");
  await client.call("basic.consume-ok", basic.consume(2, "too-late", { tag: "late" }));
  client.send(basic.publish(1, "too-late", "held"));
  const held = await client.message();
  assert.equal(held.channel, 2);
  for (;;) {
    // Until the other channel is closed, this one works.
    client.send(basic.publish(1, "in-time", "x"));
    const frame = await client.next();
    if (frame?.name === "20.40") {
      assert.equal(frame.channel, 2);
      return;
    }
    assert.equal(frame?.name, "60.60");
    const { args } = frame!;
    args.shortString();
    assert.deepEqual([(await client.next())?.name, (await client.next())?.name], ["header", "body"]);
    client.send(basic.ack(1, args.longlong()));
    await new Promise((resolve) => setImmediate(resolve));
  }
});
