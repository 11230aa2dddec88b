// Priority queues: which message is next, what comes back where, and what a restart keeps.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DiskBroker } from "../support/disk_broker.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp, RawMessage } from "../support/raw_amqp.ts";
import { octet } from "../support/raw_bytes.ts";
import { basic, channel, confirm, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const memory = new MemoryBroker();
after(() => memory.stop());

const MODE_AND_PRIORITY = 1 << 12 | 1 << 11;
const MODE = 1 << 12;

/** A persistent message: with the digit it begins with as its priority, without one where that is "-". */
function publish(name: string, body: string, priority = body.charCodeAt(0) - 0x30): Buffer {
  if (body.startsWith("-")) return basic.publish(1, name, body, { flags: MODE, properties: octet(2) });
  const properties = Buffer.concat([octet(2), octet(priority)]);
  return basic.publish(1, name, body, { flags: MODE_AND_PRIORITY, properties });
}

async function declare(client: RawAmqp, name: string, maxPriority = 9): Promise<void> {
  const args = { "x-max-priority": maxPriority };
  await client.call("queue.declare-ok", queue.declare(1, name, { durable: true, args }));
}

/** Publishes, and waits until all of them are confirmed. */
async function confirmed(client: RawAmqp, name: string, bodies: string[]): Promise<void> {
  await client.call("confirm.select-ok", confirm.select(1));
  client.send(...bodies.map((body) => publish(name, body)));
  for (let acked = 0; acked < bodies.length;) {
    const { args } = await client.reply("basic.ack");
    acked = args.longlong();
  }
}

async function ready(client: RawAmqp, name: string): Promise<number> {
  const args = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  args.shortString();
  return args.long();
}

async function get(client: RawAmqp, name: string, noAck = false): Promise<RawMessage> {
  client.send(basic.get(1, name, noAck));
  return await client.message();
}

async function drain(client: RawAmqp, name: string): Promise<string[]> {
  const bodies: string[] = [];
  while (await ready(client, name) > 0) bodies.push((await get(client, name, true)).body.toString());
  return bodies;
}

const bodies = (messages: RawMessage[]): string[] => messages.map(({ body }) => body.toString());

test("the highest priority comes first, none counts as 0, above the highest counts as that (behaviours 57)", async () => {
  const client = await memory.open();
  await declare(client, "order", 5);
  client.send(...["0a", "-b", "5c", "3d", "9e", "5f", "0g"].map((body) => publish("order", body)));
  client.send(publish("order", "5h", 255));
  assert.deepEqual(await drain(client, "order"), ["5c", "9e", "5f", "5h", "3d", "0a", "-b", "0g"]);
});

test("a queue that tells 255 priorities apart, and one that tells none (behaviours 57)", async () => {
  const client = await memory.open();
  await declare(client, "all", 255);
  await declare(client, "none", 0);
  for (const name of ["all", "none"]) {
    for (const priority of [0, 254, 255, 1]) client.send(publish(name, `of ${priority}`, priority));
  }
  assert.deepEqual(await drain(client, "all"), ["of 255", "of 254", "of 1", "of 0"]);
  assert.deepEqual(await drain(client, "none"), ["of 0", "of 254", "of 255", "of 1"]);
});

test("a highest priority that is none is refused, and another one than before (behaviours 57)", async () => {
  const client = await memory.open();
  await declare(client, "same", 5);
  for (const value of [-1, 256, "5", true]) {
    const refused = await memory.open();
    refused.send(queue.declare(1, "other", { durable: true, args: { "x-max-priority": value } }));
    const { level, code, text } = await refused.refused();
    assert.deepEqual([level, code], ["channel", 406]);
    assert.match(text, /^PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'other' in vhost '\/': /);
  }
  client.send(queue.declare(1, "same", { durable: true, args: { "x-max-priority": 6 } }));
  assert.equal((await client.refused()).code, 406);
});

test("with a prefetch, a consumer gets what is highest when it has room", async () => {
  const client = await memory.open();
  await declare(client, "prefetch");
  client.send(...["1a", "1b", "1c"].map((body) => publish("prefetch", body)));
  await client.call("basic.qos-ok", basic.qos(1, 1));
  await client.call("basic.consume-ok", basic.consume(1, "prefetch", { tag: "t" }));
  const first = await client.message();
  client.send(publish("prefetch", "9d"), basic.ack(1, first.deliveryTag));
  const second = await client.message();
  client.send(publish("prefetch", "5e"), basic.ack(1, second.deliveryTag));
  const rest: RawMessage[] = [];
  while (rest.length < 3) {
    rest.push(await client.message());
    client.send(basic.ack(1, rest.at(-1)!.deliveryTag));
  }
  assert.deepEqual(bodies([first, second, ...rest]), ["1a", "9d", "5e", "1b", "1c"]);
});

test("what is requeued comes back at its old place within its priority, flagged", async () => {
  const client = await memory.open();
  await declare(client, "requeue");
  client.send(...["1a", "7b", "7c", "1d"].map((body) => publish("requeue", body)));
  for (let count = 0; count < 4; count++) client.send(basic.get(1, "requeue"));
  const held = await client.messages(4);
  assert.deepEqual(bodies(held), ["7b", "7c", "1a", "1d"]);
  // Out of order: the last and the first go, the others come back in the order in which they came.
  client.send(basic.ack(1, held[3]!.deliveryTag), basic.reject(1, held[2]!.deliveryTag, true));
  client.send(basic.nack(1, held[1]!.deliveryTag), basic.nack(1, held[0]!.deliveryTag));
  client.send(publish("requeue", "7e"), publish("requeue", "1f"));
  assert.equal(await ready(client, "requeue"), 5);
  const again: RawMessage[] = [];
  while (again.length < 5) again.push(await get(client, "requeue", true));
  assert.deepEqual(bodies(again), ["7b", "7c", "7e", "1a", "1f"]);
  assert.deepEqual(again.map(({ redelivered }) => redelivered), [true, true, false, true, false]);
});

test("what a lost connection held comes back in its order (behaviours 1)", async () => {
  const keeper = await memory.open();
  await declare(keeper, "lost");
  keeper.send(...["2a", "8b", "2c", "8d"].map((body) => publish("lost", body)));
  const client = await memory.open();
  await client.call("basic.consume-ok", basic.consume(1, "lost"));
  assert.deepEqual(bodies(await client.messages(4)), ["8b", "8d", "2a", "2c"]);
  client.reset();
  await waitFor("four messages", async () => await ready(keeper, "lost") === 4);
  assert.deepEqual(await drain(keeper, "lost"), ["8b", "8d", "2a", "2c"]);
});

test("a purge takes every priority and leaves what is delivered; counts are those of all", async () => {
  const client = await memory.open();
  await declare(client, "purge");
  client.send(...["1a", "2b", "3c", "3d"].map((body) => publish("purge", body)));
  assert.equal(await ready(client, "purge"), 4);
  const held = await get(client, "purge");
  assert.deepEqual([held.body.toString(), held.messageCount], ["3c", 3]);
  assert.equal((await client.call("queue.purge-ok", queue.purge(1, "purge"))).long(), 3);
  client.send(basic.reject(1, held.deliveryTag, true));
  assert.deepEqual(await drain(client, "purge"), ["3c"]);
  client.send(publish("purge", "1e"));
  assert.equal((await client.call("queue.delete-ok", queue.delete(1, "purge"))).long(), 1);
});

test(
  "priorities survive a restart and a kill, settled ones stay settled (behaviours 57)",
  { timeout: 60_000 },
  async () => {
    const disk = new DiskBroker();
    try {
      let client = await disk.open();
      await declare(client, "durable");
      await confirmed(client, "durable", ["0a", "9b", "5c", "-d", "9e", "5f", "0g"]);
      for (let count = 0; count < 3; count++) client.send(basic.get(1, "durable"));
      const held = await client.messages(3);
      assert.deepEqual(bodies(held), ["9b", "9e", "5c"]);
      // Out of order, and the first one not at all.
      client.send(basic.ack(1, held[2]!.deliveryTag), basic.ack(1, held[1]!.deliveryTag));
      await client.call("channel.close-ok", channel.close(1));
      for (const again of [() => disk.restart(), () => disk.kill()]) {
        await again();
        client = await disk.open();
        assert.equal(await ready(client, "durable"), 5);
        const first = await get(client, "durable");
        assert.deepEqual([first.body.toString(), first.redelivered], ["9b", true]);
      }
      await disk.kill();
      client = await disk.open();
      await declare(client, "durable");
      await confirmed(client, "durable", ["7h"]);
      await disk.kill();
      client = await disk.open();
      assert.deepEqual(await drain(client, "durable"), ["9b", "7h", "5f", "0a", "-d", "0g"]);
    } finally {
      await disk.stop();
    }
  },
);
