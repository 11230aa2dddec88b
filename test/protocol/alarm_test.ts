// Alarms: publishers are stopped while disk or memory are short, and go on by themselves. Where the reason does not
// matter it is an operator's: the broker looks at its disk and its memory by itself, and clears what is not so.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Broker } from "../../src/mod.ts";
import { type OpenOptions, RawAmqp } from "../support/raw_amqp.ts";
import { bits, frame, HEARTBEAT, long, method, short, shortString } from "../support/raw_bytes.ts";
import { basic, CAPABILITIES, confirm, connection, exchange, queue } from "../support/raw_methods.ts";

const broker = new Broker({ memory: true, amqp: { port: 0 } });
const started = broker.start();
const clients: RawAmqp[] = [];
after(async () => {
  for (const client of clients) client.socket.destroy();
  await broker.stop();
});

const TOLD: OpenOptions = {
  properties: { capabilities: { ...CAPABILITIES.capabilities, "connection.blocked": true } },
};

async function open(options: OpenOptions = TOLD): Promise<RawAmqp> {
  await started;
  const client = await RawAmqp.open(broker.listeners[0]!.port, { channels: 2, ...options });
  clients.push(client);
  return client;
}

/** The broker has read all that was sent before, and said nothing about it: heartbeats are not answered, so by another. */
async function expectNothing(client: RawAmqp): Promise<void> {
  const witness = await open();
  await witness.expectSilence(1);
  await witness.close();
  assert.ok(!client.hasFrame);
}

test("a publisher is told and stopped from its next message on, and resumes by itself (behaviours 46)", async () => {
  const publisher = await open();
  const consumer = await open();
  await consumer.call("queue.declare-ok", queue.declare(1, "alarmed", { exclusive: true }));
  await consumer.call("basic.consume-ok", basic.consume(1, "alarmed", { noAck: true }));
  await publisher.call("confirm.select-ok", confirm.select(1));
  broker.alarms!.raise("by hand");
  await publisher.expectSilence(1);
  publisher.send(basic.publish(1, "alarmed", "held"), basic.publish(1, "alarmed", Buffer.alloc(400_000)));
  assert.equal((await publisher.reply("connection.blocked")).args.shortString(), "by hand");
  publisher.send(basic.publish(1, "alarmed", "last"), frame(HEARTBEAT, 0), basic.qos(1, 5));
  await expectNothing(publisher);
  await consumer.expectSilence(1);
  broker.alarms!.clear("by hand");
  await publisher.reply("connection.unblocked");
  const bodies = await consumer.messages(3);
  assert.deepEqual(bodies.map(({ body }) => body.length), [4, 400_000, 4]);
  const replies = [];
  for (let frame = await publisher.next(); frame?.name !== "60.11"; frame = await publisher.next()) replies.push(frame);
  assert.ok(replies.every((reply) => reply?.name === "60.80"), "nothing but acks before the qos-ok");
});

test("consumers go on and settle while an alarm holds", async () => {
  const consumer = await open();
  const name = (await consumer.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  consumer.send(basic.publish(1, name, "a"), basic.publish(1, name, "b"));
  await consumer.expectSilence(1);
  broker.alarms!.raise("also");
  await consumer.call("basic.qos-ok", basic.qos(1, 1));
  await consumer.call("basic.consume-ok", basic.consume(1, name));
  assert.equal((await consumer.message()).body.toString(), "a");
  consumer.send(basic.ack(1, 1));
  assert.equal((await consumer.message()).body.toString(), "b");
  broker.alarms!.clear("also");
  await consumer.expectSilence(1);
});

test("declaring is stopped too, in the middle of a piece, and done once afterwards (behaviours 46)", async () => {
  const declares = [queue.declare(1, "held", { exclusive: true }), exchange.declare(1, "held", "fanout")];
  for (const declare of declares) {
    const client = await open();
    broker.alarms!.raise("also");
    broker.alarms!.raise("by hand");
    client.send(basic.qos(1, 1), declare, basic.qos(1, 2));
    await client.reply("basic.qos-ok");
    assert.equal((await client.reply("connection.blocked")).args.shortString(), "also, by hand");
    await expectNothing(client);
    broker.alarms!.clear("by hand");
    await expectNothing(client);
    broker.alarms!.clear("also");
    await client.reply("connection.unblocked");
    await client.reply(declare === declares[0] ? "queue.declare-ok" : "exchange.declare-ok");
    await client.reply("basic.qos-ok");
    await client.close();
  }
});

test("a client that did not announce it is not told, and stopped all the same", async () => {
  const client = await open({});
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  broker.alarms!.raise("by an operator");
  client.send(basic.publish(1, name, "held"), basic.get(1, name, true));
  await expectNothing(client);
  broker.alarms!.clear("by an operator");
  assert.equal((await client.message()).body.toString(), "held");
});

test("a message that has begun when the alarm comes is taken whole", async () => {
  const client = await open();
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  const bytes = basic.publish(1, name, Buffer.alloc(200_000));
  const cut = basic.publishMethod(1, name).length + 22 + 131_072;
  client.send(bytes.subarray(0, cut));
  await client.expectSilence(2);
  broker.alarms!.raise("by hand");
  client.send(bytes.subarray(cut), basic.get(1, name, true));
  assert.equal((await client.message()).body.length, 200_000);
  broker.alarms!.clear("by hand");
  await client.expectSilence(2);
});

test("a blocked client that goes away leaves nothing behind, and one that is silent is not cut off", async () => {
  const [leaves, stays] = [await open({ ...TOLD, heartbeat: 1 }), await open({ ...TOLD, heartbeat: 1 })];
  broker.alarms!.raise("by hand");
  for (const client of [leaves, stays]) {
    client.send(queue.declare(1, "", { exclusive: true }));
    await client.reply("connection.blocked");
  }
  leaves.reset();
  // Three heartbeats of the broker, half a second each at least, are more than two intervals without a word of ours.
  for (let beats = 0; beats < 5; beats++) assert.equal((await stays.next())?.type, HEARTBEAT);
  broker.alarms!.clear("by hand");
  let reply = await stays.next();
  while (reply?.type === HEARTBEAT) reply = await stays.next();
  assert.equal(reply?.name, "10.61");
});

test("a broker that stops tells blocked clients too", async () => {
  const other = new Broker({ memory: true, amqp: { port: 0 } });
  await other.start();
  const client = await RawAmqp.open(other.listeners[0]!.port, { channels: 1, ...TOLD });
  other.alarms!.raise("disk");
  client.send(queue.declare(1, "never"), basic.publish(1, "never", "x"));
  await client.reply("connection.blocked");
  const stopped = other.stop();
  const reason = await client.refused();
  assert.equal(reason.code, 320);
  await stopped;
  client.socket.destroy();
});

test("too little free space on the disk is found out, without being told", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "leveret-test-"));
  const short = new Broker({ dataDir, freeDiskBytesMin: 2 ** 50, amqp: { port: 0 } });
  try {
    await short.start();
    assert.deepEqual(short.alarms!.raised, ["disk"]);
    const client = await RawAmqp.open(short.listeners[0]!.port, { channels: 1, ...TOLD });
    client.send(basic.publish(1, "nowhere", "x"));
    assert.equal((await client.reply("connection.blocked")).args.shortString(), "low on disk");
    client.socket.destroy();
  } finally {
    await short.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
});

test("too much memory in use is found out", async () => {
  const short = new Broker({ memory: true, memoryBytesMax: 1024, amqp: { port: 0 } });
  await short.start();
  assert.deepEqual(short.alarms!.raised, ["memory"]);
  await short.stop();
});

test("what is not published or declared stays possible: asking, binding, deleting, closing", async () => {
  const client = await open();
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  broker.alarms!.raise("by hand");
  await client.call("queue.bind-ok", queue.bind(1, name, "amq.fanout", ""));
  await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  await client.call("exchange.declare-ok", exchange.declare(1, "amq.fanout", "fanout", { passive: true }));
  await client.call("queue.delete-ok", queue.delete(1, name));
  client.send(connection.close());
  await client.reply("connection.close-ok");
  broker.alarms!.clear("by hand");
});

test("alarms that come and go while several publish lose nothing, double nothing and keep the order (behaviours 46)", async () => {
  const consumer = await open();
  await consumer.call("queue.declare-ok", queue.declare(1, "come-and-go", { exclusive: true }));
  await consumer.call("basic.consume-ok", basic.consume(1, "come-and-go", { noAck: true }));
  const publishers = await Promise.all([0, 1, 2].map(() => open({})));
  const each = 600;
  for (const [index, publisher] of publishers.entries()) {
    // Two channels in turn, their frames interleaved.
    for (let number = 0; number < each; number++) {
      const bytes = basic.publish(1 + number % 2, "come-and-go", `${index} ${number} ${"x".repeat(number % 500)}`);
      publisher.send(bytes.subarray(0, number));
      publisher.send(bytes.subarray(number));
    }
  }
  const next = publishers.map(() => 0);
  for (let count = 0; count < publishers.length * each; count++) {
    if (count % 90 === 0) broker.alarms!.raise("by hand");
    // Raised, it holds until nothing more comes by itself; then it is over.
    if (broker.alarms!.active && !consumer.hasFrame) broker.alarms!.clear("by hand");
    const [index, number] = (await consumer.message()).body.toString().split(" ").map(Number);
    assert.equal(number, next[index!]!++, `publisher ${index}`);
  }
  broker.alarms!.clear("by hand");
  assert.deepEqual(next, publishers.map(() => each));
  await consumer.expectSilence(1);
});

test("on a channel that is closing an alarm looks at nothing: what is malformed there is passed over as ever", async () => {
  const client = await open();
  broker.alarms!.raise("by hand");
  try {
    // The table of the declare is longer than its frame.
    const malformed = method(1, 50, 10, short(0), shortString("q"), bits(), long(100));
    client.send(basic.get(1, "no such queue"), malformed);
    const { code, level } = await client.refused();
    assert.deepEqual([code, level], [404, "channel"]);
    await client.expectSilence(2);
  } finally {
    broker.alarms!.clear("by hand");
  }
});
