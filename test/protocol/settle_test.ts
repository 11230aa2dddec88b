// basic.ack, nack, reject and recover.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp, RawMessage } from "../support/raw_amqp.ts";
import { basic, channel, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

/** A connection that holds `count` messages "0", "1", ... of an exclusive queue, got by a consumer. */
async function holding(count: number): Promise<{ client: RawAmqp; name: string; held: RawMessage[] }> {
  const client = await broker.open({ channels: 2 });
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "t" }));
  for (let index = 0; index < count; index++) client.send(basic.publish(1, name, String(index)));
  const held = await client.messages(count);
  await client.call("basic.cancel-ok", basic.cancel(1, "t"));
  return { client, name, held };
}

/** What is in the queue after the first channel is closed, `*` behind what is flagged as redelivered. */
async function leftAfterClose(client: RawAmqp, name: string): Promise<string> {
  await client.call("channel.close-ok", channel.close(1));
  const texts: string[] = [];
  while (true) {
    client.send(basic.get(2, name, true), channel.flow(2, true));
    const got = await client.next();
    if (got?.name === "60.72") break;
    await client.next();
    const body = await client.next();
    await client.reply("channel.flow-ok");
    texts.push(body!.payload.toString() + (got!.args.longlong(), got!.payload[12] === 1 ? "*" : ""));
  }
  await client.reply("channel.flow-ok");
  return texts.join(" ");
}

test("ack takes one out, or all up to it, in any order", async () => {
  const { client, name, held } = await holding(10);
  const tag = (index: number) => held[index]!.deliveryTag;
  client.send(basic.ack(1, tag(8)), basic.ack(1, tag(2)), basic.ack(1, tag(3), true), basic.ack(1, tag(5)));
  assert.equal(await leftAfterClose(client, name), "4* 6* 7* 9*");
});

test("ack of 0 with multiple is all there is, also when there is nothing (behaviours 8)", async () => {
  const { client, name } = await holding(3);
  client.send(basic.ack(1, 0, true), basic.ack(1, 0, true), basic.nack(1, 0, { multiple: true }));
  assert.equal(await leftAfterClose(client, name), "");
});

test("reject and nack without requeue delete, with it they redeliver (behaviours 5)", async () => {
  const { client, name, held } = await holding(8);
  const tag = (index: number) => held[index]!.deliveryTag;
  client.send(
    basic.reject(1, tag(7), true),
    basic.reject(1, tag(0), false),
    basic.nack(1, tag(1), { requeue: true }),
    basic.nack(1, tag(2), { requeue: false }),
    basic.nack(1, tag(4), { multiple: true, requeue: false }),
    basic.nack(1, tag(6), { multiple: true, requeue: true }),
  );
  assert.equal(await leftAfterClose(client, name), "1* 5* 6* 7*");
});

test("what is requeued is delivered again, in its old place and flagged", async () => {
  const { client, name, held } = await holding(3);
  client.send(basic.publish(1, name, "newer"), basic.reject(1, held[1]!.deliveryTag, true));
  await client.call("basic.consume-ok", basic.consume(1, name));
  const again = await client.messages(2);
  assert.deepEqual(again.map(({ body, redelivered }) => [body.toString(), redelivered]), [["1", true], [
    "newer",
    false,
  ]]);
});

test("an unknown tag closes the channel with 406, not the connection (behaviours 6)", async () => {
  const settlements = [
    basic.ack(1, 9),
    basic.ack(1, 9, true),
    basic.ack(1, 0),
    basic.ack(1, 2 ** 52),
    basic.nack(1, 9),
    basic.nack(1, 9, { multiple: true }),
    basic.reject(1, 9, true),
    basic.reject(1, 9, false),
  ];
  for (const bytes of settlements) {
    const { client, name } = await holding(2);
    client.send(bytes);
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["channel", 406]);
    assert.match(reason.text, /unknown delivery tag \d+/);
    await client.expectSilence(2);
    await client.call("channel.open-ok", channel.open(1));
    assert.equal(await leftAfterClose(client, name), "0* 1*");
  }
});

test("settling twice closes the channel, also with multiple (behaviours 7)", async () => {
  const twice: ((tag: number) => Buffer[])[] = [
    (tag) => [basic.ack(1, tag), basic.ack(1, tag)],
    (tag) => [basic.ack(1, tag), basic.ack(1, tag, true)],
    (tag) => [basic.ack(1, tag, true), basic.ack(1, tag, true)],
    (tag) => [basic.reject(1, tag, true), basic.ack(1, tag)],
    (tag) => [basic.nack(1, tag, { requeue: false }), basic.reject(1, tag, false)],
  ];
  for (const bytes of twice) {
    const { client, held } = await holding(3);
    client.send(...bytes(held[1]!.deliveryTag));
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["channel", 406]);
  }
});

test("what was delivered without acknowledgement cannot be settled", async () => {
  const { client, name } = await holding(0);
  client.send(basic.publish(1, name, "x"), basic.get(1, name, true));
  const { deliveryTag } = await client.message();
  client.send(basic.ack(1, deliveryTag));
  assert.equal((await client.refused()).code, 406);
});

test("tags are the channel's own: another channel's are unknown", async () => {
  const { client, held } = await holding(1);
  client.send(basic.ack(2, held[0]!.deliveryTag));
  const reason = await client.refused();
  assert.deepEqual([reason.channel, reason.code], [2, 406]);
  client.send(basic.ack(1, held[0]!.deliveryTag));
  await client.expectSilence(1);
});

test("recover with requeue brings back all: of consumers, cancelled ones and basic.get (behaviours 35)", async () => {
  const { client, name } = await holding(2);
  client.send(basic.publish(1, name, "got"), basic.get(1, name));
  await client.message();
  await client.call("basic.recover-ok", basic.recover(1, true));
  client.send(basic.get(1, name), basic.get(1, name), basic.get(1, name));
  const back = await client.messages(3);
  assert.deepEqual(back.map(({ body, redelivered }) => [body.toString(), redelivered]), [
    ["0", true],
    ["1", true],
    ["got", true],
  ]);
  await client.call("basic.recover-ok", basic.recover(1, true));
  await client.call("basic.recover-ok", basic.recover(2, true));
  assert.equal(await leftAfterClose(client, name), "0* 1* got*");
});

test("a consumer with prefetch gets what it requeues again and goes on", async () => {
  const { client, name } = await holding(0);
  await client.call("basic.qos-ok", basic.qos(1, 1));
  await client.call("basic.consume-ok", basic.consume(1, name));
  client.send(basic.publish(1, name, "a"), basic.publish(1, name, "b"));
  const first = await client.message();
  client.send(basic.reject(1, first.deliveryTag, true));
  const again = await client.message();
  assert.deepEqual([again.body.toString(), again.redelivered], ["a", true]);
  client.send(basic.ack(1, again.deliveryTag));
  assert.equal((await client.message()).body.toString(), "b");
});
