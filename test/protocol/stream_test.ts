// Streams: what every consumer reads and where it begins, what it gives back, what the broker remembers of it, filters,
// limits, refusals; in memory, and on disk over restarts.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DiskBroker } from "../support/disk_broker.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp, RawMessage } from "../support/raw_amqp.ts";
import { longlong, longString, type Table } from "../support/raw_bytes.ts";
import { headersOf, type Plain, propertiesOf, withProperties } from "../support/raw_headers.ts";
import { basic, channel, confirm, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const memory = new MemoryBroker();
after(() => memory.stop());

const STREAM = { durable: true, args: { "x-queue-type": "stream" } };

/** Field values of other types than plain ones have. */
const timestamp = (seconds: number): Buffer => Buffer.concat([Buffer.from("T"), longlong(seconds)]);
const array = (...values: string[]): Buffer =>
  Buffer.concat([
    Buffer.from("A"),
    longString(Buffer.concat(values.map((value) => Buffer.concat([Buffer.from("S"), longString(value)])))),
  ]);

async function declare(client: RawAmqp, name: string, args: Table = {}): Promise<number> {
  const options = { durable: true, args: { ...STREAM.args, ...args } };
  const reader = await client.call("queue.declare-ok", queue.declare(1, name, options));
  assert.equal(reader.shortString(), name);
  return reader.long();
}

/** Publishes bodies "0", "1", ..., each with its number, and waits until all are confirmed. */
async function fill(client: RawAmqp, name: string, from: number, to: number): Promise<void> {
  const number = 9;
  await client.call("channel.open-ok", channel.open(number));
  await client.call("confirm.select-ok", confirm.select(number));
  for (let i = from; i < to; i++) client.send(basic.publish(number, name, String(i)));
  for (let acked = 0; acked < to - from;) acked = (await client.reply("basic.ack")).args.longlong();
  await client.call("channel.close-ok", channel.close(number));
}

interface Consuming {
  offset?: string | number | Uint8Array;
  tag?: string;
  prefetch?: number;
  args?: Table;
  number?: number;
}

/** A consumer on a channel that is open. */
async function consume(client: RawAmqp, name: string, options: Consuming = {}): Promise<void> {
  const { offset, tag = "", prefetch = 100, number = 1 } = options;
  await client.call("basic.qos-ok", basic.qos(number, prefetch));
  const args = { ...options.args, ...(offset === undefined ? {} : { "x-stream-offset": offset }) };
  await client.call("basic.consume-ok", basic.consume(number, name, { tag, args }));
}

const bodies = (messages: RawMessage[]): string[] => messages.map(({ body }) => body.toString());
const offsets = (messages: RawMessage[]): Plain[] => messages.map((message) => headersOf(message)["x-stream-offset"]!);
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

test("consuming takes nothing away: each consumer reads all, with offsets (behaviours 55)", async () => {
  const client = await memory.open({ channels: 2 });
  assert.equal(await declare(client, "repeated"), 0);
  await fill(client, "repeated", 0, 5);
  assert.equal(await declare(client, "repeated"), 5);
  for (const number of [1, 2, 1]) {
    await consume(client, "repeated", { offset: "first", number, tag: "reader" });
    const read = await client.messages(5);
    assert.deepEqual(bodies(read), numbers(0, 5));
    assert.deepEqual(offsets(read), [0, 1, 2, 3, 4]);
    assert.ok(read.every(({ redelivered }) => !redelivered));
    client.send(basic.ack(number, read.at(-1)!.deliveryTag, true));
    await client.call("basic.cancel-ok", basic.cancel(number, "reader"));
  }
  assert.equal(await declare(client, "repeated"), 5);
});

test("a consumer begins at first, last, next, N, -N, a time or so long ago (behaviours 55)", async () => {
  const client = await memory.open();
  await declare(client, "offsets");
  await fill(client, "offsets", 0, 10);
  const nowSeconds = Math.floor(Date.now() / 1000);
  const cases: [string | number | Uint8Array | undefined, number][] = [
    ["first", 0],
    ["last", 9],
    ["next", 10],
    [undefined, 10],
    [0, 0],
    [7, 7],
    [1000, 10],
    [-3, 7],
    [-1000, 0],
    [timestamp(nowSeconds - 3600), 0],
    [timestamp(nowSeconds + 3600), 10],
    ["1h", 0],
    ["7D", 0],
  ];
  for (const [offset, from] of cases) {
    await consume(client, "offsets", { ...(offset === undefined ? {} : { offset }), tag: "here" });
    assert.deepEqual(bodies(await client.messages(10 - from)), numbers(from, 10), String(offset));
    await client.expectSilence(1);
    // Nothing is acknowledged, so nothing is remembered of this tag.
    await client.call("basic.cancel-ok", basic.cancel(1, "here"));
  }
});

test("a consumer that is behind and one at the end get what is published (behaviours 55)", async () => {
  const [publisher, client] = [await memory.open(), await memory.open()];
  await declare(publisher, "both");
  await fill(publisher, "both", 0, 3);
  await consume(client, "both", { offset: "next", tag: "end" });
  await consume(client, "both", { offset: "first", tag: "start" });
  assert.deepEqual(bodies(await client.messages(3)), numbers(0, 3));
  await fill(publisher, "both", 3, 6);
  const read = await client.messages(6);
  for (const tag of ["end", "start"]) {
    assert.deepEqual(bodies(read.filter(({ consumerTag }) => consumerTag === tag)), numbers(3, 6));
  }
});

test("prefetch bounds what a consumer holds, acknowledgements let it go on", async () => {
  const client = await memory.open();
  await declare(client, "prefetch");
  await fill(client, "prefetch", 0, 10);
  await consume(client, "prefetch", { offset: "first", prefetch: 3 });
  const first = await client.messages(3);
  await client.expectSilence(1);
  client.send(basic.ack(1, first[1]!.deliveryTag, true));
  assert.deepEqual(bodies(await client.messages(2)), ["3", "4"]);
  await client.expectSilence(1);
});

test("what is given back comes again to that consumer alone, flagged (behaviours 55)", async () => {
  const client = await memory.open({ channels: 2 });
  await declare(client, "requeue");
  await fill(client, "requeue", 0, 4);
  await consume(client, "requeue", { offset: "first", tag: "other", number: 2 });
  await client.messages(4);
  await consume(client, "requeue", { offset: "first", tag: "one" });
  const read = await client.messages(4);
  client.send(basic.nack(1, read[2]!.deliveryTag), basic.reject(1, read[0]!.deliveryTag, true));
  const again = await client.messages(2);
  assert.deepEqual(bodies(again).sort(), ["0", "2"]);
  for (const message of again) {
    assert.deepEqual([message.consumerTag, message.redelivered], ["one", true]);
    assert.equal(String(headersOf(message)["x-stream-offset"]), message.body.toString());
  }
  const [settled, kept] = again.map(({ body }) => body.toString());
  client.send(basic.reject(1, again[0]!.deliveryTag, false), basic.recover(1, true));
  await client.reply("basic.recover-ok");
  const recovered = bodies(await client.messages(3)).sort();
  assert.deepEqual(recovered, ["1", "3", kept!].sort(), `all but ${settled}`);
  await client.expectSilence(1);
  assert.equal(await declare(client, "requeue"), 4);
});

test("the headers of a message stay as they were, beside the offset", async () => {
  const client = await memory.open();
  await declare(client, "headers");
  const headers = { text: "of its own", list: [1, "two"], nested: { deep: true } };
  client.send(
    basic.publish(1, "headers", "with", withProperties({ headers, persistent: true })),
    basic.publish(1, "headers", "without", withProperties({ persistent: true })),
    basic.publish(1, "headers", "again", withProperties({ headers: { "x-stream-offset": 77 } })),
    basic.publish(1, "headers", "bare"),
  );
  await consume(client, "headers", { offset: "first" });
  const read = await client.messages(4);
  assert.deepEqual(read.map((message) => propertiesOf(message).headers), [
    { ...headers, "x-stream-offset": 0 },
    { "x-stream-offset": 1 },
    { "x-stream-offset": 2 },
    { "x-stream-offset": 3 },
  ]);
  assert.deepEqual(read.map((message) => propertiesOf(message).persistent), [true, true, false, false]);
});

test("the broker remembers by tag how far a consumer came, without gaps (behaviours 55)", async () => {
  const client = await memory.open({ channels: 2 });
  await declare(client, "tracked");
  await fill(client, "tracked", 0, 10);
  const args = { "x-stream-automatic-offset-tracking": true };
  await consume(client, "tracked", { offset: "first", tag: "app", prefetch: 6, args });
  const read = await client.messages(6);
  // 3 is left out, so 4 will come again.
  for (const index of [0, 1, 2, 4]) client.send(basic.ack(1, read[index]!.deliveryTag));
  await client.messages(4);
  await client.call("channel.close-ok", channel.close(1));
  await client.call("channel.open-ok", channel.open(1));
  await consume(client, "tracked", { tag: "app" });
  assert.deepEqual(bodies(await client.messages(7)), numbers(3, 10));
  // Another tag begins where what comes next begins; so does one that asks for it.
  await consume(client, "tracked", { tag: "stranger", number: 2 });
  await client.call("basic.cancel-ok", basic.cancel(1, "app"));
  await consume(client, "tracked", { tag: "app", offset: "next", number: 2 });
  await client.expectSilence(2);
});

test("a filter passes what has one of its values, the rest only by flag, from the offset on (behaviours 56)", async () => {
  const client = await memory.open();
  await declare(client, "filtered");
  const values = ["apple", "pear", null, "apple,red", "plum"];
  const publish = (body: string, headers: { [key: string]: Plain }): Buffer =>
    basic.publish(1, "filtered", body, withProperties({ headers }));
  values.forEach((value, index) =>
    client.send(publish(String(index), value === null ? {} : { "x-stream-filter-value": value }))
  );
  client.send(publish("5", { kind: "fruit", size: 3 }), publish("6", { kind: "fruit", size: 4 }));
  const cases: [Table, string[], offset?: number][] = [
    [{ "x-stream-filter": "apple" }, ["0", "3"]],
    [{ "x-stream-filter": array("pear", "plum") }, ["1", "4"]],
    [{ "x-stream-filter": array("pear", "plum") }, ["4"], 2],
    [{ "x-stream-filter": array("apple", "red"), "x-filter-match-type": "all" }, ["3"]],
    [{ "x-stream-filter": "apple,red" }, ["3"]],
    [{ "x-stream-filter": "apple,red", "x-filter-match-type": "any" }, ["0", "3"]],
    [{ "x-stream-filter": "pear", "x-stream-match-unfiltered": true }, ["1", "2", "5", "6"]],
    [{ "x-stream-filter": { kind: "fruit", size: 4 } }, ["6"]],
    [{ "x-stream-filter": { kind: "fruit", size: 4 }, "x-filter-match-type": "any" }, ["5", "6"]],
    [{ "x-stream-filter": "nobody" }, []],
  ];
  for (const [args, expected, offset = 0] of cases) {
    await consume(client, "filtered", { offset, args, tag: "filter" });
    assert.deepEqual(bodies(await client.messages(expected.length)), expected, JSON.stringify(args));
    await client.expectSilence(1);
    await client.call("basic.cancel-ok", basic.cancel(1, "filter"));
  }
});

test("what streams do not do is refused in RabbitMQ's words", async () => {
  const q = "queue 's' in vhost '/'";
  const declared = (options: Parameters<typeof queue.declare>[2]): Buffer => queue.declare(1, "other", options);
  const of = (args: Table): Buffer => declared({ durable: true, args: { ...STREAM.args, ...args } });
  const qos = basic.qos(1, 10);
  const consumed = (args: Table): Buffer[] => [qos, basic.consume(1, "s", { args })];
  const cases: [Buffer[], number, string][] = [
    [[basic.get(1, "s")], 540, `basic.get not supported by stream queues ${q}`],
    [[queue.purge(1, "s")], 540, `queue.purge not supported by stream queues ${q}`],
    [[basic.consume(1, "s")], 406, `consumer prefetch count is not set for stream ${q}`],
    [[qos, basic.consume(1, "s", { noAck: true })], 540, `automatic acknowledgement not supported by stream ${q}`],
    [[qos, basic.qos(1, 10, { global: true }), basic.consume(1, "s")], 540, `${q} does not support global qos`],
    [consumed({ "x-priority": 1 }), 406, `invalid arg 'x-priority' for ${q} of queue type rabbit_stream_queue`],
    [consumed({ "x-stream-offset": "soon" }), 406, `invalid arg 'x-stream-offset' for ${q}: `],
    [consumed({ "x-stream-offset": true }), 406, `invalid arg 'x-stream-offset' for ${q}: `],
    [consumed({ "x-stream-filter": 5 }), 406, `invalid arg 'x-stream-filter' for ${q}: `],
    [[declared({ args: STREAM.args })], 406, "invalid property 'non-durable' for queue 'other' in vhost '/'"],
    [[declared({ ...STREAM, exclusive: true })], 406, "invalid property 'exclusive-owner' for queue 'other'"],
    [[declared({ ...STREAM, autoDelete: true })], 406, "invalid property 'auto-delete' for queue 'other' in"],
    [[queue.declare(1, "", STREAM)], 406, "Cannot declare a server-named queue for type rabbit_stream_queue"],
    [[of({ "x-max-age": "1w" })], 406, "invalid arg 'x-max-age' for queue 'other' in vhost '/': invalid_max_age"],
    [[of({ "x-max-length-bytes": -1 })], 406, "invalid arg 'x-max-length-bytes' for queue 'other'"],
    [[of({ "x-stream-filter-size-bytes": 5 })], 406, "Invalid value for x-stream-filter-size-bytes"],
    [[declared({ args: { "x-max-age": "1h" } })], 406, "invalid arg 'x-max-age' for queue 'other' in vhost '/' of q"],
  ];
  for (const name of ["x-message-ttl", "x-expires", "x-max-priority", "x-delivery-limit"]) {
    const text = `invalid arg '${name}' for queue 'other' in vhost '/' of queue type rabbit_stream_queue`;
    cases.push([[of({ [name]: 5 })], 406, text]);
  }
  for (const [sent, code, text] of cases) {
    const client = await memory.open();
    await declare(client, "s");
    client.send(...sent);
    let frame = await client.next();
    while (frame?.name === "60.11") frame = await client.next();
    const { args } = frame!;
    const found = [args.short(), args.shortString()] as const;
    assert.equal(found[0], code, found[1]);
    assert.ok(found[1].includes(` - ${text}`), `${found[1]}\n${text}`);
    client.socket.destroy();
  }
});

test("declared again a stream must be the same, and deleting it ends its consumers", async () => {
  const client = await memory.open();
  await declare(client, "same", { "x-max-age": "1h" });
  await consume(client, "same", { tag: "t" });
  const other = await memory.open();
  other.send(queue.declare(1, "same", { durable: true, args: { ...STREAM.args, "x-max-age": "2h" } }));
  assert.match((await other.refused()).text, /inequivalent arg 'x-max-age'/);
  const third = await memory.open();
  third.send(queue.declare(1, "same", { durable: true }));
  assert.match((await third.refused()).text, /inequivalent arg/);
  client.send(queue.delete(1, "same"));
  const cancelled = await client.reply("basic.cancel");
  assert.equal(cancelled.args.shortString(), "t");
});

test("an exclusive consumer keeps others out", async () => {
  const client = await memory.open();
  await declare(client, "alone");
  client.send(basic.qos(1, 5), basic.consume(1, "alone", { exclusive: true }), basic.consume(1, "alone"));
  await client.reply("basic.qos-ok");
  await client.reply("basic.consume-ok");
  const reason = await client.refused();
  assert.deepEqual([reason.code, reason.text.includes("in exclusive use")], [403, true]);
});

test("all that was confirmed is there after a restart and after a kill, with its offsets (behaviours 55)", async () => {
  const broker = new DiskBroker();
  try {
    let client = await broker.open();
    await declare(client, "durable");
    await fill(client, "durable", 0, 50);
    const args = { "x-stream-automatic-offset-tracking": true };
    await consume(client, "durable", { offset: "first", tag: "app", prefetch: 20, args });
    const read = await client.messages(20);
    client.send(basic.ack(1, read[9]!.deliveryTag, true));
    await client.messages(10);
    await broker.restart();
    client = await broker.open();
    assert.equal(await declare(client, "durable"), 50);
    await fill(client, "durable", 50, 60);
    await broker.kill();
    client = await broker.open();
    assert.equal(await declare(client, "durable"), 60);
    await consume(client, "durable", { tag: "app" });
    const again = await client.messages(50);
    assert.deepEqual(bodies(again), numbers(10, 60));
    assert.deepEqual(offsets(again), Array.from({ length: 50 }, (_, i) => 10 + i));
    client.send(queue.delete(1, "durable"));
    await client.reply("basic.cancel");
    await client.reply("queue.delete-ok");
    await broker.restart();
    client = await broker.open();
    assert.equal(await declare(client, "durable"), 0);
  } finally {
    await broker.stop();
  }
});

test("whole segments go when there is more than a stream may hold; readers go on behind them (behaviours 55)", async () => {
  const broker = new DiskBroker();
  try {
    let client = await broker.open();
    const args = { "x-max-length-bytes": 50_000, "x-stream-max-segment-size-bytes": 20_000 };
    await declare(client, "limited", args);
    const body = "x".repeat(1000);
    await client.call("confirm.select-ok", confirm.select(1));
    for (let i = 0; i < 300; i++) client.send(basic.publish(1, "limited", body));
    for (let acked = 0; acked < 300;) acked = (await client.reply("basic.ack")).args.longlong();
    const count = await declare(client, "limited", args);
    assert.ok(count >= 18 && count <= 70, `${count}`);
    await broker.restart();
    client = await broker.open();
    assert.equal(await declare(client, "limited", args), count);
    await consume(client, "limited", { offset: 0 });
    const read = await client.messages(count);
    assert.deepEqual(offsets(read), Array.from({ length: count }, (_, i) => 300 - count + i));
  } finally {
    await broker.stop();
  }
});

test("a slow reader holds nobody up, and reads all of a large stream", async () => {
  const [publisher, slow, fast] = [await memory.open(), await memory.open(), await memory.open()];
  await declare(publisher, "large");
  const body = "y".repeat(10_000);
  for (let i = 0; i < 500; i++) publisher.send(basic.publish(1, "large", body));
  await waitFor("all messages", async () => await declare(publisher, "large") === 500);
  await consume(slow, "large", { offset: "first", prefetch: 1 });
  const [first] = await slow.messages(1);
  await consume(fast, "large", { offset: "first", prefetch: 1000 });
  assert.equal((await fast.messages(500)).length, 500);
  slow.send(basic.ack(1, first!.deliveryTag));
  assert.deepEqual(offsets(await slow.messages(1)), [1]);
});
