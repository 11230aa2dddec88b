// Class queue: declare, bind, unbind, purge, delete; exclusive and auto-delete queues, and when they go.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { basic, channel, exchange, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function refusal(bytes: Buffer): Promise<[string, number]> {
  const client = await broker.open();
  client.send(bytes);
  const { level, code } = await client.refused();
  await client.close();
  return [level, code];
}

async function counts(client: RawAmqp, name: string): Promise<{ messages: number; consumers: number }> {
  const args = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  assert.equal(args.shortString(), name);
  return { messages: args.long(), consumers: args.long() };
}

/** Waits until a queue is gone; the broker learns of a lost connection in its own time. */
async function gone(name: string): Promise<void> {
  await waitFor(`end of queue ${name}`, async () => {
    const client = await broker.open();
    client.send(queue.declare(1, name, { passive: true }));
    const reply = await client.next();
    client.reset();
    return reply?.name === "20.40";
  });
}

test("a queue without a name gets one of the broker's, each another", async () => {
  const client = await broker.open();
  const name = async () =>
    (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  const [a, b] = [await name(), await name()];
  assert.match(a!, /^amq\.gen-.{16,}/);
  assert.notEqual(a, b);
  await client.call("queue.declare-ok", queue.declare(1, a!, { exclusive: true }));
});

test("an empty name is the queue declared last on the channel (behaviours 28)", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "earlier", { exclusive: true }));
  await client.call("queue.declare-ok", queue.declare(1, "last", { exclusive: true }));
  await client.call("queue.bind-ok", queue.bind(1, "", "amq.direct", ""));
  client.send(basic.publish(1, "last", "by its own name", { exchange: "amq.direct" }));
  client.send(basic.get(1, "", true));
  assert.equal((await client.message()).body.toString(), "by its own name");
  await client.call("queue.unbind-ok", queue.unbind(1, "", "amq.direct", ""));
  client.send(basic.publish(1, "last", "unbound", { exchange: "amq.direct" }));
  assert.deepEqual(await counts(client, "last"), { messages: 0, consumers: 0 });
  await client.call("basic.consume-ok", basic.consume(1, ""));
  assert.deepEqual(await counts(client, "last"), { messages: 0, consumers: 1 });
  await client.call("queue.purge-ok", queue.purge(1, ""));
  await client.call("queue.declare-ok", queue.declare(1, "earlier", { exclusive: true }));
  await client.call("queue.delete-ok", queue.delete(1, ""));
  assert.deepEqual(await counts(client, "last"), { messages: 0, consumers: 1 });
});

test("an empty name without a queue declared before is a 404", async () => {
  const empty = [
    queue.bind(1, "", "amq.direct", "k"),
    queue.unbind(1, "", "amq.direct", "k"),
    queue.purge(1, ""),
    queue.delete(1, ""),
    queue.declare(1, "", { passive: true }),
    basic.get(1, ""),
    basic.consume(1, ""),
  ];
  for (const bytes of empty) assert.deepEqual(await refusal(bytes), ["channel", 404]);
});

test("names that begin with amq. cannot be declared (behaviours 26)", async () => {
  assert.deepEqual(await refusal(queue.declare(1, "amq.mine")), ["channel", 403]);
  assert.deepEqual(await refusal(queue.declare(1, "amq.gen-guessed")), ["channel", 403]);
});

test("a redeclaration must be the same in everything (behaviours 34)", async () => {
  const client = await broker.open();
  const options = { durable: true, args: { "x-note": 1 } };
  await client.call("queue.declare-ok", queue.declare(1, "same", options));
  await client.call("queue.declare-ok", queue.declare(1, "same", options));
  assert.deepEqual(await refusal(queue.declare(1, "same", { ...options, durable: false })), ["channel", 406]);
  assert.deepEqual(await refusal(queue.declare(1, "same", { ...options, autoDelete: true })), ["channel", 406]);
  assert.deepEqual(await refusal(queue.declare(1, "same", { ...options, args: { "x-note": 2 } })), ["channel", 406]);
  assert.deepEqual(await refusal(queue.declare(1, "same", { durable: true })), ["channel", 406]);
  assert.deepEqual(await refusal(queue.declare(1, "same", { ...options, exclusive: true })), ["channel", 405]);
  await client.call("queue.delete-ok", queue.delete(1, "same"));
});

test("a queue type left out is classic, whichever way it was declared first", async () => {
  const client = await broker.open();
  const classic = { args: { "x-queue-type": "classic" } };
  await client.call("queue.declare-ok", queue.declare(1, "typed", classic));
  await client.call("queue.declare-ok", queue.declare(1, "typed"));
  await client.call("queue.declare-ok", queue.declare(1, "untyped"));
  await client.call("queue.declare-ok", queue.declare(1, "untyped", classic));
  await client.call("queue.delete-ok", queue.delete(1, "typed"));
  await client.call("queue.delete-ok", queue.delete(1, "untyped"));
  assert.deepEqual(await refusal(queue.declare(1, "odd", { args: { "x-queue-type": "odd" } })), ["channel", 406]);
});

test("an exclusive queue is locked to its connection: 405 for all others, who may publish (behaviours 24)", async () => {
  const owner = await broker.open();
  await owner.call("queue.declare-ok", queue.declare(1, "locked", { exclusive: true, durable: true }));
  await owner.call("queue.declare-ok", queue.declare(1, "locked", { exclusive: true, durable: true }));
  const locked = [
    queue.declare(1, "locked", { exclusive: true, durable: true }),
    queue.declare(1, "locked", { durable: true }),
    queue.declare(1, "locked", { passive: true }),
    queue.bind(1, "locked", "amq.direct", "k"),
    queue.unbind(1, "locked", "amq.direct", "k"),
    queue.purge(1, "locked"),
    queue.delete(1, "locked"),
    basic.get(1, "locked"),
    basic.consume(1, "locked"),
  ];
  for (const bytes of locked) assert.deepEqual(await refusal(bytes), ["channel", 405]);
  const publisher = await broker.open();
  publisher.send(basic.publish(1, "locked", "from elsewhere"));
  await publisher.close();
  owner.send(basic.get(1, "locked", true));
  assert.equal((await owner.message()).body.toString(), "from elsewhere");
  owner.send(queue.declare(1, "locked", { durable: true }));
  assert.equal((await owner.refused()).code, 405, "its owner cannot make it a shared one");
});

test("exclusive queues go with their connection, however it ends, even with many of them (behaviours 24)", async () => {
  const ends: [string, (client: RawAmqp) => unknown][] = [
    ["close", (client) => client.close()],
    ["reset", (client) => client.reset()],
    ["end", (client) => client.socket.end()],
    ["violation", (client) => client.send(Buffer.from([9, 9, 9, 9, 9, 9, 9, 9]))],
  ];
  for (const [name, end] of ends) {
    const client = await broker.open();
    for (let index = 0; index < 200; index++) client.send(queue.declare(1, `${name}-${index}`, { exclusive: true }));
    for (let index = 0; index < 200; index++) await client.reply("queue.declare-ok");
    await end(client);
    await gone(`${name}-0`);
    await gone(`${name}-199`);
  }
});

test("an auto-delete queue goes with its last consumer: cancelled, channel closed or connection lost (behaviours 23)", async () => {
  const keeper = await broker.open();
  const ends: [string, (client: RawAmqp) => unknown][] = [
    ["cancel", (client) => client.call("basic.cancel-ok", basic.cancel(1, "tag"))],
    ["channel", (client) => client.call("channel.close-ok", channel.close(1))],
    ["lost", (client) => client.reset()],
  ];
  for (const [how, end] of ends) {
    const name = `auto-${how}`;
    await keeper.call("queue.declare-ok", queue.declare(1, name, { autoDelete: true }));
    keeper.send(basic.publish(1, name, "unacked"));
    const client = await broker.open();
    await client.call("basic.consume-ok", basic.consume(1, name, { tag: "tag" }));
    await client.message();
    const other = await broker.open();
    await other.call("basic.consume-ok", basic.consume(1, name, { tag: "other" }));
    await end(client);
    await waitFor("one consumer", async () => (await counts(keeper, name)).consumers === 1);
    await other.call("channel.close-ok", channel.close(1)).catch(async () => {
      // What the first one held may come to it before.
      while ((await other.next())?.name !== "20.41");
    });
    await gone(name);
  }
});

test("the end of a connection does not touch a queue that has the name of an exclusive one that went before", async () => {
  const client = await broker.open();
  for (let round = 0; round < 3; round++) {
    await client.call("queue.declare-ok", queue.declare(1, "again", { exclusive: true, autoDelete: true }));
    await client.call("basic.consume-ok", basic.consume(1, "again", { tag: "tag" }));
    await client.call("basic.cancel-ok", basic.cancel(1, "tag"));
  }
  const heir = await broker.open();
  await heir.call("queue.declare-ok", queue.declare(1, "again"));
  await client.close();
  assert.deepEqual(await counts(heir, "again"), { messages: 0, consumers: 0 });
  await heir.call("queue.delete-ok", queue.delete(1, "again"));
});

test("delete counts what went, and minds if-unused and if-empty", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "delete"));
  await client.call("basic.consume-ok", basic.consume(1, "delete", { tag: "tag" }));
  assert.deepEqual(await refusal(queue.delete(1, "delete", { ifUnused: true })), ["channel", 406]);
  await client.call("basic.cancel-ok", basic.cancel(1, "tag"));
  client.send(basic.publish(1, "delete", "a"), basic.publish(1, "delete", "b"));
  await client.expectSilence(1);
  assert.deepEqual(await refusal(queue.delete(1, "delete", { ifEmpty: true })), ["channel", 406]);
  assert.equal((await client.call("queue.delete-ok", queue.delete(1, "delete"))).long(), 2);
  assert.equal((await client.call("queue.delete-ok", queue.delete(1, "delete"))).long(), 0, "again");
});

test("purge takes what is ready and leaves what is delivered", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "purge", { exclusive: true }));
  client.send(...["a", "b", "c"].map((body) => basic.publish(1, "purge", body)), basic.get(1, "purge"));
  const held = await client.message();
  assert.equal((await client.call("queue.purge-ok", queue.purge(1, "purge"))).long(), 2);
  client.send(basic.reject(1, held.deliveryTag, true), basic.get(1, "purge", true));
  const back = await client.message();
  assert.deepEqual([back.body.toString(), back.redelivered, back.messageCount], ["a", true, 0]);
});

test("consumers of a deleted queue are told, if they understand it", async () => {
  const told = await broker.open();
  const deaf = await broker.open({ properties: {} });
  await told.call("queue.declare-ok", queue.declare(1, "told"));
  await told.call("basic.consume-ok", basic.consume(1, "told", { tag: "mine" }));
  await deaf.call("basic.consume-ok", basic.consume(1, "told", { tag: "deaf" }));
  const deleter = await broker.open();
  await deleter.call("queue.delete-ok", queue.delete(1, "told"));
  assert.equal((await told.reply("basic.cancel")).args.shortString(), "mine");
  await deaf.expectSilence(1);
  await told.call("basic.cancel-ok", basic.cancel(1, "mine"));
});

test("what a deleted queue delivered can still be settled", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "settled-later"));
  client.send(basic.publish(1, "settled-later", "a"), basic.publish(1, "settled-later", "b"));
  client.send(basic.get(1, "settled-later"), basic.get(1, "settled-later"));
  const [a, b] = await client.messages(2);
  await client.call("queue.delete-ok", queue.delete(1, "settled-later"));
  client.send(basic.ack(1, a!.deliveryTag), basic.nack(1, b!.deliveryTag));
  await client.expectSilence(1);
});

test("bindings follow a queue's life: unbound they lead nowhere, deleted they are gone", async () => {
  const client = await broker.open();
  await client.call("exchange.declare-ok", exchange.declare(1, "life", "direct"));
  await client.call("queue.declare-ok", queue.declare(1, "life", { exclusive: true }));
  await client.call("queue.bind-ok", queue.bind(1, "life", "life", "k"));
  await client.call("queue.bind-ok", queue.bind(1, "life", "life", "k"));
  client.send(basic.publish(1, "k", "once", { exchange: "life" }));
  assert.equal((await counts(client, "life")).messages, 1);
  await client.call("queue.unbind-ok", queue.unbind(1, "life", "life", "k"));
  await client.call("queue.unbind-ok", queue.unbind(1, "life", "life", "k"));
  await client.call("queue.bind-ok", queue.bind(1, "life", "life", "k"));
  await client.call("queue.delete-ok", queue.delete(1, "life"));
  await client.call("queue.declare-ok", queue.declare(1, "life", { exclusive: true }));
  client.send(basic.publish(1, "k", "to nobody", { exchange: "life" }));
  assert.equal((await counts(client, "life")).messages, 0);
  await client.call("exchange.delete-ok", exchange.delete(1, "life", { ifUnused: true }));
});

test("bind and unbind refuse what is not there", async () => {
  assert.deepEqual(await refusal(queue.bind(1, "missing", "amq.direct", "k")), ["channel", 404]);
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "there"));
  assert.deepEqual(await refusal(queue.bind(1, "there", "missing", "k")), ["channel", 404]);
  await client.call("queue.delete-ok", queue.delete(1, "there"));
});

test("no-wait is not answered, and done all the same", async () => {
  const client = await broker.open();
  client.send(queue.declare(1, "quiet", { noWait: true, durable: true }), basic.publish(1, "quiet", "a"));
  assert.deepEqual(await counts(client, "quiet"), { messages: 1, consumers: 0 });
  client.send(queue.delete(1, "quiet", { noWait: true }));
  await client.expectSilence(1);
  assert.deepEqual(await refusal(queue.declare(1, "quiet", { passive: true })), ["channel", 404]);
});
