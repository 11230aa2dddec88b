// What a client says about deliveries to come: channel.flow, prefetch, arguments of consumers, and basic.recover.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { basic, channel, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function withQueue(...bodies: string[]): Promise<{ client: RawAmqp; name: string }> {
  const client = await broker.open({ channels: 3 });
  const name = (await client.call("queue.declare-ok", queue.declare(3, "", { exclusive: true }))).shortString();
  client.send(...bodies.map((body) => basic.publish(3, name, body)));
  await client.expectSilence(3);
  return { client, name };
}

async function flow(client: RawAmqp, number: number, active: boolean): Promise<void> {
  const { args } = await client.reply((client.send(channel.flow(number, active)), "channel.flow-ok"));
  assert.equal(args.octet() === 1, active);
}

const bodies = async (client: RawAmqp, count: number) =>
  (await client.messages(count)).map(({ body, redelivered }) => `${body}${redelivered ? "!" : ""}`);

test("channel.flow off stops the deliveries of a channel, on it goes on (behaviours 45)", async () => {
  const { client, name } = await withQueue("a", "b");
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "acks" }));
  assert.deepEqual(await bodies(client, 2), ["a", "b"]);
  await flow(client, 1, false);
  await client.call("basic.consume-ok", basic.consume(1, name, { noAck: true, tag: "late" }));
  client.send(basic.publish(3, name, "c"), basic.publish(3, name, "d"), basic.ack(1, 2, true));
  await client.expectSilence(3);
  await flow(client, 1, false);
  client.send(basic.get(1, name, true));
  const got = await client.message();
  assert.deepEqual([got.by, got.body.toString()], ["get", "c"], "basic.get asks for it");
  await flow(client, 1, true);
  assert.deepEqual(await bodies(client, 1), ["d"]);
});

test("flow is a matter of each channel: others are served meanwhile (behaviours 45)", async () => {
  const { client, name } = await withQueue();
  await client.call("basic.consume-ok", basic.consume(1, name, { noAck: true }));
  await client.call("basic.consume-ok", basic.consume(2, name, { noAck: true }));
  await flow(client, 1, false);
  for (const body of ["a", "b", "c"]) client.send(basic.publish(3, name, body));
  assert.deepEqual((await client.messages(3)).map(({ channel }) => channel), [2, 2, 2]);
});

test("prefetch changed while consuming holds for consumers to come, the channel's for all (behaviours 44)", async () => {
  const { client, name } = await withQueue("a", "b", "c", "d", "e", "f");
  await client.call("basic.qos-ok", basic.qos(1, 2));
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "two" }));
  assert.deepEqual(await bodies(client, 2), ["a", "b"]);
  await client.call("basic.qos-ok", basic.qos(1, 1));
  await client.expectSilence(1);
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "one" }));
  const third = await client.message();
  assert.deepEqual([third.consumerTag, third.body.toString()], ["one", "c"]);
  await client.call("basic.qos-ok", basic.qos(1, 2, { global: true }));
  client.send(basic.ack(1, 1));
  await client.expectSilence(1);
  client.send(basic.ack(1, 2));
  const fourth = await client.message();
  assert.deepEqual(
    [fourth.consumerTag, fourth.body.toString()],
    ["two", "d"],
    "one of three is left, and room for one",
  );
  await client.call("basic.qos-ok", basic.qos(1, 0, { global: true }));
  assert.deepEqual(await bodies(client, 1), ["e"], "without the channel's bound its own is left");
  await client.expectSilence(1);
});

test("a prefetch size is a 540, with RabbitMQ's words", async () => {
  const { client } = await withQueue();
  client.send(basic.qos(1, 1, { size: 7 }));
  const reason = await client.refused();
  assert.deepEqual([reason.level, reason.text], ["connection", "NOT_IMPLEMENTED - prefetch_size!=0 (7)"]);
});

test("a consumer of higher priority is served first while it has room (behaviours 42)", async () => {
  const { client, name } = await withQueue();
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "low", args: { "x-priority": -1 } }));
  await client.call("basic.qos-ok", basic.qos(1, 2));
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "high", args: { "x-priority": 5 } }));
  await client.call("basic.consume-ok", basic.consume(2, name, { tag: "middle", noAck: true }));
  for (const body of ["a", "b", "c"]) client.send(basic.publish(3, name, body));
  const tags = (await client.messages(3)).map(({ consumerTag }) => consumerTag);
  assert.deepEqual(tags, ["high", "high", "middle"]);
  await client.call("basic.cancel-ok", basic.cancel(2, "middle"));
  client.send(basic.publish(3, name, "d"));
  assert.equal((await client.message()).consumerTag, "low");
});

test("arguments of consumers have the types that RabbitMQ asks for, those without meaning are passed over", async () => {
  const { client, name } = await withQueue();
  const args = { "x-cancel-on-ha-failover": true, "x-unknown": "y", "x-priority": 0 };
  await client.call("basic.consume-ok", basic.consume(1, name, { args, tag: "x" }));
  await client.call("basic.cancel-ok", basic.cancel(1, "x"));
  const wrong: [string, string | boolean | number, string][] = [
    ["x-priority", "high", '"expected integer, got longstr"'],
    ["x-priority", true, '"expected integer, got bool"'],
    ["x-cancel-on-ha-failover", 1, "{unacceptable_type,signedint}"],
  ];
  for (const [key, value, what] of wrong) {
    client.send(basic.consume(1, name, { args: { [key]: value } }));
    const reason = await client.refused();
    assert.equal(
      reason.text,
      `PRECONDITION_FAILED - invalid arg '${key}' for queue '${name}' in vhost '/': ${what}`,
    );
    await client.call("channel.open-ok", channel.open(1));
  }
});

test("recover without requeue redelivers to the consumer that has it (behaviours 35)", async () => {
  for (const method of ["recover", "recover-async"]) {
    const { client, name } = await withQueue("a", "b", "c");
    await client.call("basic.qos-ok", basic.qos(1, 2));
    await client.call("basic.consume-ok", basic.consume(1, name, { tag: "holds" }));
    assert.deepEqual(await bodies(client, 2), ["a", "b"]);
    await client.call("basic.consume-ok", basic.consume(2, name, { tag: "other", noAck: true }));
    assert.deepEqual(await bodies(client, 1), ["c"]);
    client.send(method === "recover" ? basic.recover(1, false) : basic.recoverAsync(1, false));
    const again = await client.messages(2);
    assert.deepEqual(
      again.map((
        { consumerTag, deliveryTag, redelivered, body },
      ) => [consumerTag, deliveryTag, redelivered, `${body}`]),
      [["holds", 3, true, "a"], ["holds", 4, true, "b"]],
    );
    if (method === "recover") await client.reply("basic.recover-ok");
    client.send(basic.ack(1, 4, true));
    await client.expectSilence(1);
    client.send(basic.ack(1, 1));
    assert.equal((await client.refused()).code, 406, "the old tags are gone");
  }
});

test("recover without requeue gives back to the queue what no consumer has any more (behaviours 35)", async () => {
  const { client, name } = await withQueue("a", "b", "c");
  await client.call("basic.qos-ok", basic.qos(1, 1));
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "cancelled" }));
  assert.deepEqual(await bodies(client, 1), ["a"]);
  await client.call("basic.cancel-ok", basic.cancel(1, "cancelled"));
  client.send(basic.get(1, name));
  assert.equal((await client.message()).body.toString(), "b");
  await client.call("basic.recover-ok", basic.recover(1, false));
  await client.call("basic.consume-ok", basic.consume(2, name, { noAck: true }));
  assert.deepEqual(await bodies(client, 3), ["a!", "b!", "c"]);
});

test("recover-async with requeue brings back all, and is not answered (behaviours 35)", async () => {
  const { client, name } = await withQueue("a", "b");
  client.send(basic.get(1, name), basic.get(1, name));
  await client.messages(2);
  client.send(basic.recoverAsync(1, true));
  await client.expectSilence(1);
  await client.call("basic.consume-ok", basic.consume(2, name, { noAck: true }));
  assert.deepEqual(await bodies(client, 2), ["a!", "b!"]);
});

test("consumers of an exclusive queue are told when it is deleted by another channel of its owner", async () => {
  const { client, name } = await withQueue();
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "told" }));
  client.send(queue.delete(2, name));
  const replies = [await client.next(), await client.next()].map((frame) => frame?.name).sort();
  assert.deepEqual(replies, ["50.41", "60.30"]);
});
