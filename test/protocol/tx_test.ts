// Class tx.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Broker } from "../../src/mod.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import { RawAmqp } from "../support/raw_amqp.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import { basic, channel, confirm, exchange, queue, tx } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

/** Channel 1 is in transaction mode, channel 2 is not. */
async function transacting(): Promise<{ client: RawAmqp; name: string }> {
  const client = await broker.open({ channels: 2 });
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  await client.call("tx.select-ok", tx.select(1));
  return { client, name };
}

async function count(client: RawAmqp, name: string): Promise<number> {
  const args = await client.call("queue.declare-ok", queue.declare(2, name, { passive: true }));
  args.shortString();
  return args.long();
}

test("what is published is seen by nobody until the commit, in its order then (behaviours 49)", async () => {
  const { client, name } = await transacting();
  await client.call("basic.consume-ok", basic.consume(2, name, { noAck: true }));
  client.send(
    basic.publish(1, name, "a"),
    basic.publish(1, name, Buffer.alloc(200_000, "b")),
    basic.publish(1, name, ""),
  );
  await client.expectSilence(1);
  await client.expectSilence(2);
  client.send(tx.commit(1));
  const frames = await client.messages(3);
  assert.deepEqual(frames.map(({ body }) => body.length), [1, 200_000, 0]);
  await client.reply("tx.commit-ok");
  client.send(basic.publish(1, name, "d"), tx.commit(1));
  assert.equal((await client.message()).body.toString(), "d");
});

test("a rollback forgets what was published (behaviours 49)", async () => {
  const { client, name } = await transacting();
  client.send(basic.publish(1, name, "never"));
  await client.call("tx.rollback-ok", tx.rollback(1));
  await client.call("tx.commit-ok", tx.commit(1));
  assert.equal(await count(client, name), 0);
});

test("acks and rejects happen at the commit, and prefetch is freed by it alone (behaviours 49)", async () => {
  const { client, name } = await transacting();
  for (const body of ["a", "b", "c", "d"]) client.send(basic.publish(2, name, body));
  await client.call("basic.qos-ok", basic.qos(1, 3));
  await client.call("basic.consume-ok", basic.consume(1, name));
  await client.messages(3);
  client.send(basic.ack(1, 1), basic.reject(1, 2, true), basic.nack(1, 3, { requeue: false }));
  await client.expectSilence(1);
  client.send(tx.commit(1));
  const messages = await client.messages(2);
  assert.deepEqual(messages.map(({ body, redelivered }) => `${body} ${redelivered}`), ["b true", "d false"]);
  await client.reply("tx.commit-ok");
});

test("a rollback undoes acks without giving anything back to its queue (behaviours 49)", async () => {
  const { client, name } = await transacting();
  for (const body of ["a", "b", "c"]) client.send(basic.publish(2, name, body));
  await client.call("basic.consume-ok", basic.consume(1, name));
  await client.messages(3);
  client.send(basic.ack(1, 2), basic.ack(1, 1), basic.reject(1, 3, true));
  await client.call("tx.rollback-ok", tx.rollback(1));
  await client.expectSilence(1);
  assert.equal(await count(client, name), 0, "they are still with the consumer");
  client.send(basic.ack(1, 2, true));
  await client.call("tx.commit-ok", tx.commit(1));
  await client.call("channel.close-ok", channel.close(1));
  assert.equal(await count(client, name), 1);
  client.send(basic.get(2, name));
  const message = await client.message();
  assert.deepEqual([message.body.toString(), message.redelivered], ["c", true]);
});

test("a tag that is acked twice in a transaction is unknown at once", async () => {
  const { client, name } = await transacting();
  client.send(basic.publish(2, name, "a"), basic.get(1, name));
  await client.message();
  client.send(basic.ack(1, 1), basic.ack(1, 1));
  const reason = await client.refused();
  assert.deepEqual([reason.level, reason.code], ["channel", 406]);
  assert.equal(await count(client, name), 1, "the first was not committed");
});

test("a channel or connection that ends forgets its transaction, messages come back in order (behaviours 49)", async () => {
  for (const end of ["channel", "connection"]) {
    const { client, name } = await transacting();
    const watcher = await broker.open({ channels: 2 });
    const kept = `tx-end-${end}`;
    await watcher.call("queue.declare-ok", queue.declare(1, kept));
    for (const body of ["a", "b", "c"]) watcher.send(basic.publish(1, kept, body));
    await watcher.expectSilence(1);
    client.send(basic.get(1, kept), basic.get(1, kept), basic.get(1, kept));
    await client.messages(3);
    client.send(basic.ack(1, 2), basic.publish(1, kept, "never"), basic.publish(1, name, "never"));
    if (end === "channel") await client.call("channel.close-ok", channel.close(1));
    else await client.close();
    for (const body of ["a", "b", "c"]) {
      watcher.send(basic.get(1, kept, true));
      assert.equal((await watcher.message()).body.toString(), body);
    }
    await watcher.call("basic.get-empty", basic.get(1, kept, true));
  }
});

test("an exchange that is not there is refused at once, one that goes before the commit loses the message", async () => {
  const { client, name } = await transacting();
  await client.call("exchange.declare-ok", exchange.declare(2, "tx-goes", "fanout"));
  await client.call("queue.bind-ok", queue.bind(2, name, "tx-goes", ""));
  client.send(
    basic.publish(1, "", "lost", { exchange: "tx-goes" }),
    basic.publish(1, "", "returned", { exchange: "tx-goes", mandatory: true }),
    basic.publish(1, name, "kept"),
  );
  await client.expectSilence(1);
  await client.call("exchange.delete-ok", exchange.delete(2, "tx-goes"));
  client.send(tx.commit(1));
  const returned = await client.message();
  assert.deepEqual([returned.by, returned.replyCode, returned.body.toString()], ["return", 312, "returned"]);
  await client.reply("tx.commit-ok");
  assert.equal(await count(client, name), 1);
  client.send(basic.publish(1, "", "refused", { exchange: "tx-goes" }));
  assert.equal((await client.refused()).code, 404);
});

test("a mandatory message comes back at the commit (behaviours 11)", async () => {
  const { client } = await transacting();
  client.send(basic.publish(1, "nowhere", "x", { mandatory: true }));
  await client.expectSilence(1);
  client.send(tx.commit(1));
  assert.equal((await client.message()).by, "return");
  await client.reply("tx.commit-ok");
});

test("transactions and confirms exclude each other on a channel: 406 in either order (behaviours 49)", async () => {
  const client = await broker.open({ channels: 3 });
  await client.call("tx.select-ok", tx.select(1));
  await client.call("tx.select-ok", tx.select(1));
  await client.call("confirm.select-ok", confirm.select(2));
  const orders: [Buffer, RegExp][] = [
    [confirm.select(1), /^PRECONDITION_FAILED - cannot switch from tx to confirm mode$/],
    [tx.select(2), /^PRECONDITION_FAILED - cannot switch from confirm to tx mode$/],
    [tx.commit(3), /^PRECONDITION_FAILED - channel is not transactional$/],
  ];
  for (const [bytes, text] of orders) {
    client.send(bytes);
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["channel", 406]);
    assert.match(reason.text, text);
  }
  await client.call("channel.open-ok", channel.open(3));
  client.send(tx.rollback(3));
  assert.equal((await client.refused()).code, 406);
});

test("a commit of which a queue refuses a part closes the channel with 406, as with RabbitMQ; the rest is done", async () => {
  const { client } = await transacting();
  const args = { "x-max-length": 2, "x-overflow": "reject-publish" };
  const full = (await client.call("queue.declare-ok", queue.declare(2, "", { exclusive: true, args }))).shortString();
  for (const body of ["a", "b", "c"]) client.send(basic.publish(1, full, body));
  client.send(tx.commit(1));
  const reason = await client.refused();
  assert.deepEqual([reason.code, reason.text, reason.method], [
    406,
    "PRECONDITION_FAILED - partial tx completion",
    "90.20",
  ]);
  assert.equal(await count(client, full), 2);
});

test("a transaction without end is a 506", async () => {
  const { client, name } = await transacting();
  const large = basic.publish(1, name, Buffer.alloc(8 * 1024 * 1024));
  for (let sent = 0; sent < 9; sent++) client.send(large);
  const reason = await client.refused();
  assert.deepEqual([reason.level, reason.code], ["connection", 506]);
});

test("rolled back transactions leave nothing behind: the limit is for what is open", async () => {
  const { client, name } = await transacting();
  const large = basic.publish(1, name, Buffer.alloc(8 * 1024 * 1024));
  for (let sent = 0; sent < 12; sent++) await client.call("tx.rollback-ok", Buffer.concat([large, tx.rollback(1)]));
  assert.equal(await count(client, name), 0);
});

test("what is committed is on disk, what is not is gone, messages and acks (behaviours 49)", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "leveret-test-"));
  const config = { dataDir, amqp: { port: 0 } };
  try {
    const first = new Broker(config);
    await first.start();
    const client = await RawAmqp.open(first.listeners[0]!.port, { channels: 2 });
    await client.call("queue.declare-ok", queue.declare(1, "tx-disk", { durable: true }));
    await client.call("tx.select-ok", tx.select(1));
    for (const body of ["a", "b", "c"]) client.send(basic.publish(1, "tx-disk", body, PERSISTENT));
    await client.call("tx.commit-ok", tx.commit(1));
    client.send(basic.get(1, "tx-disk"), basic.get(1, "tx-disk"));
    await client.messages(2);
    client.send(basic.ack(1, 1));
    await client.call("tx.commit-ok", tx.commit(1));
    client.send(basic.ack(1, 2), basic.publish(1, "tx-disk", "d", PERSISTENT));
    await client.expectSilence(1);
    await first.stop();
    const second = new Broker(config);
    await second.start();
    const again = await RawAmqp.open(second.listeners[0]!.port, { channels: 1 });
    for (const body of ["b", "c"]) {
      again.send(basic.get(1, "tx-disk", true));
      assert.equal((await again.message()).body.toString(), body);
    }
    await again.call("basic.get-empty", basic.get(1, "tx-disk", true));
    again.socket.destroy();
    client.socket.destroy();
    await second.stop();
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});
