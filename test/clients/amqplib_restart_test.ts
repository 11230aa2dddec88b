// What a clean restart (SIGTERM, start) leaves: all that is durable, in order and as it was settled, and nothing else.
// What kill -9 leaves is in restart_test.ts.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { BodyPool } from "../support/bodies.ts";
import { BrokerProcess, testTargets } from "../support/broker_process.ts";
import { AmqplibClient, consume, readyCount, send, shown } from "./amqplib_client.ts";

const TEST_TIMEOUT_MS = 60_000;
/** Enough for several segments: they begin with 64 KiB and double. */
const MESSAGES = 3_000;

const pool = new BodyPool();

for (const target of testTargets()) {
  describe(`clean restart of the broker on ${target}`, () => {
    const brokers = new Set<BrokerProcess>();
    after(async () => {
      for (const broker of brokers) await broker.dispose();
    });

    const test = (name: string, act: (broker: BrokerProcess) => Promise<void>) =>
      it(name, { timeout: TEST_TIMEOUT_MS }, async () => {
        const broker = await BrokerProcess.start(target);
        brokers.add(broker);
        await act(broker);
        await broker.dispose();
        brokers.delete(broker);
      });
    const restart = async (broker: BrokerProcess) => {
      assert.equal(await broker.terminate(), 0);
      await broker.restart();
    };

    test("messages come back in order, byte-identical, with all their properties", async (broker) => {
      const sizeAt = (index: number) => index % 500 === 0 ? 300_000 : index % 200;
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.confirmChannel();
        await channel.assertQueue("kept");
        for (let index = 0; index < MESSAGES; index++) {
          channel.sendToQueue("kept", pool.body(index, sizeAt(index)), {
            persistent: true,
            messageId: String(index),
            headers: { index, nested: { text: "häder" } },
          });
        }
        await channel.waitForConfirms();
      }
      await restart(broker);
      await using client = await AmqplibClient.connect(broker.uri);
      const channel = await client.channel();
      assert.equal(await readyCount(channel, "kept"), MESSAGES);
      const { inbox } = await consume(channel, "kept");
      for (const [index, message] of (await inbox.take(MESSAGES)).entries()) {
        assert.equal(message.properties.messageId, String(index));
        assert.deepEqual(message.properties.headers, { index, nested: { text: "häder" } });
        assert.ok(pool.matches(index, sizeAt(index), message.content), `message ${index}: contents differ`);
        assert.equal(message.fields.redelivered, false);
      }
    });

    test("of a durable queue's messages the transient ones are gone, the others keep their order (behaviours 53)", async (broker) => {
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.confirmChannel();
        await channel.assertQueue("mixed");
        for (let index = 0; index < 99; index++) {
          channel.sendToQueue("mixed", Buffer.from(`${index}`), { persistent: index % 3 === 0 });
        }
        await channel.waitForConfirms();
      }
      await restart(broker);
      await using client = await AmqplibClient.connect(broker.uri);
      const channel = await client.channel();
      assert.equal(await readyCount(channel, "mixed"), 33);
      const { inbox } = await consume(channel, "mixed", { noAck: true });
      assert.deepEqual((await inbox.take(33)).map(shown), Array.from({ length: 33 }, (_, index) => `${3 * index}`));
    });

    test("what was settled stays settled, what was not comes back flagged redelivered, in order", async (broker) => {
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.confirmChannel();
        await channel.assertQueue("settled");
        for (const text of "abcdefghi") channel.sendToQueue("settled", Buffer.from(text), { persistent: true });
        await channel.waitForConfirms();
        await channel.prefetch(6);
        const { inbox } = await consume(channel, "settled");
        const [a, , c, d] = await inbox.take(6);
        channel.ack(a!);
        channel.reject(c!, false);
        channel.ack(d!);
        await inbox.take(3);
        await channel.close();
        const next = await client.channel();
        assert.ok(await next.get("settled", { noAck: true })); // b
      }
      await restart(broker);
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.channel();
        const { inbox } = await consume(channel, "settled");
        assert.deepEqual((await inbox.take(5)).map(shown), ["e!", "f!", "g!", "h!", "i!"]);
        channel.ackAll();
        await channel.checkQueue("settled"); // amqplib may send connection.close before an ack of the same moment
      }
      await restart(broker);
      await using client = await AmqplibClient.connect(broker.uri);
      assert.equal(await readyCount(await client.channel(), "settled"), 0);
    });

    test("what is held when SIGTERM comes is ready again", async (broker) => {
      {
        const client = await AmqplibClient.connect(broker.uri);
        client.model.on("error", () => {});
        const channel = await client.confirmChannel();
        await channel.assertQueue("held");
        for (const text of "abc") channel.sendToQueue("held", Buffer.from(text), { persistent: true });
        await channel.waitForConfirms();
        const { inbox } = await consume(channel, "held");
        channel.ack((await inbox.take(3))[1]!);
        await channel.checkQueue("held");
        await restart(broker);
      }
      await using client = await AmqplibClient.connect(broker.uri);
      const { inbox } = await consume(await client.channel(), "held");
      assert.deepEqual((await inbox.take(2)).map(shown), ["a!", "c!"]);
    });

    test("durable exchanges, queues and bindings come back, with their arguments and without what was deleted", async (broker) => {
      const args = { "x-own": 1, "x-table": { list: [1, "two", true] } };
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.channel();
        await channel.assertExchange("topics", "topic");
        await channel.assertExchange("inner", "fanout", { internal: true });
        await channel.assertExchange("removed", "direct");
        await channel.assertExchange("by itself", "direct", { autoDelete: true });
        await channel.assertQueue("one", { arguments: args });
        await channel.assertQueue("two");
        await channel.assertQueue("removed");
        await channel.bindQueue("one", "topics", "*.one.#", { note: "kept" });
        await channel.bindQueue("two", "topics", "unbound");
        await channel.bindQueue("two", "inner", "");
        await channel.bindQueue("removed", "topics", "#");
        await channel.bindExchange("inner", "topics", "in");
        await channel.bindQueue("one", "by itself", "");
        await channel.unbindQueue("two", "topics", "unbound");
        await channel.unbindQueue("one", "by itself", "");
        await channel.deleteExchange("removed");
        await channel.deleteQueue("removed");
      }
      await restart(broker);
      await using client = await AmqplibClient.connect(broker.uri);
      const channel = await client.channel();
      await channel.assertExchange("topics", "topic");
      await channel.assertExchange("inner", "fanout", { internal: true });
      await channel.assertQueue("one", { arguments: args });
      assert.equal((await client.channelClosing((other) => other.assertQueue("one"))).code, 406);
      for (const name of ["removed", "by itself"]) {
        assert.equal((await client.channelClosing((other) => other.checkExchange(name))).code, 404);
      }
      assert.equal((await client.channelClosing((other) => other.checkQueue("removed"))).code, 404);
      for (const key of ["a.one.b", "in", "unbound"]) channel.publish("topics", key, Buffer.from(key));
      assert.equal(shown((await channel.get("one", { noAck: true })) || fail()), "a.one.b");
      assert.equal(shown((await channel.get("two", { noAck: true })) || fail()), "in");
      assert.equal(await readyCount(channel, "one") + await readyCount(channel, "two"), 0);
      await channel.unbindQueue("one", "topics", "*.one.#", { note: "kept" });
      channel.publish("topics", "a.one.b", Buffer.from("gone"));
      assert.equal(await readyCount(channel, "one"), 0);
    });

    test("transient and exclusive queues, transient exchanges and their bindings are gone", async (broker) => {
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.channel();
        await channel.assertExchange("transient", "fanout", { durable: false });
        await channel.assertQueue("transient", { durable: false });
        await channel.assertQueue("exclusive", { durable: true, exclusive: true });
        await channel.assertQueue("durable");
        await channel.bindQueue("transient", "amq.fanout", "");
        await channel.bindQueue("durable", "transient", "");
        await send(channel, "transient", "a");
      }
      await restart(broker);
      await using client = await AmqplibClient.connect(broker.uri);
      const channel = await client.channel();
      assert.equal((await client.channelClosing((other) => other.checkExchange("transient"))).code, 404);
      for (const queue of ["transient", "exclusive"]) {
        assert.equal((await client.channelClosing((other) => other.checkQueue(queue))).code, 404, queue);
      }
      channel.publish("amq.fanout", "", Buffer.from("nowhere"));
      await channel.assertExchange("transient", "fanout", { durable: false });
      channel.publish("transient", "", Buffer.from("nowhere"));
      assert.equal(await readyCount(channel, "durable"), 0);
    });

    test("a durable auto-delete queue comes back, and goes with its next last consumer", async (broker) => {
      const options = { durable: true, autoDelete: true };
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.confirmChannel();
        await channel.assertQueue("by itself", options);
        channel.sendToQueue("by itself", Buffer.from("a"), { persistent: true });
        await channel.waitForConfirms();
      }
      await restart(broker);
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.channel();
        assert.equal((await channel.assertQueue("by itself", options)).messageCount, 1);
        const { tag } = await consume(channel, "by itself");
        await channel.cancel(tag);
        assert.equal((await client.channelClosing((other) => other.checkQueue("by itself"))).code, 404);
      }
      await restart(broker);
      await using client = await AmqplibClient.connect(broker.uri);
      assert.equal((await client.channelClosing((other) => other.checkQueue("by itself"))).code, 404);
    });

    test("a queue deleted and declared again does not get its old messages back", async (broker) => {
      {
        await using client = await AmqplibClient.connect(broker.uri);
        const channel = await client.confirmChannel();
        for (let round = 0; round < 3; round++) {
          await channel.assertQueue("again");
          for (let index = 0; index < 100; index++) {
            channel.sendToQueue("again", Buffer.from(`${round}`), { persistent: true });
          }
          await channel.waitForConfirms();
          if (round < 2) assert.deepEqual(await channel.deleteQueue("again"), { messageCount: 100 });
        }
        assert.deepEqual(await channel.purgeQueue("again"), { messageCount: 100 });
        channel.sendToQueue("again", Buffer.from("last"), { persistent: true });
        await channel.waitForConfirms();
      }
      await restart(broker);
      await using client = await AmqplibClient.connect(broker.uri);
      const channel = await client.channel();
      assert.equal(await readyCount(channel, "again"), 1);
      assert.equal(shown((await channel.get("again")) || fail()), "last");
    });
  });
}

function fail(): never {
  throw new Error("the queue is empty");
}
