// Times to live: of messages, by their queue and by themselves, and of queues that nobody uses.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DiskBroker } from "../support/disk_broker.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import type { Table } from "../support/raw_bytes.ts";
import { headersOf, withProperties } from "../support/raw_headers.ts";
import { basic, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

const LONG = "60000";

async function declare(client: RawAmqp, name: string, args: Table = {}, durable = false): Promise<void> {
  await client.call("queue.declare-ok", queue.declare(1, name, { args, durable }));
}

/** Declares a queue whose dead letters come to this client: nobody looks at the queue itself. */
async function watched(client: RawAmqp, name: string, args: Table = {}): Promise<void> {
  const to = `${name}-dead`;
  await declare(client, to);
  await declare(client, name, { ...args, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": to });
  await client.call("basic.consume-ok", basic.consume(1, to, { tag: to, noAck: true }));
}

const expiring = (expiration: string) => withProperties({ expiration });

async function count(client: RawAmqp, name: string): Promise<number> {
  const args = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  args.shortString();
  return args.long();
}

/** Whether a queue is there; asked on a connection of its own. */
async function exists(name: string): Promise<boolean> {
  const client = await broker.open();
  client.send(queue.declare(1, name, { passive: true }));
  const reply = await client.next();
  client.reset();
  return reply?.name === "50.11";
}

test("the queue's time and the message's own both run, the shorter ends it, with nobody looking (behaviours 20)", async () => {
  const client = await broker.open();
  await watched(client, "own", { "x-message-ttl": 60_000 });
  await watched(client, "queue's", { "x-message-ttl": 1 });
  client.send(basic.publish(1, "own", "own", expiring("5")));
  const own = await client.message();
  assert.deepEqual([own.body.toString(), headersOf(own)["x-first-death-reason"]], ["own", "expired"]);
  client.send(basic.publish(1, "queue's", "queue's", expiring(LONG)));
  assert.equal((await client.message()).body.toString(), "queue's");
});

test("what expires behind one that lives longer goes when it comes to the head, once (behaviours 20)", async () => {
  const client = await broker.open();
  await watched(client, "mixed");
  client.send(basic.publish(1, "mixed", "long", expiring(LONG)));
  client.send(basic.publish(1, "mixed", "short", expiring("1")), basic.publish(1, "mixed", "shorter", expiring("0")));
  // Another queue's message expires later than these: they had their time.
  await watched(client, "mixed-clock");
  client.send(basic.publish(1, "mixed-clock", "tick", expiring("20")));
  assert.equal((await client.message()).body.toString(), "tick");
  assert.equal(await count(client, "mixed"), 3);
  client.send(basic.get(1, "mixed", true));
  assert.equal((await client.message()).body.toString(), "long");
  assert.deepEqual((await client.messages(2)).map(({ body }) => body.toString()), ["short", "shorter"]);
  assert.equal(await count(client, "mixed"), 0);
  await client.expectSilence(1);
});

test("time counts from publish: what is given back too late expires (behaviours 21)", async () => {
  const client = await broker.open();
  await watched(client, "back", { "x-message-ttl": 30 });
  client.send(basic.publish(1, "back", "late"), basic.get(1, "back"));
  const held = await client.message();
  assert.equal(held.by, "get");
  await watched(client, "back-clock");
  client.send(basic.publish(1, "back-clock", "tick", expiring("60")));
  assert.equal((await client.message()).body.toString(), "tick", "what is out does not expire");
  client.send(basic.reject(1, held.deliveryTag, true));
  const dead = await client.message();
  assert.deepEqual([dead.by, dead.body.toString()], ["deliver", "late"]);
});

test("a time of 0 reaches who waits, and nobody else (behaviours 20)", async () => {
  const client = await broker.open();
  await watched(client, "at-once", { "x-message-ttl": 0 });
  client.send(basic.publish(1, "at-once", "nobody"));
  assert.equal((await client.message()).routingKey, "at-once-dead");
  await client.call("basic.consume-ok", basic.consume(1, "at-once", { tag: "who waits", noAck: true }));
  for (let index = 0; index < 50; index++) {
    client.send(basic.publish(1, "at-once", `${index}`));
    const message = await client.message();
    assert.deepEqual([message.consumerTag, message.body.toString()], ["who waits", `${index}`]);
  }
});

test("an expiration must be a whole number of milliseconds", async () => {
  const client = await broker.open();
  await declare(client, "odd-time");
  client.send(basic.publish(1, "odd-time", "x", expiring("soon")));
  assert.equal((await client.refused()).code, 406);
});

test("an unused queue goes after its time, one with consumers does not (behaviours 22)", async () => {
  const client = await broker.open();
  const args = { "x-expires": 40 };
  await declare(client, "unused", args);
  await client.call("queue.declare-ok", queue.declare(1, "used", { args }), basic.consume(1, "used", { tag: "tag" }));
  await client.reply("basic.consume-ok");
  await waitFor("end of the unused queue", async () => !(await exists("unused")));
  assert.ok(await exists("used"));
  await client.call("basic.cancel-ok", basic.cancel(1, "tag"));
  await waitFor("end of the queue that is used no more", async () => !(await exists("used")));
});

test("get and declare start the clock of an unused queue again (behaviours 22)", async () => {
  const client = await broker.open();
  const args = { "x-expires": 1000 };
  await declare(client, "fetched", args);
  await declare(client, "declared", args);
  await declare(client, "left", args);
  // Used all the time while another one ends.
  while (await exists("left")) {
    client.send(basic.get(1, "fetched"));
    await client.reply("basic.get-empty");
    await declare(client, "declared", args);
  }
  assert.ok(await exists("fetched"));
  assert.ok(await exists("declared"));
});

test("times go on after a restart, with nobody looking (behaviours 20, 22)", async () => {
  const disk = new DiskBroker();
  try {
    let client = await disk.open();
    await declare(client, "dead", {}, true);
    const args = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" };
    await declare(client, "queue's", { ...args, "x-message-ttl": 300 }, true);
    await declare(client, "own", args, true);
    await declare(client, "unused", { "x-expires": 300 }, true);
    client.send(basic.publish(1, "queue's", "1", withProperties({ persistent: true })));
    client.send(basic.publish(1, "own", "2", withProperties({ persistent: true, expiration: "300" })));
    await client.expectSilence(1);
    await disk.restart();
    client = await disk.open();
    await client.call("basic.consume-ok", basic.consume(1, "dead", { noAck: true }));
    const bodies = (await client.messages(2)).map(({ body }) => body.toString()).sort();
    assert.deepEqual(bodies, ["1", "2"]);
    await waitFor("end of the unused queue", async () => {
      const asker = await disk.open();
      asker.send(queue.declare(1, "unused", { passive: true }));
      return (await asker.next())?.name === "20.40";
    });
  } finally {
    await disk.stop();
  }
});
