// What a program with @cloudamqp/amqp-client relies on: its channels with iterators, its sessions that reconnect, and
// how its errors read.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import {
  type AMQPChannel,
  AMQPClient,
  type AMQPMessage,
  AMQPSession,
  type AMQPSessionOptions,
} from "@cloudamqp/amqp-client";
import { BodyPool } from "../support/bodies.ts";
import { BrokerProcess, SharedBroker, testTargets } from "../support/broker_process.ts";
import { Inbox, waitFor, within } from "../support/wait.ts";

const TEST_TIMEOUT_MS = 60_000;
const BODY_SIZES = [0, 1, 16, 1024, 4_088, 4_089, 131_064, 131_065, 1024 * 1024];
const RECONNECT = { reconnectInterval: 20, maxReconnectInterval: 100, logger: null };

const pool = new BodyPool();

/** A connection that is closed at the end of the test, and keeps its errors to itself. */
class Client extends AMQPClient {
  static async open(uri: string): Promise<Client> {
    const client = new Client(uri, undefined, null);
    client.onerror = () => {};
    await client.connect();
    return client;
  }

  async quietChannel(): Promise<AMQPChannel> {
    const channel = await this.channel();
    channel.onerror = () => {};
    return channel;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.closed) await this.close();
  }
}

class Session {
  readonly session: AMQPSession;

  constructor(session: AMQPSession) {
    this.session = session;
  }

  static async open(uri: string, options: AMQPSessionOptions = {}): Promise<Session> {
    return new Session(await AMQPSession.connect(uri, { ...RECONNECT, ...options }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.stop();
  }
}

async function temporaryQueue(channel: AMQPChannel): Promise<string> {
  return (await channel.queueDeclare("", { exclusive: true })).name;
}

function shown(message: AMQPMessage): string {
  return `${message.bodyString() ?? ""}${message.redelivered ? "!" : ""}`;
}

for (const target of testTargets()) {
  describe(`@cloudamqp/amqp-client against ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());

    const onChannel = (name: string, act: (channel: AMQPChannel, client: Client) => Promise<void>) =>
      it(name, { timeout: TEST_TIMEOUT_MS }, async () => {
        await using client = await Client.open((await shared.get()).uri);
        await act(await client.channel(), client);
      });
    const inSession = (name: string, act: (session: AMQPSession) => Promise<void>) =>
      it(name, { timeout: TEST_TIMEOUT_MS }, async () => {
        await using held = await Session.open((await shared.get()).uri);
        await act(held.session);
      });

    for (const frameMax of [8_192, 131_072]) {
      it(`bodies of every size arrive in order and byte-identical, in frames of ${frameMax}`, {
        timeout: TEST_TIMEOUT_MS,
      }, async () => {
        await using client = await Client.open(`${(await shared.get()).uri}?frameMax=${frameMax}`);
        const channel = await client.channel();
        await channel.confirmSelect();
        const { name } = await channel.queueDeclare(`sizes by amqp-client ${frameMax}`, { durable: true });
        await Promise.all(
          BODY_SIZES.map((bytes, index) =>
            channel.basicPublish("", name, pool.body(index, bytes), { deliveryMode: 2, messageId: `${index}` })
          ),
        );
        const consumer = await channel.basicConsume(name, { noAck: false });
        let index = 0;
        for await (const message of consumer.messages) {
          assert.equal(message.properties.messageId, `${index}`);
          const body = message.body ?? new Uint8Array(0);
          assert.ok(pool.matches(index, BODY_SIZES[index]!, body), `message ${index}: contents differ`);
          await message.ack();
          if (++index === BODY_SIZES.length) break;
        }
        await consumer.cancel();
        assert.deepEqual(await channel.queueDelete(name), { messageCount: 0 });
      });
    }

    onChannel("all properties and header types round-trip", async (channel) => {
      const queue = await temporaryQueue(channel);
      const properties = {
        contentType: "text/plain",
        contentEncoding: "identity",
        headers: {
          yes: true,
          int: -42,
          long: 2 ** 50,
          real: 0.5, // this client writes single precision
          text: "häder 🐇",
          none: null,
          moment: new Date(1_700_000_000_000),
          list: [1, "two", { three: 3 }, [false]],
          deep: { deeper: { deepest: "yes" } },
        },
        deliveryMode: 2,
        priority: 5,
        correlationId: "correlation",
        replyTo: "reply",
        messageId: "message",
        timestamp: new Date(1_700_000_000_000),
        type: "type",
        userId: "guest",
        appId: "application",
      };
      await channel.basicPublish("", queue, "text", properties);
      const message = await waitFor("message", async () => await channel.basicGet(queue, { noAck: true }) ?? undefined);
      assert.equal(message.bodyString(), "text");
      assert.deepEqual({ ...message.properties }, properties);
    });

    onChannel("rejected, recovered and settled as several", async (channel) => {
      const queue = await temporaryQueue(channel);
      for (const text of "abcdef") await channel.basicPublish("", queue, text);
      const messages: AMQPMessage[] = [];
      for (let count = 0; count < 6; count++) {
        messages.push(await channel.basicGet(queue, { noAck: false }) as AMQPMessage);
      }
      assert.equal(messages[0]!.messageCount, 5);
      assert.equal(await channel.basicGet(queue), null);
      await messages[1]!.ack(true);
      await messages[2]!.reject(false);
      await messages[4]!.nack(true, true);
      await channel.basicRecover(true);
      const inbox = new Inbox<AMQPMessage>();
      await channel.basicConsume(queue, { noAck: true }, (message) => inbox.push(message));
      assert.deepEqual((await inbox.take(3)).map(shown), ["d!", "e!", "f!"]);
    });

    onChannel("what has no route is returned, then confirmed", async (channel) => {
      await channel.confirmSelect();
      const returned = new Inbox<AMQPMessage>();
      channel.onReturn = (message) => returned.push(message);
      assert.equal(await channel.basicPublish("amq.topic", "nowhere", "back", { type: "kind" }, true), 1);
      const { replyCode, replyText, routingKey, properties, ...rest } = returned.waiting[0]!;
      assert.deepEqual([replyCode, replyText, routingKey, properties.type], [312, "NO_ROUTE", "nowhere", "kind"]);
      assert.equal(rest.exchange, "amq.topic");
      assert.equal(await channel.basicPublish("amq.topic", "nowhere", "dropped"), 2);
      assert.equal(returned.waiting.length, 1);
    });

    onChannel("prefetch limits what is outstanding, and flow on is answered", async (channel) => {
      const queue = await temporaryQueue(channel);
      for (const text of "abcde") await channel.basicPublish("", queue, text);
      await channel.basicQos(2);
      const inbox = new Inbox<AMQPMessage>();
      await channel.basicConsume(queue, { noAck: false }, (message) => inbox.push(message));
      const [, b] = await inbox.take(2);
      assert.deepEqual(await channel.queueDeclare(queue, { passive: true }), {
        name: queue,
        messageCount: 3,
        consumerCount: 1,
      });
      await b!.ack(true);
      assert.deepEqual((await inbox.take(2)).map(shown), ["c", "d"]);
      assert.deepEqual(await channel.queuePurge(queue), { messageCount: 1 });
      assert.equal(await channel.basicFlow(true), true);
    });

    onChannel("exchanges and bindings", async (channel) => {
      const queue = await temporaryQueue(channel);
      await channel.exchangeDeclare("outer of amqp-client", "topic", { autoDelete: true, durable: false });
      await channel.exchangeDeclare("inner of amqp-client", "direct", { autoDelete: true, durable: false });
      await channel.exchangeBind("inner of amqp-client", "outer of amqp-client", "a.#");
      await channel.queueBind(queue, "inner of amqp-client", "a.b");
      await channel.queueBind(queue, "inner of amqp-client", "a.c", { note: 1 });
      for (const key of ["a.b", "a.c", "a.d", "b.a"]) await channel.basicPublish("outer of amqp-client", key, key);
      assert.equal((await channel.queueDeclare(queue, { passive: true })).messageCount, 2);
      await channel.queueUnbind(queue, "inner of amqp-client", "a.c", { note: 1 });
      await channel.basicPublish("outer of amqp-client", "a.c", "gone");
      assert.equal((await channel.queueDeclare(queue, { passive: true })).messageCount, 2);
      await channel.queueUnbind(queue, "inner of amqp-client", "a.b");
      const error = await channel.exchangeDeclare("inner of amqp-client", "direct", { passive: true }).catch((error) =>
        error
      );
      assert.match(error.message, /NOT_FOUND.*\(404\)/);
    });

    it("refusals name their codes, and end no more than they must", { timeout: TEST_TIMEOUT_MS }, async () => {
      const { uri, port } = await shared.get();
      await using owner = await Client.open(uri);
      const locked = await temporaryQueue(await owner.channel());
      await using client = await Client.open(uri);
      const kept = await client.channel();
      const refused: [RegExp, (channel: AMQPChannel) => Promise<unknown>][] = [
        [/channel \d+ closed: NOT_FOUND .*\(404\)/, (channel) => channel.queueDeclare("none", { passive: true })],
        [/channel \d+ closed: RESOURCE_LOCKED .*\(405\)/, (channel) => channel.queuePurge(locked)],
        [
          /channel \d+ closed: PRECONDITION_FAILED .*\(406\)/,
          (channel) => channel.exchangeDeclare("amq.fanout", "direct"),
        ],
        [
          /channel \d+ closed: PRECONDITION_FAILED .*x-max-age.*\(406\)/,
          (channel) => channel.queueDeclare("no stream", {}, { "x-max-age": "1h" }),
        ],
        [/channel \d+ closed: ACCESS_REFUSED .*\(403\)/, (channel) => channel.exchangeDelete("amq.fanout")],
      ];
      for (const [text, act] of refused) {
        await assert.rejects(act(await client.quietChannel()), text);
        assert.ok((await temporaryQueue(kept)).length > 0);
      }
      const ended: [RegExp, (channel: AMQPChannel) => Promise<unknown>][] = [
        [/NOT_IMPLEMENTED .*prefetch_size.*\(540\)/, (channel) => channel.basicQos(1, 1)],
      ];
      for (const [text, act] of ended) {
        await using other = await Client.open(uri);
        await assert.rejects(act(await other.quietChannel()), text);
        assert.ok(other.closed);
      }
      assert.ok(!client.closed);
      await assert.rejects(Client.open(`amqp://guest:wrong@127.0.0.1:${port}`), /ACCESS_REFUSED.*\(403\)/);
      await assert.rejects(Client.open(`${uri}/none`), /NOT_ALLOWED - vhost none not found.*\(530\)/);
    });

    inSession("a session's queue is published to and iterated over", async (session) => {
      const queue = await session.queue("iterated", { durable: true });
      for (const text of "abc") await queue.publish(text);
      // With a prefetch of 1 it would wait forever: it acknowledges a message when the next one comes.
      const subscription = await queue.subscribe({ prefetch: 2 });
      const seen: string[] = [];
      for await (const message of subscription) {
        seen.push(shown(message));
        if (seen.length === 3) {
          await message.ack();
          break;
        }
      }
      await subscription.cancel();
      assert.deepEqual(seen, ["a", "b", "c"]);
      assert.equal(await queue.get(), null);
      await queue.delete({ ifEmpty: true, ifUnused: true });
    });

    inSession("a callback that throws gets its message again, and one at a time is taken", async (session) => {
      const queue = await session.queue("called back");
      const inbox = new Inbox<string>();
      const subscription = await queue.subscribe({ prefetch: 1 }, (message) => {
        inbox.push(shown(message));
        if (!message.redelivered) throw new Error("as asked for");
      });
      await queue.publish("a");
      assert.deepEqual(await inbox.take(2), ["a", "a!"]);
      await subscription.cancel();
      await queue.publish("b");
      await queue.publish("c");
      assert.equal(shown(await queue.consumeOne({ timeout: 10_000 })), "b");
      assert.deepEqual(await queue.purge(), { messageCount: 1 });
      await queue.delete();
    });

    inSession("exchanges of a session lead to its queues", async (session) => {
      const queue = await session.queue("", { exclusive: true });
      const topics = await session.topicExchange();
      await queue.bind(topics, "*.orange");
      await topics.publish("x", { routingKey: "an.orange" });
      await topics.publish("y", { routingKey: "an.apple" });
      assert.equal((await queue.get({ noAck: true }))?.bodyString(), "x");
      assert.equal(await queue.get({ noAck: true }), null);
    });

    inSession("RPC by direct reply-to, one call and many at once", async (session) => {
      const server = await session.rpcServer("requests", (message) => `${message.bodyString()} pong`);
      const single = await session.rpcCall("requests", "ping", { timeout: 10_000 });
      assert.equal(single.bodyString(), "ping pong");
      const client = await session.rpcClient();
      const calls = Array.from({ length: 20 }, (_, index) => client.call("requests", `${index}`, { timeout: 10_000 }));
      const answers = (await Promise.all(calls)).map((message) => message.bodyString());
      assert.deepEqual(answers, Array.from({ length: 20 }, (_, index) => `${index} pong`));
      await client.close();
      await server.close();
    });

    onChannel("transactions, flow and recover do what they say", async (channel, client) => {
      const { name } = await channel.queueDeclare("", { exclusive: true });
      await channel.txSelect();
      await channel.basicPublish("", name, "forgotten");
      await channel.txRollback();
      await channel.basicPublish("", name, "kept");
      await channel.txCommit();
      const other = await client.channel();
      const inbox = new Inbox<AMQPMessage>();
      await other.basicFlow(false);
      await other.basicConsume(name, { noAck: false }, (message) => inbox.push(message));
      await other.basicFlow(true);
      assert.equal(shown(await inbox.next()), "kept");
      await other.basicRecover(false);
      assert.equal(shown(await inbox.next()), "kept!");
    });

    it("a session and its subscription come back with the broker", { timeout: TEST_TIMEOUT_MS }, async () => {
      const broker = await BrokerProcess.start(target);
      try {
        const connected = new Inbox<true>();
        const disconnected = new Inbox<true>();
        await using held = await Session.open(broker.uri, {
          onconnect: () => connected.push(true),
          ondisconnect: () => disconnected.push(true),
        });
        const queue = await held.session.queue("comes back", { durable: true });
        await connected.next("session");
        const inbox = new Inbox<AMQPMessage>();
        await queue.subscribe({ manualAck: true }, (message) => inbox.push(message));
        await queue.publish("a");
        await queue.publish("b");
        const [, b] = await inbox.take(2);
        await b!.ack();
        await queue.publish("c");
        await inbox.next();
        assert.equal(await broker.terminate(), 0);
        await disconnected.next("end of the session");
        await broker.restart();
        await connected.next("session again");
        assert.deepEqual((await inbox.take(2)).map(shown), ["a!", "c!"]);
        await within("publish", queue.publish("d"), 10_000);
        assert.equal(shown(await inbox.next()), "d");
      } finally {
        await broker.dispose();
      }
    });
  });
}
