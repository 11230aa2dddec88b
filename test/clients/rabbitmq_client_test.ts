// What a program with rabbitmq-client relies on: its publishers, consumers, replies and errors, and that it comes back
// by itself when the broker does.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { type AsyncMessage, type Channel, Connection, ConsumerStatus, type ReturnedMessage } from "rabbitmq-client";
import { BodyPool } from "../support/bodies.ts";
import { BrokerProcess, SharedBroker, testTargets } from "../support/broker_process.ts";
import { Inbox, waitFor, within } from "../support/wait.ts";

const TEST_TIMEOUT_MS = 60_000;
/** Around the borders of frames. This client's body frames exceed what was negotiated by 8 octets. */
const BODY_SIZES = [0, 1, 16, 1024, 8_184, 8_185, 8_192, 8_193, 131_064, 131_072, 131_073, 1024 * 1024];

interface Failure extends Error {
  code: string;
}

const pool = new BodyPool();

/** One that comes back fast, and keeps the errors that it emits instead of throwing them. */
class Rabbit extends Connection {
  readonly failures = new Inbox<Failure>();

  constructor(uri: string, options: { frameMax?: number; maxChannels?: number; heartbeat?: number } = {}) {
    super({ url: uri, retryLow: 20, retryHigh: 100, acquireTimeout: 10_000, ...options });
    this.on("error", (error: Failure) => this.failures.push(error));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await within("end of the connection", this.close(), 10_000);
  }
}

async function temporaryQueue(channel: Channel): Promise<string> {
  return (await channel.queueDeclare({ exclusive: true })).queue;
}

/** What a call is rejected with, by rabbitmq-client's names of the codes. */
async function failureOf(call: Promise<unknown>): Promise<Failure> {
  return await call.then(() => assert.fail("expected a refusal"), (error) => error);
}

for (const target of testTargets()) {
  describe(`rabbitmq-client against ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());

    const test = (name: string, act: (rabbit: Rabbit, uri: string) => Promise<void>) =>
      it(name, { timeout: TEST_TIMEOUT_MS }, async () => {
        const { uri } = await shared.get();
        await using rabbit = new Rabbit(uri);
        await act(rabbit, uri).catch((error) => {
          rabbit.unsafeDestroy(); // closing would wait for channels that are left
          throw error;
        });
      });

    for (const frameMax of [8_192, 131_072]) {
      test(`bodies of every size arrive in order and byte-identical, in frames of ${frameMax}`, async (_, uri) => {
        await using rabbit = new Rabbit(uri, { frameMax });
        const queue = `sizes by rabbitmq-client ${frameMax}`;
        const publisher = rabbit.createPublisher({ confirm: true, queues: [{ queue, durable: true }] });
        const sends = BODY_SIZES.map((bytes, index) =>
          publisher.send({ routingKey: queue, durable: true, messageId: `${index}` }, pool.body(index, bytes))
        );
        await Promise.all(sends);
        const inbox = new Inbox<AsyncMessage>();
        const consumer = rabbit.createConsumer({ queue, queueOptions: { durable: true } }, (message) => {
          inbox.push(message);
        });
        for (const [index, message] of (await inbox.take(BODY_SIZES.length)).entries()) {
          assert.equal(message.messageId, `${index}`);
          assert.ok(pool.matches(index, BODY_SIZES[index]!, message.body), `message ${index}: contents differ`);
        }
        await consumer.close();
        await publisher.close();
        await rabbit.queueDelete(queue);
      });
    }

    test("all properties, header types and kinds of body round-trip", async (rabbit) => {
      const channel = await rabbit.acquire();
      const queue = await temporaryQueue(channel);
      const envelope = {
        contentEncoding: "identity",
        headers: {
          yes: true,
          int: -5,
          big: 2 ** 40,
          real: 1.5,
          text: "häder",
          list: [1, "two", null],
          deep: { er: {} },
        },
        durable: true,
        priority: 9,
        correlationId: "correlation",
        replyTo: "reply",
        messageId: "message",
        timestamp: 1_700_000_000,
        type: "type",
        userId: "guest",
        appId: "application",
      };
      await channel.basicPublish({ routingKey: queue, ...envelope, contentType: "x/y" }, Buffer.from([0, 255]));
      await channel.basicPublish({ routingKey: queue }, { json: ["häder", 1, null] });
      await channel.basicPublish({ routingKey: queue }, "text");
      const full = await channel.basicGet({ queue, noAck: true });
      assert.ok(full);
      const { body, exchange, routingKey, messageCount, redelivered, deliveryTag: _, ...properties } = full;
      assert.deepEqual(properties, { ...envelope, contentType: "x/y", deliveryMode: 2 });
      assert.deepEqual([...body], [0, 255]);
      assert.deepEqual([exchange, routingKey, messageCount, redelivered], ["", queue, 2, false]);
      assert.deepEqual((await channel.basicGet({ queue, noAck: true }))?.body, { json: ["häder", 1, null] });
      assert.equal((await channel.basicGet({ queue, noAck: true }))?.body, "text");
      assert.equal(await channel.basicGet({ queue, noAck: true }), undefined);
      await channel.close();
    });

    test("a publisher gets back what has no route, and its confirm", async (rabbit) => {
      const returned = new Inbox<ReturnedMessage>();
      const publisher = rabbit.createPublisher({ confirm: true, onReturn: (message) => returned.push(message) });
      publisher.on("basic.return", (message) => returned.push(message));
      await publisher.send({ exchange: "amq.direct", routingKey: "no such key", mandatory: true }, "back");
      const { replyCode, replyText, routingKey, body } = await returned.next("return");
      assert.deepEqual([replyCode, replyText, routingKey, body], [312, "NO_ROUTE", "no such key", "back"]);
      await publisher.send({ exchange: "amq.direct", routingKey: "no such key" }, "dropped");
      await publisher.close();
    });

    test("a publisher to a missing exchange is told so, and goes on", async (rabbit) => {
      const publisher = rabbit.createPublisher({ confirm: true });
      assert.equal((await failureOf(publisher.send({ exchange: "none" }, "x"))).code, "NOT_FOUND");
      await publisher.send({ exchange: "amq.fanout" }, "x");
      await publisher.close();
    });

    test("a consumer acknowledges, requeues and drops as its handler says", async (rabbit) => {
      const queue = "handled";
      const log = new Inbox<string>();
      const consumer = rabbit.createConsumer({ queue, requeue: false, qos: { prefetchCount: 1 } }, (message) => {
        log.push(`${message.body}${message.redelivered ? "!" : ""}`);
        if (message.body === "throw") throw new Error("as asked for");
        if (message.body === "drop") return ConsumerStatus.DROP;
        if (message.body === "requeue" && !message.redelivered) return ConsumerStatus.REQUEUE;
      });
      const failures = new Inbox<Error>();
      consumer.on("error", (error) => failures.push(error));
      await new Promise<void>((resolve) => consumer.on("ready", resolve));
      const publisher = rabbit.createPublisher({ confirm: true });
      for (const text of ["ack", "requeue", "drop", "throw", "last"]) await publisher.send(queue, text);
      const seen = await log.take(6);
      assert.deepEqual(seen.sort(), ["ack", "drop", "last", "requeue", "requeue!", "throw"]);
      assert.match((await failures.next()).message, /as asked for/);
      await consumer.close();
      assert.deepEqual(
        [consumer.stats.acknowledged, consumer.stats.requeued, consumer.stats.dropped],
        [3, 1, 2],
      );
      assert.deepEqual(await rabbit.queueDelete(queue), { messageCount: 0 });
      await publisher.close();
    });

    test("a prefetch limits how many messages wait for their handlers", async (rabbit) => {
      const channel = await rabbit.acquire();
      const { queue } = await channel.queueDeclare({ queue: "limited" });
      for (let index = 0; index < 5; index++) await channel.basicPublish(queue, `${index}`);
      const handlers = new Inbox<() => void>();
      const consumer = rabbit.createConsumer(
        { queue, qos: { prefetchCount: 2 } },
        () => new Promise<void>((resolve) => handlers.push(resolve)),
      );
      const [first, second] = await handlers.take(2);
      assert.equal((await channel.queueDeclare({ queue, passive: true })).messageCount, 3);
      first!();
      const third = await handlers.next();
      assert.equal((await channel.queueDeclare({ queue, passive: true })).messageCount, 2);
      second!();
      third();
      for (const done of await handlers.take(2)) done();
      await consumer.close();
      await channel.queueDelete(queue);
      await channel.close();
    });

    test("a consumer whose queue is deleted declares it again", async (rabbit) => {
      const queue = "declared again";
      const inbox = new Inbox<string>();
      const ready = new Inbox<true>();
      const failures = new Inbox<Error>();
      const consumer = rabbit.createConsumer({ queue, queueOptions: { autoDelete: false } }, (message) => {
        inbox.push(message.body);
      });
      consumer.on("ready", () => ready.push(true));
      consumer.on("error", (error) => failures.push(error));
      await ready.next("consumer");
      await rabbit.queueDelete(queue);
      assert.match((await failures.next("cancel")).message, /cancel/i);
      await ready.next("consumer again");
      const publisher = rabbit.createPublisher({ confirm: true });
      await publisher.send(queue, "after");
      assert.equal(await inbox.next(), "after");
      await consumer.close();
      await publisher.close();
      await rabbit.queueDelete(queue);
    });

    test("a request is answered through the requester's own queue", async (rabbit) => {
      const requests = "requests";
      const server = rabbit.createConsumer({ queue: requests }, async (request, reply) => {
        await reply(`${request.body} pong`);
      });
      await new Promise<void>((resolve) => server.on("ready", resolve));
      const channel = await rabbit.acquire();
      const replyTo = await temporaryQueue(channel);
      const replies = new Inbox<AsyncMessage>();
      await channel.basicConsume({ queue: replyTo, noAck: true }, (message) => replies.push(message));
      for (let id = 0; id < 10; id++) {
        await channel.basicPublish({ routingKey: requests, replyTo, correlationId: `${id}` }, `ping ${id}`);
      }
      const answers = (await replies.take(10)).map(({ correlationId, body }) => `${correlationId}: ${body}`);
      assert.deepEqual(answers, Array.from({ length: 10 }, (_, id) => `${id}: ping ${id} pong`));
      await server.close();
      await channel.queueDelete(requests);
      await channel.close();
    });

    test("its own RPC client gets its answers by direct reply-to", async (rabbit) => {
      const server = rabbit.createConsumer({ queue: "direct requests" }, async (request, reply) => {
        await reply(`${request.body} pong`);
      });
      await new Promise<void>((resolve) => server.on("ready", resolve));
      const client = rabbit.createRPCClient();
      const answers = await Promise.all(Array.from({ length: 20 }, (_, id) => client.send("direct requests", `${id}`)));
      assert.deepEqual(answers.map(({ body }) => body), Array.from({ length: 20 }, (_, id) => `${id} pong`));
      await client.close();
      await server.close();
      await rabbit.queueDelete("direct requests");
    });

    test("topic bindings of a consumer lead its messages to it, each once", async (rabbit) => {
      const inbox = new Inbox<string>();
      const exchange = "topics of rabbitmq-client";
      const consumer = rabbit.createConsumer({
        queueOptions: { exclusive: true },
        exchanges: [{ exchange, type: "topic", autoDelete: true }],
        queueBindings: [{ exchange, routingKey: "*.orange.*" }, { exchange, routingKey: "lazy.#" }],
      }, (message) => void inbox.push(message.routingKey));
      await new Promise<void>((resolve) => consumer.on("ready", resolve));
      const publisher = rabbit.createPublisher({ confirm: true });
      for (const routingKey of ["a.orange.b", "orange", "lazy", "lazy.orange.c", "a.b.c", "lazy.x.y.z"]) {
        await publisher.send({ exchange, routingKey }, "");
      }
      assert.deepEqual(await inbox.take(4), ["a.orange.b", "lazy", "lazy.orange.c", "lazy.x.y.z"]);
      assert.equal(inbox.waiting.length, 0);
      await consumer.close();
      await publisher.close();
    });

    test("counts of declare, purge and delete, and their conditions", async (rabbit) => {
      const queue = "counted by rabbitmq-client";
      assert.deepEqual(await rabbit.queueDeclare(queue), { queue, messageCount: 0, consumerCount: 0 });
      const channel = await rabbit.acquire();
      for (const text of ["a", "b", "c"]) await channel.basicPublish(queue, text);
      assert.deepEqual(await channel.queueDeclare({ queue, passive: true }), {
        queue,
        messageCount: 3,
        consumerCount: 0,
      });
      assert.equal((await failureOf(rabbit.queueDelete({ queue, ifEmpty: true }))).code, "PRECONDITION_FAILED");
      assert.deepEqual(await channel.queuePurge(queue), { messageCount: 3 });
      const inbox = new Inbox<AsyncMessage>();
      await channel.basicConsume({ queue, noAck: true }, (message) => inbox.push(message));
      assert.equal((await failureOf(rabbit.queueDelete({ queue, ifUnused: true }))).code, "PRECONDITION_FAILED");
      await channel.basicPublish(queue, "d");
      await inbox.next();
      await channel.close();
      assert.deepEqual(await rabbit.queueDelete({ queue, ifUnused: true, ifEmpty: true }), { messageCount: 0 });
    });

    test("refusals reject the call by their names, and the connection lives on", async (rabbit, uri) => {
      await using owner = new Rabbit(uri);
      await owner.queueDeclare({ queue: "locked", exclusive: true });
      await rabbit.queueDeclare({ queue: "present", durable: true });
      const alone = async (call: (channel: Channel) => Promise<unknown>) => {
        const channel = await rabbit.acquire();
        return (await failureOf(call(channel))).code;
      };
      assert.equal(await alone((channel) => channel.queueDeclare({ queue: "none", passive: true })), "NOT_FOUND");
      assert.equal(await alone((channel) => channel.queueBind({ queue: "present", exchange: "none" })), "NOT_FOUND");
      assert.equal(await alone((channel) => channel.queueDeclare({ queue: "locked" })), "RESOURCE_LOCKED");
      assert.equal(await alone((channel) => channel.queueDeclare({ queue: "present" })), "PRECONDITION_FAILED");
      assert.equal(await alone((channel) => channel.queueDeclare({ queue: "amq.mine" })), "ACCESS_REFUSED");
      assert.ok(rabbit.ready);
      await rabbit.queueDelete("present");
    });

    test("what a stream does not do closes the connection by its name; it comes back", async (rabbit) => {
      const args = { "x-queue-type": "stream" } as const;
      await rabbit.queueDeclare({ queue: "stream", durable: true, arguments: args });
      const { code, message } = await failureOf(rabbit.basicGet({ queue: "stream" }));
      assert.deepEqual([code, /stream/.test(message)], ["NOT_IMPLEMENTED", true]);
      await rabbit.onConnect(10_000);
      assert.ok((await rabbit.queueDeclare({ exclusive: true })).queue);
    });

    it("a wrong login and an unknown virtual host are told by their names", { timeout: TEST_TIMEOUT_MS }, async () => {
      const { port, uri } = await shared.get();
      for (
        const [wrong, name, text] of [
          [`amqp://guest:wrong@127.0.0.1:${port}`, "ACCESS_REFUSED", /Login was refused/],
          [`amqp://nobody:guest@127.0.0.1:${port}`, "ACCESS_REFUSED", /Login was refused/],
          [`${uri}/none`, "NOT_ALLOWED", /vhost none not found/],
        ] as const
      ) {
        await using rabbit = new Rabbit(wrong);
        const { code, message } = await rabbit.failures.next("refusal");
        assert.equal(code, name);
        assert.match(message, text);
      }
    });

    test("a hundred channels of a connection work side by side", async (rabbit) => {
      const channels = await Promise.all(Array.from({ length: 100 }, () => rabbit.acquire()));
      await Promise.all(channels.map(async (channel, index) => {
        const queue = await temporaryQueue(channel);
        await channel.confirmSelect();
        await channel.basicPublish({ routingKey: queue }, `${index}`);
        assert.equal((await channel.basicGet({ queue, noAck: true }))?.body, `${index}`);
        await channel.close();
      }));
    });

    it("publisher and consumer live through a restart, and lose nothing", { timeout: TEST_TIMEOUT_MS }, async () => {
      const count = 300;
      const broker = await BrokerProcess.start(target);
      try {
        await using rabbit = new Rabbit(broker.uri);
        const queue = "through a restart";
        const queues = [{ queue, durable: true }];
        const publisher = rabbit.createPublisher({ confirm: true, maxAttempts: 20, queues });
        const consumed = new Set<number>();
        const consumer = rabbit.createConsumer({ queue, queueOptions: { durable: true } }, (message) => {
          consumed.add(Number(message.messageId));
        });
        consumer.on("error", () => {});
        let sent = 0;
        const publishing = (async () => {
          for (; sent < count; sent++) {
            await publisher.send({ routingKey: queue, durable: true, messageId: `${sent}` }, pool.body(sent, 100));
          }
        })();
        await waitFor("a third", () => sent > count / 3);
        assert.equal(await broker.terminate(), 0);
        const before = sent;
        await broker.restart();
        await publishing;
        assert.ok(before < count, "the broker went while messages were published");
        await waitFor("all messages", () => consumed.size === count);
        await consumer.close();
        await publisher.close();
      } finally {
        await broker.dispose();
      }
    });
  });
}
