// The queues and the exchange of a run: declared before it, and what the run itself has made is removed after it.

import type { AmqpChannel } from "../client/amqp_channel.ts";
import type { AmqpConnection } from "../client/amqp_connection.ts";
import { AmqpFault } from "../client/amqp_fault.ts";
import {
  type ExchangeDeclareOk,
  METHOD_EXCHANGE_DECLARE_OK,
  METHOD_QUEUE_BIND_OK,
  METHOD_QUEUE_DECLARE_OK,
  METHOD_QUEUE_DELETE_OK,
  type QueueBindOk,
  type QueueDeclareOk,
  type QueueDeleteOk,
  writeExchangeDeclare,
  writeQueueBind,
  writeQueueDeclare,
  writeQueueDelete,
} from "../wire/amqp_methods.ts";
import { tableOf } from "../wire/amqp_table.ts";
import type { PerfOptions } from "./options.ts";

const REPLY_NOT_FOUND = 404;
/** Names that the broker keeps for exchanges of its own. */
const RESERVED_PREFIX = "amq.";

/** Declares what the run needs; returns the queues that were not there before. */
export async function declareTopology(connection: AmqpConnection, options: PerfOptions): Promise<string[]> {
  const created: string[] = [];
  if (!options.declare) return created;
  let channel = await connection.openChannel();
  if (options.exchange !== "" && !options.exchange.startsWith(RESERVED_PREFIX)) {
    await declareExchange(channel, options);
  }
  for (const queue of options.queues) {
    if (!(await exists(channel, queue))) {
      channel = await connection.openChannel();
      created.push(queue);
    }
    await declareQueue(channel, queue, false, options.durable);
    if (options.exchange !== "") await bindQueue(channel, queue, options);
  }
  await channel.close();
  return created;
}

/** Deletes the queues with whatever is in them. */
export async function deleteQueues(connection: AmqpConnection, queues: readonly string[]): Promise<void> {
  const channel = await connection.openChannel();
  for (const queue of queues) {
    await channel.call<QueueDeleteOk>(
      METHOD_QUEUE_DELETE_OK,
      (out, number) => writeQueueDelete(out, number, { queue, ifUnused: false, ifEmpty: false, noWait: false }),
    );
  }
  await channel.close();
}

/** When the queue is not there, the broker has closed the channel. */
async function exists(channel: AmqpChannel, queue: string): Promise<boolean> {
  try {
    await declareQueue(channel, queue, true, false);
    return true;
  } catch (error) {
    if (error instanceof AmqpFault && error.code === REPLY_NOT_FOUND) return false;
    throw error;
  }
}

async function declareQueue(channel: AmqpChannel, queue: string, passive: boolean, durable: boolean): Promise<void> {
  await channel.call<QueueDeclareOk>(METHOD_QUEUE_DECLARE_OK, (out, number) =>
    writeQueueDeclare(out, number, {
      queue,
      passive,
      durable,
      exclusive: false,
      autoDelete: false,
      noWait: false,
      arguments: tableOf({}),
    }));
}

async function declareExchange(channel: AmqpChannel, options: PerfOptions): Promise<void> {
  await channel.call<ExchangeDeclareOk>(METHOD_EXCHANGE_DECLARE_OK, (out, number) =>
    writeExchangeDeclare(out, number, {
      exchange: options.exchange,
      type: options.exchangeType,
      passive: false,
      durable: options.durable,
      autoDelete: false,
      internal: false,
      noWait: false,
      arguments: tableOf({}),
    }));
}

async function bindQueue(channel: AmqpChannel, queue: string, options: PerfOptions): Promise<void> {
  await channel.call<QueueBindOk>(METHOD_QUEUE_BIND_OK, (out, number) =>
    writeQueueBind(out, number, {
      queue,
      exchange: options.exchange,
      routingKey: options.routingKey ?? queue,
      noWait: false,
      arguments: tableOf({}),
    }));
}
