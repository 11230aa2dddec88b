// The common patterns as programs with rabbitmq-client write them: its publishers, its consumers that declare what they
// need and settle by what their handlers return, and its RPC client.

import assert from "node:assert/strict";
import { Connection, type Consumer, ConsumerStatus } from "rabbitmq-client";
import { Inbox, within } from "../support/wait.ts";
import {
  documentHeaders,
  DOCUMENTS,
  expectedDeaths,
  expectedEntries,
  failures,
  FAILURES_MAX,
  NEWS,
  OVERFLOW,
  type Patterns,
  PRIORITIES,
  PRIORITY_QUEUE,
  REQUESTS,
  retryQueues,
  shownDeaths,
  SMALL_QUEUE,
  STREAM,
  STREAM_LENGTH,
  STREAM_PREFETCH,
  STREAM_READERS,
  TASKS,
  TASKS_DONE,
  TOPICS,
  TRANSACTIONS,
} from "./patterns.ts";

class Rabbit extends Connection {
  constructor(uri: string) {
    super({ url: uri, acquireTimeout: 10_000 });
  }

  async started(consumer: Consumer): Promise<Consumer> {
    await within("consumer", new Promise<void>((resolve) => consumer.on("ready", resolve)));
    return consumer;
  }

  /** Also when the test failed with channels left open, which a plain close would wait for. */
  [Symbol.dispose](): void {
    this.unsafeDestroy();
  }
}

function shown(message: { body: unknown; redelivered: boolean }): string {
  return `${message.body}${message.redelivered ? "!" : ""}`;
}

export const rabbitmqPatterns: Patterns = {
  async "requests are answered by direct reply-to"(uri, prefix) {
    using serving = new Rabbit(uri);
    using rabbit = new Rabbit(uri);
    const queue = `${prefix} requests`;
    const options = { queue, queueOptions: { autoDelete: true }, qos: { prefetchCount: 1 } };
    const server = await serving.started(
      serving.createConsumer(options, async (request, reply) => await reply(`${request.body} pong`)),
    );
    const client = rabbit.createRPCClient({ confirm: true });
    const answers = await Promise.all(REQUESTS.map((id) => client.send(queue, `ping ${id}`)));
    assert.deepEqual(answers.map(({ body }) => body), REQUESTS.map((id) => `ping ${id} pong`));
    await client.close();
    await server.close();
  },

  async "workers share tasks, and a lost worker's task is done by another"(uri, prefix) {
    using rabbit = new Rabbit(uri);
    using lost = new Rabbit(uri);
    const queue = `${prefix} tasks`;
    const publisher = rabbit.createPublisher({ confirm: true, queues: [{ queue, durable: true }] });
    for (const task of TASKS) await publisher.send({ routingKey: queue, durable: true }, task);

    const options = { queue, queueOptions: { durable: true }, qos: { prefetchCount: 1 } };
    const begun = new Inbox<string>();
    const doomed = lost.createConsumer(options, async (task) => {
      begun.push(shown(task));
      await new Promise<never>(() => {});
    });
    doomed.on("error", () => {}); // it will be
    assert.equal(await begun.next("task of the worker that will be lost"), "0");
    const done = new Inbox<string>();
    let first: unknown[] | undefined;
    const worker = rabbit.createConsumer(options, async (task) => {
      if (first === undefined) {
        first = [shown(task), (await rabbit.queueDeclare({ queue, passive: true })).messageCount];
        lost.unsafeDestroy();
      }
      done.push(shown(task));
    });
    assert.deepEqual((await done.take(TASKS.length)).sort(), TASKS_DONE);
    assert.deepEqual(first, ["1", TASKS.length - 2]);
    await worker.close();
    await publisher.close();
    assert.deepEqual(await rabbit.queueDelete(queue), { messageCount: 0 });
  },

  async "every subscriber of a fanout exchange gets the news"(uri, prefix) {
    using rabbit = new Rabbit(uri);
    const exchange = `${prefix} news`;
    const inboxes = [new Inbox<string>(), new Inbox<string>()];
    const consumers = await Promise.all(inboxes.map((inbox) =>
      rabbit.started(rabbit.createConsumer({
        queueOptions: { exclusive: true },
        exchanges: [{ exchange, type: "fanout", autoDelete: true }],
        queueBindings: [{ exchange }],
      }, (message) => void inbox.push(shown(message))))
    ));
    const publisher = rabbit.createPublisher({ confirm: true });
    for (const text of NEWS) await publisher.send({ exchange }, text);
    for (const inbox of inboxes) assert.deepEqual(await inbox.take(NEWS.length), NEWS);
    for (const consumer of consumers) await consumer.close();
    await publisher.close();
  },

  async "topics lead to those who asked for them"(uri, prefix) {
    using rabbit = new Rabbit(uri);
    const exchange = `${prefix} animals`;
    const inboxes = await Promise.all(TOPICS.subscribers.map(async ({ patterns }) => {
      const inbox = new Inbox<string>();
      await rabbit.started(rabbit.createConsumer({
        queueOptions: { exclusive: true },
        exchanges: [{ exchange, type: "topic", autoDelete: true }],
        queueBindings: patterns.map((routingKey) => ({ exchange, routingKey })),
      }, (message) => void inbox.push(message.routingKey)));
      return inbox;
    }));
    const publisher = rabbit.createPublisher({ confirm: true });
    for (const routingKey of [...TOPICS.keys, "lazy.last", "the.orange.last"]) {
      await publisher.send({ exchange, routingKey }, "");
    }
    for (const [index, { expected }] of TOPICS.subscribers.entries()) {
      const last = index === 0 ? "the.orange.last" : "lazy.last";
      assert.deepEqual(await inboxes[index]!.take(expected.length + 1), [...expected, last]);
    }
    await publisher.close();
  },

  async "what failed is tried again later, through dead letters"(uri, prefix) {
    using rabbit = new Rabbit(uri);
    const [tried, later] = retryQueues(prefix);
    const declared = [tried, later].map(({ name, arguments: args }) => ({
      queue: name,
      durable: true,
      arguments: args,
    }));
    const publisher = rabbit.createPublisher({ confirm: true, queues: declared });
    await publisher.send({ routingKey: tried.name, durable: true, messageId: "1" }, "task");
    const tries: unknown[] = [];
    const deaths = new Inbox<unknown[]>();
    const consumer = rabbit.createConsumer({ queue: tried.name, queueOptions: declared[0]! }, (task) => {
      const failed = failures(task.headers, tried.name);
      tries.push([failed, task.messageId, shown(task)]);
      if (failed < FAILURES_MAX) return ConsumerStatus.DROP;
      deaths.push(shownDeaths(task.headers));
    });
    assert.deepEqual(await deaths.next("last try"), expectedDeaths(prefix));
    assert.deepEqual(tries, Array.from({ length: FAILURES_MAX + 1 }, (_, index) => [index, "1", "task"]));
    await consumer.close();
    await publisher.close();
    for (const { queue } of declared) assert.deepEqual(await rabbit.queueDelete(queue), { messageCount: 0 });
  },

  async "the more urgent comes first"(uri) {
    using rabbit = new Rabbit(uri);
    const queueOptions = { exclusive: true, arguments: PRIORITY_QUEUE };
    const { queue } = await rabbit.queueDeclare(queueOptions);
    const publisher = rabbit.createPublisher({ confirm: true });
    for (const priority of PRIORITIES.published) {
      await publisher.send({ routingKey: queue, ...(priority === undefined ? {} : { priority }) }, `${priority}`);
    }
    const inbox = new Inbox<string>();
    const options = { queue, queueOptions: { passive: true }, concurrency: 1, qos: { prefetchCount: 1 } };
    const consumer = rabbit.createConsumer(options, (message) => void inbox.push(shown(message)));
    assert.deepEqual(await inbox.take(PRIORITIES.expected.length), PRIORITIES.expected);
    await consumer.close();
    await publisher.close();
  },

  async "headers lead to those who asked for them"(uri, prefix) {
    using rabbit = new Rabbit(uri);
    const exchange = `${prefix} documents`;
    const inboxes = await Promise.all(DOCUMENTS.subscribers.map(async ({ binding }) => {
      const inbox = new Inbox<string>();
      await rabbit.started(rabbit.createConsumer({
        queueOptions: { exclusive: true },
        exchanges: [{ exchange, type: "headers", autoDelete: true }],
        queueBindings: [{ exchange, arguments: binding }],
      }, (message) => void inbox.push(shown(message))));
      return inbox;
    }));
    const publisher = rabbit.createPublisher({ confirm: true });
    const last = "pdf report"; // goes to both
    for (const kind of [...DOCUMENTS.kinds, last]) {
      await publisher.send({ exchange, headers: documentHeaders(kind) }, kind);
    }
    for (const [index, { expected }] of DOCUMENTS.subscribers.entries()) {
      assert.deepEqual(await inboxes[index]!.take(expected.length + 1), [...expected, last]);
    }
    await publisher.close();
  },

  async "a full queue refuses with a nack"(uri) {
    using rabbit = new Rabbit(uri);
    const { queue } = await rabbit.queueDeclare({ exclusive: true, arguments: SMALL_QUEUE });
    const publisher = rabbit.createPublisher({ confirm: true });
    const refused: string[] = [];
    for (const text of OVERFLOW.published) {
      if (text === null) {
        assert.ok(await rabbit.basicGet({ queue, noAck: true }));
        continue;
      }
      await publisher.send(queue, text).catch((error) => {
        assert.equal(error.code, "NACK");
        refused.push(text);
      });
    }
    assert.deepEqual(refused, OVERFLOW.refused);
    for (const text of OVERFLOW.kept) assert.equal((await rabbit.basicGet({ queue, noAck: true }))?.body, text);
    await publisher.close();
  },

  async "a stream is read again from its start, from an offset and from its end"(uri, prefix) {
    using rabbit = new Rabbit(uri);
    const queue = `${prefix} log`;
    const queueOptions = { queue, durable: true, arguments: STREAM };
    const publisher = rabbit.createPublisher({ confirm: true, queues: [queueOptions] });
    for (let index = 0; index < STREAM_LENGTH; index++) await publisher.send(queue, `${index}`);
    for (const { start, expected } of STREAM_READERS) {
      const inbox = new Inbox<unknown>();
      const options = { queue, queueOptions, qos: { prefetchCount: STREAM_PREFETCH } };
      const consumer = await rabbit.started(
        rabbit.createConsumer({ ...options, arguments: { "x-stream-offset": start } }, (entry) => {
          inbox.push([entry.headers?.["x-stream-offset"], shown(entry)]);
        }),
      );
      if (start === "next") await publisher.send(queue, `${STREAM_LENGTH}`);
      assert.deepEqual(await inbox.take(expected.length, `entry from ${start}`), expectedEntries(expected));
      await consumer.close();
    }
    await publisher.close();
    await rabbit.queueDelete(queue);
  },

  async [TRANSACTIONS](uri) {
    using rabbit = new Rabbit(uri);
    const { queue } = await rabbit.queueDeclare({ exclusive: true });
    const channel = await rabbit.acquire();
    await channel.txSelect();
    await channel.basicPublish(queue, "forgotten");
    await channel.txRollback();
    await channel.basicPublish(queue, "kept");
    assert.equal(await rabbit.basicGet(queue), undefined);
    await channel.txCommit();
    const kept = await channel.basicGet(queue);
    assert.equal(kept?.body, "kept");
    channel.basicAck(kept!);
    await channel.txCommit();
    await channel.close();
    assert.deepEqual(await rabbit.queueDelete(queue), { messageCount: 0 });
  },
};
