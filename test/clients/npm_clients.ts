// The three npm clients behind the one small interface of the restart test.

import { AMQPClient } from "@cloudamqp/amqp-client";
import * as amqplib from "amqplib";
import { Connection } from "rabbitmq-client";
import type { Client, ClientSession, Delivery } from "../support/restart_job.ts";

export const amqplibClient: Client = {
  name: "amqplib",
  async open(uri): Promise<ClientSession> {
    const connection = await amqplib.connect(uri);
    const closed = new Promise<void>((resolve) => connection.on("close", () => resolve()));
    connection.on("error", () => {});
    const channel = await connection.createConfirmChannel();
    channel.on("error", () => {});
    return {
      closed,
      declare: async (queue) => void await channel.assertQueue(queue, { durable: true }),
      publish: (queue, messageId, body) =>
        new Promise((resolve, reject) => {
          const options = { persistent: true, messageId };
          channel.sendToQueue(queue, body, options, (error) => error ? reject(error) : resolve());
        }),
      async consume(queue, prefetch, deliver) {
        await channel.prefetch(prefetch);
        await channel.consume(queue, (message) => {
          if (message !== null) deliver(fromAmqplib(message));
        });
      },
      ackUpTo: (tag) => channel.ack({ fields: { deliveryTag: tag } } as amqplib.Message, true),
      messageCount: async (queue) => (await channel.checkQueue(queue)).messageCount,
      close: () => connection.close(),
    };
  },
};

function fromAmqplib(message: amqplib.ConsumeMessage): Delivery {
  return {
    tag: message.fields.deliveryTag,
    redelivered: message.fields.redelivered,
    messageId: message.properties.messageId,
    body: message.content,
  };
}

export const rabbitmqClient: Client = {
  name: "rabbitmq-client",
  async open(uri): Promise<ClientSession> {
    const connection = new Connection(uri);
    let gone = () => {};
    const closed = new Promise<void>((resolve) => gone = resolve);
    connection.on("error", () => {
      connection.unsafeDestroy(); // the test counts connections, so this one does not come back by itself
      gone();
    });
    await Promise.race([connection.onConnect(5_000), closed]);
    if (!connection.ready) throw new Error("the broker is not there yet");
    const channel = await connection.acquire();
    channel.on("close", gone);
    await channel.confirmSelect();
    return {
      closed,
      declare: async (queue) => void await channel.queueDeclare({ queue, durable: true }),
      publish: (queue, messageId, body) =>
        channel.basicPublish({ routingKey: queue, durable: true, messageId }, body).catch((error) => {
          gone();
          throw error;
        }),
      async consume(queue, prefetch, deliver) {
        await channel.basicQos({ prefetchCount: prefetch });
        await channel.basicConsume({ queue }, (message) =>
          deliver({
            tag: message.deliveryTag,
            redelivered: message.redelivered,
            messageId: message.messageId,
            body: message.body as Uint8Array,
          }));
      },
      ackUpTo: (deliveryTag) => channel.basicAck({ deliveryTag, multiple: true }),
      messageCount: async (queue) => (await channel.queueDeclare({ queue, passive: true })).messageCount,
      async close() {
        await channel.close();
        await connection.close();
      },
    };
  },
};

export const cloudamqpClient: Client = {
  name: "@cloudamqp/amqp-client",
  async open(uri): Promise<ClientSession> {
    const client = new AMQPClient(uri, undefined, null);
    const closed = new Promise<void>((resolve) => {
      client.ondisconnect = () => resolve();
      client.onerror = () => resolve();
    });
    await client.connect();
    const channel = await client.channel();
    await channel.confirmSelect();
    return {
      closed,
      declare: async (queue) => void await channel.queueDeclare(queue, { durable: true }),
      async publish(queue, messageId, body) {
        const confirmed = channel.basicPublish("", queue, body, { deliveryMode: 2, messageId });
        hush(channel);
        await confirmed;
      },
      async consume(queue, prefetch, deliver) {
        await channel.basicQos(prefetch);
        await channel.basicConsume(queue, { noAck: false }, (message) =>
          deliver({
            tag: message.deliveryTag,
            redelivered: message.redelivered,
            messageId: message.properties.messageId,
            body: message.body ?? new Uint8Array(0),
          }));
      },
      ackUpTo: (tag) => void channel.basicAck(tag, true).catch(() => {}),
      messageCount: async (queue) => (await channel.queueDeclare(queue, { passive: true })).messageCount,
      close: () => client.close(),
    };
  },
};

/**
 * When the connection breaks while a publish is written, the library rejects the promise of its confirm, too, which nobody
 * has heard of yet: an unhandled rejection. `closed` tells us all the same.
 */
function hush(channel: object): void {
  const { unconfirmedPublishes } = channel as { unconfirmedPublishes: [number, () => void, (error: Error) => void][] };
  const last = unconfirmedPublishes.at(-1);
  if (last !== undefined) last[2] = () => {};
}
