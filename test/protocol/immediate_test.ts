// basic.publish with the bit `immediate`.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import { basic, confirm, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function withQueue() {
  const client = await broker.open({ channels: 2 });
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  await client.call("confirm.select-ok", confirm.select(1));
  const returns = async (key = name, options = {}): Promise<number> => {
    client.send(basic.publish(1, key, "at once", { immediate: true, ...options }));
    const message = await client.message();
    assert.deepEqual([message.by, message.routingKey, message.body.toString()], ["return", key, "at once"]);
    await client.reply("basic.ack");
    return message.replyCode;
  };
  return { client, name, returns };
}

test("immediate without a consumer that is ready comes back with 313, and is acked (behaviours 12)", async () => {
  const { client, name, returns } = await withQueue();
  assert.equal(await returns(), 313, "no consumer");
  assert.equal(await returns("nowhere"), 313, "no queue");
  assert.equal(await returns("nowhere", { mandatory: true }), 312, "no queue, and mandatory");
  await client.call("basic.get-empty", basic.get(1, name));
  await client.call("basic.qos-ok", basic.qos(2, 1));
  await client.call("basic.consume-ok", basic.consume(2, name));
  client.send(basic.publish(1, name, "taken", { immediate: true }));
  const replies = [await client.message(), await client.reply("basic.ack")];
  assert.equal(replies.length, 2);
  assert.equal(await returns(), 313, "the consumer's prefetch is used up");
  client.send(basic.ack(2, 1));
  await client.expectSilence(2);
  client.send(basic.publish(1, name, "taken again", { immediate: true }));
  assert.equal((await client.message()).body.toString(), "taken again");
});

test("immediate messages in one piece are all delivered as long as the consumer takes them (behaviours 12)", async () => {
  const { client, name } = await withQueue();
  await client.call("basic.qos-ok", basic.qos(2, 3));
  await client.call("basic.consume-ok", basic.consume(2, name));
  client.send(...Array.from({ length: 5 }, (_, index) => basic.publish(2, name, `${index}`, { immediate: true })));
  const messages = await client.messages(5);
  const shown = messages.map(({ by, body }) => `${by} ${body}`);
  assert.deepEqual(shown.sort(), ["deliver 0", "deliver 1", "deliver 2", "return 3", "return 4"]);
});

test("an immediate message goes to those queues alone that deliver it at once (behaviours 12)", async () => {
  const { client, name } = await withQueue();
  const idle = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  for (const bound of [name, idle]) await client.call("queue.bind-ok", queue.bind(1, bound, "amq.direct", "at-once"));
  await client.call("basic.consume-ok", basic.consume(2, name, { noAck: true }));
  client.send(basic.publish(2, "at-once", "x", { exchange: "amq.direct", immediate: true }));
  assert.equal((await client.message()).by, "deliver");
  await client.call("basic.get-empty", basic.get(1, idle));
});
