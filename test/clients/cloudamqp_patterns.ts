// The common patterns as programs with @cloudamqp/amqp-client write them: sessions with their queues, exchanges and RPC
// servers, subscriptions by callback and by iterator; channels only where a session has no such thing.

import assert from "node:assert/strict";
import { AMQPClient, type AMQPMessage, type AMQPQueue, AMQPSession } from "@cloudamqp/amqp-client";
import { Inbox } from "../support/wait.ts";
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

interface Held extends AsyncDisposable {
  session: AMQPSession;
}

async function open(uri: string): Promise<Held> {
  // One that is cut stays away for longer than the test takes.
  const session = await AMQPSession.connect(uri, { reconnectInterval: 60_000, logger: null });
  return { session, [Symbol.asyncDispose]: () => session.stop() };
}

/** Ends the connection of a session without a word. */
function cut(session: AMQPSession): void {
  (session as unknown as { client: { socket: { destroy(): void } } }).client.socket.destroy();
}

function shown(message: AMQPMessage): string {
  return `${message.bodyString() ?? ""}${message.redelivered ? "!" : ""}`;
}

async function takeAll(queue: AMQPQueue): Promise<string[]> {
  const texts: string[] = [];
  while (true) {
    const message = await queue.get({ noAck: true });
    if (message === null) return texts;
    texts.push(shown(message));
  }
}

export const cloudamqpPatterns: Patterns = {
  async "requests are answered by direct reply-to"(uri, prefix) {
    await using serving = await open(uri);
    const { name } = await serving.session.queue(`${prefix} requests`, { durable: false, autoDelete: true });
    const server = await serving.session.rpcServer(name, (request) => `${request.bodyString()} pong`);
    await using held = await open(uri);
    const client = await held.session.rpcClient();
    const answers = await Promise.all(REQUESTS.map((id) => client.call(name, `ping ${id}`, { timeout: 10_000 })));
    assert.deepEqual(answers.map((answer) => answer.bodyString()), REQUESTS.map((id) => `ping ${id} pong`));
    await client.close();
    await server.close();
  },

  async "workers share tasks, and a lost worker's task is done by another"(uri, prefix) {
    await using held = await open(uri);
    await using lost = await open(uri);
    const queue = await held.session.queue(`${prefix} tasks`, { durable: true });
    for (const task of TASKS) await queue.publish(task);

    const begun = new Inbox<string>();
    const doomed = await lost.session.queue(queue.name, { durable: true });
    await doomed.subscribe({ prefetch: 1, manualAck: true }, (task) => begun.push(shown(task)));
    assert.equal(await begun.next("task of the worker that will be lost"), "0");
    const done = new Inbox<AMQPMessage>();
    const subscription = await queue.subscribe({ prefetch: 1, manualAck: true }, (task) => done.push(task));
    const seen: string[] = [];
    while (seen.length < TASKS.length) {
      const task = await done.next("task");
      seen.push(shown(task));
      if (seen.length === 1) {
        const { messageCount } = await task.channel.queueDeclare(queue.name, { passive: true });
        assert.deepEqual([seen, messageCount], [["1"], TASKS.length - 2]);
        cut(lost.session);
      }
      await task.ack();
    }
    assert.deepEqual(seen.sort(), TASKS_DONE);
    await subscription.cancel();
    assert.deepEqual(await queue.delete(), { messageCount: 0 });
  },

  async "every subscriber of a fanout exchange gets the news"(uri, prefix) {
    await using held = await open(uri);
    await using other = await open(uri);
    const inboxes: Inbox<string>[] = [];
    for (const { session } of [held, other]) {
      const inbox = new Inbox<string>();
      const queue = await session.queue("", { exclusive: true });
      await queue.bind(await session.fanoutExchange(`${prefix} news`, { autoDelete: true }));
      await queue.subscribe({ noAck: true }, (message) => inbox.push(shown(message)));
      inboxes.push(inbox);
    }
    const exchange = await held.session.fanoutExchange(`${prefix} news`, { autoDelete: true });
    for (const text of NEWS) await exchange.publish(text);
    for (const inbox of inboxes) assert.deepEqual(await inbox.take(NEWS.length), NEWS);
  },

  async "topics lead to those who asked for them"(uri, prefix) {
    await using held = await open(uri);
    const exchange = await held.session.topicExchange(`${prefix} animals`, { autoDelete: true });
    const queues: AMQPQueue[] = [];
    for (const { patterns } of TOPICS.subscribers) {
      const queue = await held.session.queue("", { exclusive: true });
      for (const pattern of patterns) await queue.bind(exchange, pattern);
      queues.push(queue);
    }
    for (const routingKey of TOPICS.keys) await exchange.publish(routingKey, { routingKey });
    for (const [index, { expected }] of TOPICS.subscribers.entries()) {
      assert.deepEqual(await takeAll(queues[index]!), expected);
    }
  },

  async "what failed is tried again later, through dead letters"(uri, prefix) {
    await using held = await open(uri);
    const queues: AMQPQueue[] = [];
    for (const queue of retryQueues(prefix)) {
      queues.push(await held.session.queue(queue.name, { durable: true, arguments: queue.arguments }));
    }
    const queue = queues[0]!;
    await queue.publish("task", { messageId: "1" });
    const tries: unknown[] = [];
    const deaths = new Inbox<unknown[]>();
    const subscription = await queue.subscribe({ requeueOnNack: false }, (task) => {
      const { headers, messageId } = task.properties;
      const failed = failures(headers, queue.name);
      tries.push([failed, messageId, shown(task)]);
      if (failed < FAILURES_MAX) throw new Error("as asked for");
      deaths.push(shownDeaths(headers));
    });
    assert.deepEqual(await deaths.next("last try"), expectedDeaths(prefix));
    assert.deepEqual(tries, Array.from({ length: FAILURES_MAX + 1 }, (_, index) => [index, "1", "task"]));
    await subscription.cancel();
    for (const each of queues) assert.deepEqual(await each.delete(), { messageCount: 0 });
  },

  async "the more urgent comes first"(uri) {
    await using held = await open(uri);
    const queue = await held.session.queue("", { exclusive: true, arguments: PRIORITY_QUEUE });
    for (const priority of PRIORITIES.published) {
      await queue.publish(`${priority}`, priority === undefined ? {} : { priority });
    }
    const seen: string[] = [];
    const subscription = await queue.subscribe({ noAck: true });
    for await (const message of subscription) {
      seen.push(shown(message));
      if (seen.length === PRIORITIES.expected.length) break;
    }
    await subscription.cancel();
    assert.deepEqual(seen, PRIORITIES.expected);
  },

  async "headers lead to those who asked for them"(uri, prefix) {
    await using held = await open(uri);
    const exchange = await held.session.headersExchange(`${prefix} documents`, { autoDelete: true });
    const queues: AMQPQueue[] = [];
    for (const { binding } of DOCUMENTS.subscribers) {
      queues.push(await (await held.session.queue("", { exclusive: true })).bind(exchange, "", binding));
    }
    for (const kind of DOCUMENTS.kinds) await exchange.publish(kind, { headers: documentHeaders(kind) });
    for (const [index, { expected }] of DOCUMENTS.subscribers.entries()) {
      assert.deepEqual(await takeAll(queues[index]!), expected);
    }
  },

  async "a full queue refuses with a nack"(uri) {
    await using held = await open(uri);
    const queue = await held.session.queue("", { exclusive: true, arguments: SMALL_QUEUE });
    const refused: string[] = [];
    for (const text of OVERFLOW.published) {
      if (text === null) {
        assert.ok(await queue.get({ noAck: true }));
        continue;
      }
      await queue.publish(text).catch((error: Error) => {
        assert.equal(error.message, "Message rejected");
        refused.push(text);
      });
    }
    assert.deepEqual(refused, OVERFLOW.refused);
    assert.deepEqual(await takeAll(queue), OVERFLOW.kept);
  },

  async "a stream is read again from its start, from an offset and from its end"(uri, prefix) {
    await using held = await open(uri);
    const queue = await held.session.queue(`${prefix} log`, { durable: true, arguments: STREAM });
    for (let index = 0; index < STREAM_LENGTH; index++) await queue.publish(`${index}`);
    for (const { start, expected } of STREAM_READERS) {
      const inbox = new Inbox<unknown>();
      const params = { prefetch: STREAM_PREFETCH, args: { "x-stream-offset": start } };
      const subscription = await queue.subscribe(params, (entry) => {
        inbox.push([entry.properties.headers?.["x-stream-offset"], shown(entry)]);
      });
      if (start === "next") await queue.publish(`${STREAM_LENGTH}`);
      assert.deepEqual(await inbox.take(expected.length, `entry from ${start}`), expectedEntries(expected));
      await subscription.cancel();
    }
    await queue.delete();
  },

  async [TRANSACTIONS](uri) {
    const client = new AMQPClient(uri, undefined, null);
    await client.connect();
    const channel = await client.channel();
    const queue = await channel.queueDeclare("", { exclusive: true });
    await channel.txSelect();
    await channel.basicPublish("", queue.name, "forgotten");
    await channel.txRollback();
    await channel.basicPublish("", queue.name, "kept");
    assert.equal(await channel.basicGet(queue.name), null);
    await channel.txCommit();
    const kept = await channel.basicGet(queue.name, { noAck: false });
    assert.equal(kept?.bodyString(), "kept");
    await kept!.ack();
    await channel.txCommit();
    await channel.close();
    assert.deepEqual(await (await client.channel()).queueDelete(queue.name), { messageCount: 0 });
    await client.close();
  },
};
