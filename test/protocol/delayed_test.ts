// Exchanges of type x-delayed-message: what they hold back, for how long, where it goes then, and what a restart keeps.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { DiskBroker } from "../support/disk_broker.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp, RawMessage } from "../support/raw_amqp.ts";
import { long, longString, octet, shortString, type Table, table } from "../support/raw_bytes.ts";
import { basic, confirm, exchange, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const memory = new MemoryBroker();
after(() => memory.stop());

/** Starts several brokers. */
const SLOW = { timeout: 60_000 };
const HOUR = 3_600_000;
const HEADERS_AND_MODE = 1 << 13 | 1 << 12;

function publish(source: string, key: string, body: string, headers: Table | Uint8Array, mandatory = false): Buffer {
  const properties = Buffer.concat([headers instanceof Uint8Array ? headers : table(headers as Table), octet(2)]);
  return basic.publish(1, key, body, { exchange: source, mandatory, flags: HEADERS_AND_MODE, properties });
}

async function declare(client: RawAmqp, name: string, type: string, args: Table = {}): Promise<void> {
  const options = { durable: true, args: { "x-delayed-type": type, ...args } };
  await client.call("exchange.declare-ok", exchange.declare(1, name, "x-delayed-message", options));
}

/** A durable queue, bound. */
async function bound(client: RawAmqp, name: string, source: string, key = ""): Promise<void> {
  await client.call("queue.declare-ok", queue.declare(1, name, { durable: true }));
  await client.call("queue.bind-ok", queue.bind(1, name, source, key));
}

async function ready(client: RawAmqp, name: string): Promise<number> {
  const args = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  args.shortString();
  return args.long();
}

/** Waits until so many are there, and takes them. */
async function arrived(client: RawAmqp, name: string, count: number): Promise<RawMessage[]> {
  await waitFor(`${count} messages in ${name}`, async () => await ready(client, name) >= count);
  for (let index = 0; index < count; index++) client.send(basic.get(1, name, true));
  return await client.messages(count);
}

async function confirmed(client: RawAmqp, ...messages: Buffer[]): Promise<void> {
  await client.call("confirm.select-ok", confirm.select(1));
  client.send(...messages);
  for (let acked = 0; acked < messages.length;) acked = (await client.reply("basic.ack")).args.longlong();
}

const bodies = (messages: RawMessage[]): string[] => messages.map(({ body }) => body.toString());

/** The value of a header that is a 64-bit integer. */
function integerHeader({ properties }: RawMessage, name: string): bigint {
  const at = properties.indexOf(shortString(name)) + 1 + name.length;
  assert.equal(properties.toString("latin1", at, at + 1), "l");
  return properties.readBigInt64BE(at + 1);
}

test("a delayed exchange needs the type that it routes by", async () => {
  const refused: [Table, string][] = [
    [{}, "Invalid argument, 'x-delayed-type' must be an existing exchange type"],
    [{ "x-delayed-type": 5 }, "Invalid argument, 'x-delayed-type' must be an existing exchange type"],
    [
      { "x-delayed-type": "x-delayed-message" },
      "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'",
    ],
    [{ "x-delayed-type": "strange" }, "unknown exchange type 'strange'"],
  ];
  for (const [args, why] of refused) {
    const client = await memory.open();
    client.send(exchange.declare(1, "refused", "x-delayed-message", { args }));
    const { level, code, text } = await client.refused();
    assert.deepEqual([level, code, text], ["channel", 406, `PRECONDITION_FAILED - ${why}`]);
  }
  const client = await memory.open();
  await declare(client, "typed", "direct");
  await declare(client, "typed", "direct");
  client.send(
    exchange.declare(1, "typed", "x-delayed-message", { durable: true, args: { "x-delayed-type": "topic" } }),
  );
  assert.equal((await client.refused()).code, 406);
});

test("messages come in the order in which they are due (behaviours 58)", async () => {
  const client = await memory.open();
  await declare(client, "order", "direct");
  await bound(client, "order", "order", "k");
  await client.call("basic.consume-ok", basic.consume(1, "order", { noAck: true }));
  client.send(
    publish("order", "k", "third", { "x-delay": 150 }),
    publish("order", "k", "first", { "x-delay": 50 }),
    publish("order", "k", "second", { "x-delay": 100 }),
    publish("order", "k", "also third", { "x-delay": 150 }),
    publish("order", "elsewhere", "nowhere", { "x-delay": 60 }),
  );
  assert.deepEqual(bodies(await client.messages(4)), ["first", "second", "third", "also third"]);
});

test("a released message has its delay negated and no x-death, and else is as it was (behaviours 58)", async () => {
  const client = await memory.open();
  await declare(client, "header", "fanout");
  await bound(client, "header", "header");
  client.send(publish("header", "key", "body", { a: "b", "x-delay": 20 }));
  const [message] = await arrived(client, "header", 1);
  assert.equal(integerHeader(message!, "x-delay"), -20n);
  const { properties, exchange: source, routingKey, redelivered } = message!;
  assert.deepEqual([source, routingKey, redelivered], ["header", "key", false]);
  assert.equal(properties.includes("x-death"), false);
  assert.ok(properties.includes(Buffer.concat([shortString("a"), Buffer.from("S"), longString("b")])));
});

test("without a delay, or with one that is none, a message does not wait (behaviours 58)", async () => {
  const client = await memory.open();
  await declare(client, "at-once", "direct");
  await bound(client, "at-once", "at-once", "k");
  client.send(
    basic.publish(1, "k", "no headers", { exchange: "at-once" }),
    publish("at-once", "k", "none", {}),
    publish("at-once", "k", "zero", { "x-delay": 0 }),
    publish("at-once", "k", "negative", { "x-delay": -5 }),
    publish("at-once", "k", "no number", { "x-delay": "soon" }),
    publish("at-once", "k", "too long", { "x-delay": "4294967296" }),
    publish("at-once", "k", "waits", { "x-delay": HOUR }),
  );
  assert.equal(await ready(client, "at-once"), 6);
});

test("what is held back is confirmed, and not returned though mandatory", async () => {
  const client = await memory.open();
  await declare(client, "mandatory", "direct");
  await confirmed(client, publish("mandatory", "to nobody", "m", { "x-delay": HOUR }, true));
  client.send(publish("mandatory", "to nobody", "at once", {}, true));
  assert.equal((await client.message()).replyCode, 312);
});

test("the inner type says where a message goes, by the bindings that there are when it is due", async () => {
  const client = await memory.open();
  await declare(client, "inner", "topic");
  await bound(client, "inner-before", "inner", "a.*");
  client.send(publish("inner", "a.b", "m", { "x-delay": 300 }));
  await client.call("queue.unbind-ok", queue.unbind(1, "inner-before", "inner", "a.*"));
  await bound(client, "inner-after", "inner", "#.b");
  await bound(client, "inner-never", "inner", "b.#");
  assert.deepEqual(bodies(await arrived(client, "inner-after", 1)), ["m"]);
  assert.deepEqual([await ready(client, "inner-before"), await ready(client, "inner-never")], [0, 0]);
});

test("CC and BCC are routed by when the time has come, BCC stays hidden (behaviours 32)", async () => {
  const client = await memory.open();
  await declare(client, "copies", "direct");
  for (const name of ["one", "two", "three"]) await bound(client, `copies-${name}`, "copies", name);
  const list = (name: string, key: string): Buffer => {
    const items = Buffer.concat([Buffer.from("S"), longString(key)]);
    return Buffer.concat([shortString(name), Buffer.from("A"), long(items.length), items]);
  };
  const delay = table({ "x-delay": 20 }).subarray(4);
  const headers = longString(Buffer.concat([list("CC", "two"), delay, list("BCC", "three")]));
  client.send(publish("copies", "one", "m", headers));
  for (const name of ["one", "two", "three"]) {
    const [message] = await arrived(client, `copies-${name}`, 1);
    assert.equal(message!.routingKey, "one");
    assert.ok(message!.properties.includes("two"));
    assert.equal(message!.properties.includes("three"), false);
    assert.equal(message!.properties.includes("x-delayed"), false);
  }
});

test("exchanges may lead to one that delays, and on to another, which holds nothing twice", async () => {
  const client = await memory.open();
  await client.call("exchange.declare-ok", exchange.declare(1, "chain-in", "fanout"));
  await declare(client, "chain-1", "fanout");
  await declare(client, "chain-2", "direct");
  await client.call("exchange.bind-ok", exchange.bind(1, "chain-1", "chain-in", ""));
  await client.call("exchange.bind-ok", exchange.bind(1, "chain-2", "chain-1", ""));
  await bound(client, "chain-direct", "chain-in");
  await bound(client, "chain-out", "chain-2", "k");
  client.send(publish("chain-in", "k", "m", { "x-delay": 20 }));
  assert.deepEqual(bodies(await arrived(client, "chain-direct", 1)), ["m"]);
  const [message] = await arrived(client, "chain-out", 1);
  assert.equal(integerHeader(message!, "x-delay"), -20n);
});

test("a delayed exchange that knows duplicates lets its own message pass when it is due", async () => {
  const client = await memory.open();
  const args = { "x-message-deduplication": true, "x-cache-size": 10 };
  await declare(client, "once", "fanout", args);
  await bound(client, "once", "once");
  const message = (body: string) => publish("once", "", body, { "x-delay": 20, "x-deduplication-header": "same" });
  client.send(message("a"), message("b"));
  assert.deepEqual(bodies(await arrived(client, "once", 1)), ["a"]);
  client.send(publish("once", "", "last", { "x-delay": 20 }));
  assert.deepEqual(bodies(await arrived(client, "once", 1)), ["last"]);
});

test("a deleted exchange takes with it what it holds; nobody gets at it by a queue (behaviours 58)", SLOW, async () => {
  const disk = new DiskBroker();
  try {
    const client = await disk.open();
    await declare(client, "gone", "direct");
    await bound(client, "gone", "gone", "k");
    await confirmed(
      await disk.open(),
      publish("gone", "k", "m", { "x-delay": 1000 }),
      publish("gone", "k", "n", { "x-delay": 1 }),
    );
    assert.deepEqual(bodies(await arrived(client, "gone", 1)), ["n"]);
    const directories = () => readdirSync(join(disk.dataDir, "queues")).length;
    assert.equal(directories(), 2);
    await client.call("exchange.delete-ok", exchange.delete(1, "gone"));
    await waitFor("end of the directory", () => directories() === 1);
    await declare(client, "gone", "direct");
    await client.call("queue.bind-ok", queue.bind(1, "gone", "gone", "k"));
    // Due later than what went: had that stayed, it would come first.
    client.send(publish("gone", "k", "new", { "x-delay": 1100 }));
    assert.deepEqual(bodies(await arrived(client, "gone", 1)), ["new"]);
    client.send(queue.declare(1, "amq.delayed.gone"));
    assert.equal((await client.refused()).code, 403);
  } finally {
    await disk.stop();
  }
});

test("what is held back survives a restart and a kill, and comes once (behaviours 58)", SLOW, async () => {
  const disk = new DiskBroker();
  try {
    let client = await disk.open();
    await declare(client, "durable", "topic");
    await bound(client, "durable", "durable", "a.#");
    await confirmed(
      client,
      publish("durable", "a.b", "third", { "x-delay": 1200 }),
      publish("durable", "a.b", "second", { "x-delay": 600 }),
      publish("durable", "a.b", "far", { "x-delay": HOUR }),
      publish("durable", "a", "first", {}),
    );
    for (const again of [() => disk.kill(), () => disk.restart(), () => disk.restart()]) await again();
    client = await disk.open();
    assert.deepEqual(bodies(await arrived(client, "durable", 3)), ["first", "second", "third"]);
    await confirmed(client, publish("durable", "a.c", "fourth", { "x-delay": 30 }));
    const [message] = await arrived(client, "durable", 1);
    assert.equal(integerHeader(message!, "x-delay"), -30n);
    await disk.restart();
    client = await disk.open();
    // A queue declared now must not get the id, and with it the messages, of the exchange.
    await client.call("queue.declare-ok", queue.declare(1, "later", { durable: true }));
    assert.deepEqual([await ready(client, "later"), await ready(client, "durable")], [0, 0]);
    await confirmed(client, publish("durable", "a", "fifth", { "x-delay": 30 }));
    assert.deepEqual(bodies(await arrived(client, "durable", 1)), ["fifth"]);
  } finally {
    await disk.stop();
  }
});

test("a transient delayed exchange delays too, and leaves no files", async () => {
  const disk = new DiskBroker();
  try {
    const client = await disk.open();
    const args = { "x-delayed-type": "fanout" };
    await client.call("exchange.declare-ok", exchange.declare(1, "transient", "x-delayed-message", { args }));
    await client.call("queue.declare-ok", queue.declare(1, "transient"));
    await client.call("queue.bind-ok", queue.bind(1, "transient", "transient", ""));
    client.send(publish("transient", "", "m", { "x-delay": 20 }));
    assert.deepEqual(bodies(await arrived(client, "transient", 1)), ["m"]);
    assert.deepEqual(readdirSync(join(disk.dataDir, "queues")), []);
  } finally {
    await disk.stop();
  }
});
