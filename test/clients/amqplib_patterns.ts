// The common patterns as programs with amqplib write them, on plain channels.

import assert from "node:assert/strict";
import type { Channel } from "amqplib";
import { Inbox } from "../support/wait.ts";
import { AmqplibClient, consume, type Delivered, readyCount, shown, temporaryQueue } from "./amqplib_client.ts";
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
} from "./patterns.ts";

const REPLY_TO = "amq.rabbitmq.reply-to";

async function takeAll(channel: Channel, queue: string): Promise<string[]> {
  const count = await readyCount(channel, queue);
  const { inbox, tag } = await consume(channel, queue, { noAck: true });
  const texts = (await inbox.take(count)).map(shown);
  await channel.cancel(tag);
  return texts;
}

export const amqplibPatterns: Patterns = {
  async "requests are answered by direct reply-to"(uri, prefix) {
    await using serving = await AmqplibClient.connect(uri);
    const server = await serving.channel();
    const { queue } = await server.assertQueue(`${prefix} requests`, { autoDelete: true });
    await server.consume(queue, (request) => {
      const { replyTo, correlationId } = request!.properties;
      server.sendToQueue(replyTo, Buffer.from(`${request!.content} pong`), { correlationId });
      server.ack(request!);
    });
    await using client = await AmqplibClient.connect(uri);
    const channel = await client.channel();
    const { inbox } = await consume(channel, REPLY_TO, { noAck: true });
    for (const correlationId of REQUESTS) {
      channel.sendToQueue(queue, Buffer.from(`ping ${correlationId}`), { replyTo: REPLY_TO, correlationId });
    }
    const answers = await inbox.take(REQUESTS.length, "answer");
    assert.deepEqual(
      answers.map(({ properties, content }) => [properties.correlationId, content.toString()]),
      REQUESTS.map((id) => [id, `ping ${id} pong`]),
    );
  },

  async "workers share tasks, and a lost worker's task is done by another"(uri, prefix) {
    await using client = await AmqplibClient.connect(uri);
    const publisher = await client.confirmChannel();
    const { queue } = await publisher.assertQueue(`${prefix} tasks`);
    for (const task of TASKS) publisher.sendToQueue(queue, Buffer.from(task), { persistent: true });
    await publisher.waitForConfirms();

    const lost = await AmqplibClient.connect(uri);
    const doomed = await lost.channel();
    await doomed.prefetch(1);
    assert.equal(shown(await (await consume(doomed, queue)).inbox.next()), "0");
    await using steady = await AmqplibClient.connect(uri);
    const worker = await steady.channel();
    await worker.prefetch(1);
    const { inbox } = await consume(worker, queue);
    const done: string[] = [];
    while (done.length < TASKS.length) {
      const task = await inbox.next("task");
      done.push(shown(task));
      if (done.length === 1) {
        assert.deepEqual([done, await readyCount(publisher, queue)], [["1"], TASKS.length - 2]);
        lost.cut();
      }
      worker.ack(task);
    }
    assert.deepEqual(done.sort(), TASKS_DONE);
    await worker.close();
    assert.deepEqual(await publisher.deleteQueue(queue), { messageCount: 0 });
  },

  async "every subscriber of a fanout exchange gets the news"(uri, prefix) {
    await using client = await AmqplibClient.connect(uri);
    await using other = await AmqplibClient.connect(uri);
    const inboxes: Inbox<Delivered>[] = [];
    const exchange = `${prefix} news`;
    for (const subscriber of [client, other]) {
      const channel = await subscriber.channel();
      await channel.assertExchange(exchange, "fanout", { autoDelete: true });
      const queue = await temporaryQueue(channel);
      await channel.bindQueue(queue, exchange, "");
      inboxes.push((await consume(channel, queue, { noAck: true })).inbox);
    }
    const channel = await client.channel();
    for (const text of NEWS) channel.publish(exchange, "", Buffer.from(text));
    for (const inbox of inboxes) assert.deepEqual((await inbox.take(NEWS.length)).map(shown), NEWS);
  },

  async "topics lead to those who asked for them"(uri, prefix) {
    await using client = await AmqplibClient.connect(uri);
    const channel = await client.channel();
    const { exchange } = await channel.assertExchange(`${prefix} animals`, "topic", { autoDelete: true });
    const queues: string[] = [];
    for (const { patterns } of TOPICS.subscribers) {
      const queue = await temporaryQueue(channel);
      for (const pattern of patterns) await channel.bindQueue(queue, exchange, pattern);
      queues.push(queue);
    }
    for (const key of TOPICS.keys) channel.publish(exchange, key, Buffer.from(key));
    for (const [index, { expected }] of TOPICS.subscribers.entries()) {
      assert.deepEqual(await takeAll(channel, queues[index]!), expected);
    }
  },

  async "what failed is tried again later, through dead letters"(uri, prefix) {
    await using client = await AmqplibClient.connect(uri);
    const channel = await client.channel();
    const queues = retryQueues(prefix);
    for (const queue of queues) await channel.assertQueue(queue.name, { arguments: queue.arguments });
    const [{ name }] = queues;
    channel.sendToQueue(name, Buffer.from("task"), { persistent: true, messageId: "1" });
    const { inbox } = await consume(channel, name);
    for (let tries = 0;; tries++) {
      const task = await inbox.next("try");
      const { headers, messageId } = task.properties;
      const failed = failures(headers, name);
      assert.deepEqual([failed, messageId, shown(task)], [tries, "1", "task"]);
      if (failed < FAILURES_MAX) {
        channel.reject(task, false);
        continue;
      }
      channel.ack(task);
      assert.deepEqual(shownDeaths(headers), expectedDeaths(prefix));
      break;
    }
    for (const queue of queues) assert.deepEqual(await channel.deleteQueue(queue.name), { messageCount: 0 });
  },

  async "the more urgent comes first"(uri) {
    await using client = await AmqplibClient.connect(uri);
    const channel = await client.channel();
    const { queue } = await channel.assertQueue("", { exclusive: true, arguments: PRIORITY_QUEUE });
    for (const priority of PRIORITIES.published) channel.sendToQueue(queue, Buffer.from(`${priority}`), { priority });
    assert.deepEqual(await takeAll(channel, queue), PRIORITIES.expected);
  },

  async "headers lead to those who asked for them"(uri, prefix) {
    await using client = await AmqplibClient.connect(uri);
    const channel = await client.channel();
    const { exchange } = await channel.assertExchange(`${prefix} documents`, "headers", { autoDelete: true });
    const queues: string[] = [];
    for (const { binding } of DOCUMENTS.subscribers) {
      const queue = await temporaryQueue(channel);
      await channel.bindQueue(queue, exchange, "", binding);
      queues.push(queue);
    }
    for (const kind of DOCUMENTS.kinds) {
      channel.publish(exchange, "", Buffer.from(kind), { headers: documentHeaders(kind) });
    }
    for (const [index, { expected }] of DOCUMENTS.subscribers.entries()) {
      assert.deepEqual(await takeAll(channel, queues[index]!), expected);
    }
  },

  async "a full queue refuses with a nack"(uri) {
    await using client = await AmqplibClient.connect(uri);
    const channel = await client.confirmChannel();
    const { queue } = await channel.assertQueue("", { exclusive: true, arguments: SMALL_QUEUE });
    const refused: string[] = [];
    for (const text of OVERFLOW.published) {
      if (text === null) {
        assert.ok(await channel.get(queue, { noAck: true }));
        continue;
      }
      channel.sendToQueue(queue, Buffer.from(text), {}, (error) => {
        if (error !== null) refused.push(text);
      });
      await channel.waitForConfirms().catch(() => {}); // it rejects, too
    }
    assert.deepEqual(refused, OVERFLOW.refused);
    assert.deepEqual(await takeAll(channel, queue), OVERFLOW.kept);
  },

  async "a stream is read again from its start, from an offset and from its end"(uri, prefix) {
    await using client = await AmqplibClient.connect(uri);
    const publisher = await client.confirmChannel();
    const { queue } = await publisher.assertQueue(`${prefix} log`, { arguments: STREAM });
    for (let index = 0; index < STREAM_LENGTH; index++) publisher.sendToQueue(queue, Buffer.from(`${index}`));
    await publisher.waitForConfirms();
    for (const { start, expected } of STREAM_READERS) {
      const reader = await client.channel();
      await reader.prefetch(STREAM_PREFETCH);
      const { inbox } = await consume(reader, queue, { arguments: { "x-stream-offset": start } });
      if (start === "next") publisher.sendToQueue(queue, Buffer.from(`${STREAM_LENGTH}`));
      const entries: unknown[] = [];
      while (entries.length < expected.length) {
        const entry = await inbox.next(`entry ${entries.length} from ${start}`);
        entries.push([entry.properties.headers?.["x-stream-offset"], shown(entry)]);
        reader.ack(entry);
      }
      assert.deepEqual(entries, expectedEntries(expected));
      await reader.close();
    }
    await publisher.deleteQueue(queue);
  },
};
