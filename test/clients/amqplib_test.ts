// What a program with amqplib relies on for its messages: publishing, confirms, deliveries and how they are settled.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { BodyPool } from "../support/bodies.ts";
import { SharedBroker, testTargets } from "../support/broker_process.ts";
import { Inbox, waitFor, within } from "../support/wait.ts";
import { AmqplibClient, consume, readyCount, send, shown, temporaryQueue } from "./amqplib_client.ts";

const TEST_TIMEOUT_MS = 60_000;
const FRAME_BYTES_MAX = 131_072;
/** What a frame costs beside its payload. */
const FRAME_OVERHEAD_BYTES = 8;
/** Around the borders of frames, out-buffers and segments. */
const BODY_SIZES = [
  0,
  1,
  16,
  1024,
  FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES - 1,
  FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES,
  FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES + 1,
  2 * (FRAME_BYTES_MAX - FRAME_OVERHEAD_BYTES),
  300_000,
  1024 * 1024,
];

const pool = new BodyPool();

for (const target of testTargets()) {
  describe(`messages by amqplib against ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());

    const connect = async (parameters = "") => await AmqplibClient.connect((await shared.get()).uri + parameters);
    const test = (name: string, act: (client: AmqplibClient) => Promise<void>) =>
      it(name, { timeout: TEST_TIMEOUT_MS }, async () => {
        await using client = await connect();
        await act(client);
      });

    test("bodies of every size arrive in order and byte-identical", async (client) => {
      const channel = await client.confirmChannel();
      const { queue } = await channel.assertQueue("bodies", { durable: true });
      const count = 3 * BODY_SIZES.length;
      const sizeAt = (index: number) => BODY_SIZES[index % BODY_SIZES.length]!;
      for (let index = 0; index < count; index++) {
        channel.sendToQueue(queue, pool.body(index, sizeAt(index)), { persistent: true, messageId: String(index) });
      }
      await channel.waitForConfirms();
      const { inbox } = await consume(channel, queue);
      for (const [index, message] of (await inbox.take(count)).entries()) {
        assert.equal(message.properties.messageId, String(index));
        assert.ok(pool.matches(index, sizeAt(index), message.content), `message ${index}: contents differ`);
        channel.ack(message);
      }
      await channel.deleteQueue(queue);
    });

    it("a body comes in frames no larger than the client asked for", { timeout: TEST_TIMEOUT_MS }, async () => {
      await using client = await connect("?frameMax=4096"); // amqplib fails at a larger one
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      for (const [index, bytes] of [4087, 4088, 4089, 1024 * 1024].entries()) {
        channel.sendToQueue(queue, pool.body(index, bytes));
        const { content } = await waitFor("message", () => channel.get(queue, { noAck: true }));
        assert.ok(pool.matches(index, bytes, content), `${bytes} bytes: contents differ`);
      }
    });

    test("all properties and header types round-trip", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      const headers = {
        true: true,
        false: false,
        byte: -100,
        short: -30_000,
        int: -2_000_000_000,
        long: -(2 ** 52),
        double: Math.PI,
        text: "häder 🐇",
        empty: "",
        bytes: Buffer.from([0, 1, 255]),
        none: null,
        time: { "!": "timestamp", value: 1_700_000_000 },
        decimal: { "!": "decimal", value: { digits: 12_345, places: 2 } },
        array: [1, "two", { three: 3 }, [true, null], []],
        table: { deep: { deeper: { deepest: "yes" } }, empty: {} },
      };
      const properties = {
        contentType: "text/plain",
        contentEncoding: "identity",
        headers,
        deliveryMode: 2,
        priority: 7,
        correlationId: "correlation",
        replyTo: "reply",
        expiration: "3600000",
        messageId: "message",
        timestamp: 1_700_000_000,
        type: "type",
        userId: "guest",
        appId: "application",
      };
      channel.sendToQueue(queue, Buffer.from("all"), properties);
      channel.sendToQueue(queue, Buffer.from("none"));
      const { inbox } = await consume(channel, queue, { noAck: true });
      const all = await inbox.next();
      assert.deepEqual(defined(all.properties), properties);
      assert.deepEqual([all.fields.exchange, all.fields.routingKey], ["", queue]);
      assert.deepEqual(defined((await inbox.next()).properties), { headers: {} });
    });

    test("a table of a thousand headers round-trips", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      const headers = Object.fromEntries(
        Array.from({ length: 1000 }, (_, index) => [`header-${index}`, `${index}`.repeat(16).slice(0, 45)]),
      );
      channel.sendToQueue(queue, Buffer.from("x"), { headers });
      const { inbox } = await consume(channel, queue, { noAck: true });
      assert.deepEqual((await inbox.next()).properties.headers, headers);
    });

    test("an expired message is dropped at the head of its queue, and no other", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      channel.sendToQueue(queue, Buffer.from("short"), { expiration: 20 });
      channel.sendToQueue(queue, Buffer.from("long"), { expiration: 3_600_000 });
      channel.sendToQueue(queue, Buffer.from("none"));
      await waitFor("expiry", async () => await readyCount(channel, queue) === 2);
      const { inbox } = await consume(channel, queue, { noAck: true });
      assert.deepEqual((await inbox.take(2)).map(shown), ["long", "none"]);
    });

    test("every message is confirmed, however many wait", async (client) => {
      const channel = await client.confirmChannel();
      const { queue } = await channel.assertQueue("confirmed", { durable: true });
      let confirmed = 0;
      for (let index = 0; index < 5_000; index++) {
        channel.sendToQueue(queue, pool.body(index, 100), { persistent: index % 3 > 0 }, (error) => {
          if (error === null) confirmed++;
        });
      }
      await channel.waitForConfirms();
      assert.equal(confirmed, 5_000);
      assert.deepEqual(await channel.deleteQueue(queue), { messageCount: 5_000 });
    });

    test("a confirm waits for the disk and for nothing else", async (client) => {
      const channel = await client.confirmChannel();
      const { queue } = await channel.assertQueue("confirmed one by one", { durable: true });
      const oneByOne = async () => {
        for (let index = 0; index < 20; index++) {
          channel.sendToQueue(queue, Buffer.from("x"), { persistent: true });
          await channel.waitForConfirms();
        }
      };
      await within("twenty confirms, without a consumer or any other traffic", oneByOne(), 5_000);
      await channel.deleteQueue(queue);
    });

    test("an unroutable mandatory message is returned, then confirmed", async (client) => {
      const channel = await client.confirmChannel();
      const events = new Inbox<string>();
      channel.on("return", (message) => {
        const { replyCode, replyText, exchange, routingKey } = message.fields as unknown as Record<string, unknown>;
        events.push(
          `${replyCode} ${replyText} ${exchange} ${routingKey} ${message.properties.type} ${message.content}`,
        );
      });
      const confirmed = (error: unknown) => events.push(error === null ? "confirmed" : "refused");
      const options = { mandatory: true, type: "kind" };
      channel.publish("amq.direct", "no such key", Buffer.from("back"), options, confirmed);
      assert.deepEqual(await events.take(2), ["312 NO_ROUTE amq.direct no such key kind back", "confirmed"]);
      channel.publish("amq.direct", "no such key", Buffer.from("gone"), {}, confirmed);
      const queue = await temporaryQueue(channel);
      channel.sendToQueue(queue, Buffer.from("there"), options, confirmed);
      assert.deepEqual(await events.take(2), ["confirmed", "confirmed"]);
      assert.equal(await readyCount(channel, queue), 1);
    });

    test("a rejected message comes back flagged redelivered, or not at all", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      await send(channel, queue, "a", "b", "c");
      const { inbox } = await consume(channel, queue);
      const [a, b, c] = await inbox.take(3);
      channel.reject(c!, false);
      channel.nack(b!, false, false);
      channel.reject(a!, true);
      assert.equal(shown(await inbox.next()), "a!");
      assert.equal(await readyCount(channel, queue), 0);
    });

    test("ack and nack of several settle all up to a message", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      await send(channel, queue, ..."abcdefgh");
      const { inbox, tag } = await consume(channel, queue);
      const messages = await inbox.take(8);
      await channel.cancel(tag);
      channel.ack(messages[1]!, true);
      channel.nack(messages[3]!, true, true);
      channel.nack(messages[5]!, true, false);
      assert.equal(await readyCount(channel, queue), 2);
      channel.ackAll();
      const again = await consume(channel, queue);
      assert.deepEqual((await again.inbox.take(2)).map(shown), ["c!", "d!"]);
      channel.nackAll(true);
      assert.deepEqual((await again.inbox.take(2)).map(shown), ["c!", "d!"]);
      channel.ackAll();
      await channel.recover();
      assert.equal(await readyCount(channel, queue), 0, "nothing is held that recover could bring back");
    });

    test("recover brings back all that is unsettled, in order, also of get and of a cancelled consumer", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      await send(channel, queue, "a", "b", "c", "d");
      assert.ok(await channel.get(queue));
      await channel.prefetch(2);
      const { inbox, tag } = await consume(channel, queue);
      await inbox.take(2);
      await channel.cancel(tag);
      await channel.recover();
      await channel.prefetch(0);
      const again = await consume(channel, queue);
      assert.deepEqual((await again.inbox.take(4)).map(shown), ["a!", "b!", "c!", "d"]);
    });

    test("what a channel leaves unsettled returns in order, before what came later", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      await send(channel, queue, "a", "b", "c");
      const other = await client.channel();
      const { inbox } = await consume(other, queue);
      const [, b] = await inbox.take(3);
      other.ack(b!);
      await other.close();
      await send(channel, queue, "d");
      const { inbox: again } = await consume(channel, queue, { noAck: true });
      assert.deepEqual((await again.take(3)).map(shown), ["a!", "c!", "d"]);
    });

    test("what a broken connection leaves unsettled returns flagged redelivered", async (client) => {
      const channel = await client.channel();
      const { queue } = await channel.assertQueue("left behind", { durable: false });
      await send(channel, queue, "a", "b");
      const other = await connect();
      const { inbox } = await consume(await other.channel(), queue);
      await inbox.take(2);
      other.cut();
      const { inbox: again } = await consume(channel, queue);
      assert.deepEqual((await again.take(2)).map(shown), ["a!", "b!"]);
      await channel.deleteQueue(queue);
    });

    test("a cancelled consumer may still settle what it was given", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      await send(channel, queue, "a", "b");
      const { inbox, tag } = await consume(channel, queue);
      const [a, b] = await inbox.take(2);
      await channel.cancel(tag);
      assert.equal(await readyCount(channel, queue), 0, "cancelling alone requeues nothing");
      channel.ack(a!);
      channel.reject(b!, true);
      assert.equal(await readyCount(channel, queue), 1);
    });

    test("get takes one message, tells how many are left, and tells an empty queue", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      await send(channel, queue, "a", "b", "c");
      const a = await channel.get(queue);
      assert.ok(a);
      assert.deepEqual([shown(a), a.fields.messageCount, a.fields.routingKey], ["a", 2, queue]);
      const b = await channel.get(queue, { noAck: true });
      assert.ok(b);
      assert.deepEqual([shown(b), b.fields.messageCount], ["b", 1]);
      channel.nack(a);
      const again = await channel.get(queue);
      assert.ok(again);
      assert.equal(shown(again), "a!");
      channel.ack(again);
      assert.equal(await readyCount(channel, queue), 1);
      assert.ok(await channel.get(queue, { noAck: true }));
      assert.equal(await channel.get(queue), false);
    });

    test("prefetch limits what each consumer has outstanding", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      await send(channel, queue, ..."abcdef");
      await channel.prefetch(2);
      const first = await consume(channel, queue);
      const given = await first.inbox.take(2);
      assert.equal(await readyCount(channel, queue), 4);
      const second = await consume(channel, queue);
      assert.deepEqual((await second.inbox.take(2)).map(shown), ["c", "d"]);
      assert.equal(await readyCount(channel, queue), 2);
      channel.ack(given[0]!);
      assert.equal(shown(await first.inbox.next()), "e");
      assert.equal(await readyCount(channel, queue), 1);
      assert.deepEqual([first.inbox.waiting.length, second.inbox.waiting.length], [0, 0]);
    });

    test("a shared prefetch limits what all consumers of the channel have outstanding", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      await channel.prefetch(3, true);
      const inboxes = [await consume(channel, queue), await consume(channel, queue)].map(({ inbox }) => inbox);
      await send(channel, queue, ..."abcdef");
      const held = () => inboxes.flatMap((inbox) => inbox.waiting);
      assert.deepEqual([held().length, await readyCount(channel, queue)], [3, 3]);
      channel.ack(held()[0]!);
      await waitFor("fourth delivery", () => held().length === 4);
      assert.equal(await readyCount(channel, queue), 2);
    });

    test("consumers of a queue take turns", async (client) => {
      const channel = await client.channel();
      const queue = await temporaryQueue(channel);
      const one = await consume(channel, queue, { noAck: true });
      const two = await consume(await client.channel(), queue, { noAck: true });
      await send(channel, queue, ..."abcdef");
      const shares = [await one.inbox.take(3), await two.inbox.take(3)].map((share) => share.map(shown).join(""));
      assert.deepEqual(shares.sort(), ["ace", "bdf"]);
    });

    test("a consumer learns that its queue was deleted", async (client) => {
      const channel = await client.channel();
      const { queue } = await channel.assertQueue("deleted under a consumer");
      const { inbox, cancelled } = await consume(channel, queue);
      await send(channel, queue, "a");
      const a = await inbox.next();
      await (await client.channel()).deleteQueue(queue);
      assert.equal(await cancelled.next("cancel"), null);
      channel.ack(a); // comes too late and hurts nobody
      assert.equal((await channel.assertQueue(queue)).messageCount, 0, "the channel lives on");
      await channel.deleteQueue(queue);
    });

    test("two hundred channels of a connection do not disturb each other", async (client) => {
      const channels = await Promise.all(Array.from({ length: 200 }, () => client.channel()));
      await Promise.all(channels.map(async (channel, index) => {
        const queue = await temporaryQueue(channel);
        const { inbox } = await consume(channel, queue);
        channel.sendToQueue(queue, pool.body(index, 1000 + index));
        const message = await inbox.next();
        assert.ok(pool.matches(index, 1000 + index, message.content), `channel ${index}: contents differ`);
        assert.equal(message.fields.deliveryTag, 1);
        channel.ack(message);
        await channel.close();
      }));
    });
  });
}

function defined(properties: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
}
