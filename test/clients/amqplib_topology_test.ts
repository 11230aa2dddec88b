// What a program with amqplib relies on for exchanges, queues and bindings, while the broker runs.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { SharedBroker, testTargets } from "../support/broker_process.ts";
import { waitFor } from "../support/wait.ts";
import { AmqplibClient, consume, readyCount, send, temporaryQueue } from "./amqplib_client.ts";
import type { Channel } from "amqplib";

const TEST_TIMEOUT_MS = 60_000;

for (const target of testTargets()) {
  describe(`topology by amqplib against ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());

    const connect = async () => await AmqplibClient.connect((await shared.get()).uri);
    const test = (name: string, act: (channel: Channel, client: AmqplibClient) => Promise<void>) =>
      it(name, { timeout: TEST_TIMEOUT_MS }, async () => {
        await using client = await connect();
        await act(await client.channel(), client);
      });

    test("a queue without a name gets one, which an empty name then stands for", async (channel) => {
      const first = await channel.assertQueue("", { exclusive: true });
      const second = await channel.assertQueue("", { exclusive: true });
      assert.match(first.queue, /^amq\.gen-.{22,}$/);
      assert.notEqual(first.queue, second.queue);
      await channel.bindQueue("", "amq.direct", "to the last one");
      channel.publish("amq.direct", "to the last one", Buffer.from("x"));
      assert.deepEqual([await readyCount(channel, first.queue), await readyCount(channel, second.queue)], [0, 1]);
      assert.ok(await channel.get("", { noAck: true }));
    });

    test("declare, passive declare, purge and delete tell how much there is", async (channel) => {
      const queue = "counted";
      assert.deepEqual(await channel.assertQueue(queue), { queue, messageCount: 0, consumerCount: 0 });
      await send(channel, queue, "a", "b", "c", "d");
      assert.ok(await channel.get(queue));
      assert.deepEqual(await channel.checkQueue(queue), { queue, messageCount: 3, consumerCount: 0 });
      assert.deepEqual(await channel.purgeQueue(queue), { messageCount: 3 });
      assert.deepEqual(await channel.purgeQueue(queue), { messageCount: 0 });
      await channel.recover();
      assert.equal(await readyCount(channel, queue), 1, "purge leaves what is unacknowledged");
      const { inbox, tag } = await consume(channel, queue);
      await inbox.next();
      assert.deepEqual(await channel.assertQueue(queue), { queue, messageCount: 0, consumerCount: 1 });
      await channel.cancel(tag);
      await send(channel, queue, "e", "f");
      assert.deepEqual(await channel.deleteQueue(queue), { messageCount: 2 });
      assert.deepEqual(await channel.deleteQueue(queue), { messageCount: 0 }, "gone already");
    });

    test("a queue is deleted only unused or empty where that is asked for", async (channel, client) => {
      const queue = "kept in use";
      await channel.assertQueue(queue);
      await send(channel, queue, "a");
      const full = await client.channelClosing((other) => other.deleteQueue(queue, { ifEmpty: true }));
      assert.equal(full.code, 406);
      assert.match(full.message, /queue 'kept in use' in vhost '\/' not empty/);
      const { tag } = await consume(channel, queue, { noAck: true });
      const used = await client.channelClosing((other) => other.deleteQueue(queue, { ifUnused: true }));
      assert.equal(used.code, 406);
      assert.match(used.message, /queue 'kept in use' in vhost '\/' in use/);
      await channel.cancel(tag);
      assert.deepEqual(await channel.deleteQueue(queue, { ifUnused: true, ifEmpty: true }), { messageCount: 0 });
    });

    test("an auto-delete queue goes with its last consumer, not before it had one", async (channel, client) => {
      const queue = "goes by itself";
      await channel.assertQueue(queue, { autoDelete: true });
      await send(channel, queue, "a");
      const one = await consume(channel, queue);
      const other = await client.channel();
      await consume(other, queue);
      await channel.cancel(one.tag);
      assert.equal((await channel.checkQueue(queue)).consumerCount, 1);
      await other.close();
      const gone = await client.channelClosing((last) => last.checkQueue(queue));
      assert.equal(gone.code, 404);
    });

    test("an auto-delete exchange goes with its last binding, not before it had one", async (channel, client) => {
      const exchange = "goes unbound";
      await channel.assertExchange(exchange, "fanout", { autoDelete: true });
      await channel.checkExchange(exchange);
      const [one, two] = [await temporaryQueue(channel), await temporaryQueue(channel)];
      await channel.bindQueue(one, exchange, "");
      await channel.bindQueue(two, exchange, "");
      await channel.unbindQueue(one, exchange, "");
      await channel.checkExchange(exchange);
      await channel.deleteQueue(two);
      assert.equal((await client.channelClosing((other) => other.checkExchange(exchange))).code, 404);
    });

    test("an exclusive queue is locked to its connection and goes with it", async (channel, client) => {
      const owner = await connect();
      const queue = "of one alone";
      await (await owner.channel()).assertQueue(queue, { exclusive: true, durable: true });
      await (await owner.channel()).checkQueue(queue); // another channel of the connection
      for (
        const act of [
          (other: Channel) => other.checkQueue(queue),
          (other: Channel) => other.assertQueue(queue, { exclusive: true }),
          (other: Channel) => other.consume(queue, () => {}),
          (other: Channel) => other.get(queue),
          (other: Channel) => other.purgeQueue(queue),
          (other: Channel) => other.deleteQueue(queue),
          (other: Channel) => other.bindQueue(queue, "amq.fanout", ""),
        ]
      ) {
        const { code, message } = await client.channelClosing(act);
        assert.equal(code, 405, `${act}`);
        assert.match(message, /cannot obtain exclusive access to locked queue 'of one alone' in vhost '\/'/);
      }
      channel.sendToQueue(queue, Buffer.from("publishing is open to all"));
      await channel.checkExchange("amq.direct");
      owner.cut();
      const taken = await waitFor("end of the lock", async () => {
        const other = await client.model.createChannel();
        other.on("error", () => {});
        return await other.assertQueue(queue, { exclusive: true }).catch(() => undefined);
      });
      assert.equal(taken.messageCount, 0);
    });

    test("an exclusive consumer is alone", async (channel, client) => {
      const queue = await temporaryQueue(channel);
      const { tag } = await consume(channel, queue, { exclusive: true });
      const { code, message } = await client.channelClosing((other) => other.consume(queue, () => {}));
      assert.equal(code, 403);
      assert.match(message, /in exclusive use/);
      await channel.cancel(tag);
      await consume(channel, queue);
      assert.equal(
        (await client.channelClosing((other) => other.consume(queue, () => {}, { exclusive: true }))).code,
        403,
      );
    });

    test(
      "the same declaration again is fine, another one is refused with its first difference",
      async (channel, client) => {
        const queue = "declared";
        const args = { "x-queue-type": "classic", "x-own": 1, "x-table": { a: [1, "b"] } };
        await channel.assertQueue(queue, { arguments: args });
        await channel.assertQueue(queue, { arguments: { ...args, "x-own": { "!": "int64", value: 1 } } });
        const differing: [object, RegExp][] = [
          [{ arguments: args, durable: false }, /inequivalent arg 'durable' for queue 'declared' in vhost '\/'/],
          [
            { arguments: args, autoDelete: true },
            /inequivalent arg 'auto_delete'.*received 'true' but current is 'false'/,
          ],
          [{}, /inequivalent arg 'x-.*received none but current is/],
          [{ arguments: { ...args, "x-table": { a: [1, "c"] } } }, /inequivalent arg 'x-table'/],
        ];
        for (const [options, text] of differing) {
          const { code, message } = await client.channelClosing((other) => other.assertQueue(queue, options));
          assert.equal(code, 406);
          assert.match(message, text);
        }
        const exclusive = { arguments: args, exclusive: true };
        assert.equal((await client.channelClosing((other) => other.assertQueue(queue, exclusive))).code, 405);
        await channel.deleteQueue(queue);

        await channel.assertExchange(queue, "direct", { durable: false });
        await channel.assertExchange(queue, "direct", { durable: false });
        for (
          const [type, options] of [["fanout", { durable: false }], ["direct", {}], ["direct", {
            internal: true,
          }]] as const
        ) {
          const { code } = await client.channelClosing((other) => other.assertExchange(queue, type, options));
          assert.equal(code, 406);
        }
        await channel.deleteExchange(queue);
      },
    );

    test("an exchange is deleted, and only unused where that is asked for", async (channel, client) => {
      const exchange = "deleted";
      await channel.assertExchange(exchange, "direct");
      const queue = await temporaryQueue(channel);
      await channel.bindQueue(queue, exchange, "k");
      const { code, message } = await client.channelClosing((other) =>
        other.deleteExchange(exchange, { ifUnused: true })
      );
      assert.equal(code, 406);
      assert.match(message, /exchange 'deleted' in vhost '\/' in use/);
      await channel.unbindQueue(queue, exchange, "k");
      await channel.deleteExchange(exchange, { ifUnused: true });
      await channel.deleteExchange(exchange); // gone already
      assert.equal((await client.channelClosing((other) => other.checkExchange(exchange))).code, 404);
    });

    for (
      const [type, bindings, taken] of [
        ["direct", ["a", "b", "b.c"], ["a", "b", "b.c"]],
        ["fanout", ["a"], ["a", "b", "b.c", "a.orange.b", "lazy", "", "x.y.z.lazy.q"]],
        ["topic", ["*.orange.#", "lazy.#", "b"], ["b", "a.orange.b", "lazy"]],
        ["topic", ["#"], ["a", "b", "b.c", "a.orange.b", "lazy", "", "x.y.z.lazy.q"]],
        ["topic", ["#.lazy.*", "*"], ["a", "b", "lazy", "x.y.z.lazy.q"]],
      ] as const
    ) {
      test(`a ${type} exchange routes by ${bindings.join(", ")}, to each queue once`, async (channel) => {
        const exchange = "routes";
        await channel.assertExchange(exchange, type, { durable: false });
        const queue = await temporaryQueue(channel);
        for (const key of [...bindings, ...bindings]) await channel.bindQueue(queue, exchange, key);
        const keys = ["a", "b", "b.c", "a.orange.b", "lazy", "", "x.y.z.lazy.q"];
        for (const key of keys) channel.publish(exchange, key, Buffer.from(key));
        const { inbox } = await consume(channel, queue, { noAck: true });
        const received = (await inbox.take(taken.length)).map(({ fields }) => fields.routingKey);
        assert.deepEqual(received, keys.filter((key) => (taken as readonly string[]).includes(key)));
        for (const key of bindings) await channel.unbindQueue(queue, exchange, key);
        for (const key of keys) channel.publish(exchange, key, Buffer.from(key));
        assert.equal(await readyCount(channel, queue), 0);
        assert.equal(inbox.waiting.length, 0);
        await channel.deleteExchange(exchange);
      });
    }

    test("a message goes to every queue that matches", async (channel) => {
      const queues = await Promise.all(Array.from({ length: 20 }, () => temporaryQueue(channel)));
      for (const queue of queues) await channel.bindQueue(queue, "amq.fanout", "");
      const body = Buffer.alloc(300_000, "hare");
      channel.publish("amq.fanout", "", body);
      for (const queue of queues) {
        const message = await channel.get(queue, { noAck: true });
        assert.ok(message);
        assert.ok(body.equals(message.content));
      }
    });

    test("a headers exchange matches all fields of a binding, or any (behaviours 33)", async (channel, client) => {
      await channel.assertExchange("by-headers", "headers", { durable: false });
      const [all, any] = [await temporaryQueue(channel), await temporaryQueue(channel)];
      const fields = { kind: "invoice", pages: 3 };
      await channel.bindQueue(all, "by-headers", "", { "x-match": "all", ...fields });
      await channel.bindQueue(any, "by-headers", "", { "x-match": "any", ...fields });
      for (const headers of [fields, { kind: "invoice" }, { pages: 4 }]) {
        channel.publish("by-headers", "ignored", Buffer.from("x"), { headers });
      }
      assert.deepEqual([await readyCount(channel, all), await readyCount(channel, any)], [1, 2]);
      const odd = (other: typeof channel) => other.bindQueue(all, "by-headers", "", { "x-match": "none" });
      assert.equal((await client.channelClosing(odd)).code, 406);
      await channel.deleteExchange("by-headers");
    });

    test("an alternate exchange takes what nothing else does (behaviours 31)", async (channel) => {
      await channel.assertExchange("rest", "fanout", { durable: false });
      await channel.assertExchange("main", "direct", { durable: false, alternateExchange: "rest" });
      const [main, rest] = [await temporaryQueue(channel), await temporaryQueue(channel)];
      await channel.bindQueue(main, "main", "known");
      await channel.bindQueue(rest, "rest", "");
      for (const key of ["known", "unknown"]) channel.publish("main", key, Buffer.from(key));
      assert.equal((await channel.get(main, { noAck: true }) || null)?.content.toString(), "known");
      assert.equal((await channel.get(rest, { noAck: true }) || null)?.content.toString(), "unknown");
      assert.deepEqual([await readyCount(channel, main), await readyCount(channel, rest)], [0, 0]);
      await channel.deleteExchange("main");
      await channel.deleteExchange("rest");
    });

    test("a consistent hash exchange shares messages out, each key to one queue", async (channel) => {
      await channel.assertExchange("shared-out", "x-consistent-hash", { durable: false });
      const queues = [await temporaryQueue(channel), await temporaryQueue(channel)];
      for (const queue of queues) await channel.bindQueue(queue, "shared-out", "10");
      const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`);
      for (const key of [...keys, ...keys]) channel.publish("shared-out", key, Buffer.from(key));
      const counts = [await readyCount(channel, queues[0]!), await readyCount(channel, queues[1]!)];
      assert.equal(counts[0]! + counts[1]!, 200);
      assert.ok(counts.every((count) => count > 40 && count % 2 === 0), `${counts}`);
      await channel.deleteExchange("shared-out");
    });

    test(
      "exchanges route to exchanges, also in a circle, and an internal one takes from exchanges only",
      async (channel, client) => {
        await channel.assertExchange("outer", "topic", { durable: false });
        await channel.assertExchange("inner", "fanout", { durable: false, internal: true });
        const queue = await temporaryQueue(channel);
        await channel.bindExchange("inner", "outer", "#.in");
        await channel.bindExchange("outer", "inner", "");
        await channel.bindQueue(queue, "inner", "");
        channel.publish("outer", "a.in", Buffer.from("x"));
        channel.publish("outer", "a.out", Buffer.from("x"));
        assert.equal(await readyCount(channel, queue), 1);
        const refused = await client.channelClosing((other) => other.publish("inner", "", Buffer.from("x")));
        assert.equal(refused.code, 403);
        await channel.unbindExchange("inner", "outer", "#.in");
        channel.publish("outer", "a.in", Buffer.from("x"));
        assert.equal(await readyCount(channel, queue), 1);
        await channel.deleteExchange("outer");
        await channel.deleteExchange("inner");
      },
    );
  });
}
