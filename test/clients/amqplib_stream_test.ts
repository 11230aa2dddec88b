// What a program with amqplib relies on for streams, also when the broker is killed.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BrokerProcess, testTargets } from "../support/broker_process.ts";
import { AmqplibClient, consume, type Delivered } from "./amqplib_client.ts";

const TEST_TIMEOUT_MS = 60_000;
/** Enough for several segments: they begin with 64 KiB and double. */
const MESSAGES = 5_000;
const STREAM = { arguments: { "x-queue-type": "stream", "x-max-age": "7D" } };

const offsetOf = ({ properties }: Delivered): unknown => properties.headers?.["x-stream-offset"];
const bodyAt = (index: number): string => `${index} ${"s".repeat(index % 300)}`;

/** Reads `count` messages that must be those from `from` on, and acknowledges them. */
async function read(uri: string, from: number, count: number, args: object, consumerTag = ""): Promise<void> {
  await using client = await AmqplibClient.connect(uri);
  const channel = await client.channel();
  await channel.prefetch(100);
  const { inbox } = await consume(channel, "log", { arguments: args, consumerTag });
  for (let index = from; index < from + count; index++) {
    const message = await inbox.next();
    assert.deepEqual([offsetOf(message), message.content.toString()], [index, bodyAt(index)]);
    assert.deepEqual(message.properties.headers?.["of"], index % 2 === 0 ? "even" : undefined);
    channel.ack(message);
  }
  await channel.close();
}

async function publish(uri: string, from: number, to: number): Promise<void> {
  await using client = await AmqplibClient.connect(uri);
  const channel = await client.confirmChannel();
  await channel.assertQueue("log", STREAM);
  for (let index = from; index < to; index++) {
    const persistent = index % 3 === 0;
    const headers = index % 2 === 0 ? { headers: { of: "even" } } : {};
    channel.sendToQueue("log", Buffer.from(bodyAt(index)), { persistent, ...headers });
  }
  await channel.waitForConfirms();
}

for (const target of testTargets()) {
  describe(`streams by amqplib against ${target}`, () => {
    it(
      "what was confirmed is read again and again, over kill -9 (behaviours 55)",
      { timeout: TEST_TIMEOUT_MS },
      async () => {
        const broker = await BrokerProcess.start(target);
        try {
          for (let round = 0; round < 2; round++) {
            await publish(broker.uri, round * MESSAGES, (round + 1) * MESSAGES);
            // The tag is remembered: the second time it goes on behind what it has acknowledged.
            const args = { "x-stream-automatic-offset-tracking": true, "x-stream-offset": "first" };
            await read(broker.uri, round * 100, 100, args, "app");
            await broker.kill9();
            await broker.restart();
            const count = (round + 1) * MESSAGES;
            await read(broker.uri, 0, count, { "x-stream-offset": "first" });
            await read(broker.uri, count - 10, 10, { "x-stream-offset": -10 });
            await read(broker.uri, 1234, 50, { "x-stream-offset": 1234 });
          }
        } finally {
          await broker.dispose();
        }
      },
    );
  });
}
