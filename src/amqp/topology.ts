// The methods of classes exchange and queue, and of the bindings between them. Durable changes are answered when they
// are on disk.

import { randomBytes } from "node:crypto";
import type { AnyQueue } from "../core/any_queue.ts";
import { moduleOf } from "../core/queue_settings.ts";
import type { Arguments } from "../core/arguments.ts";
import { Refusal } from "../core/refusal.ts";
import type { Channel } from "./channel.ts";
import { DIRECT_REPLY_TO } from "./direct_replies.ts";
import { AmqpError } from "./errors.ts";
import { fromTable } from "./field_values.ts";
import {
  type ExchangeBind,
  type ExchangeDeclare,
  type ExchangeDelete,
  type ExchangeUnbind,
  METHOD_EXCHANGE_BIND,
  METHOD_EXCHANGE_DECLARE,
  METHOD_EXCHANGE_DELETE,
  METHOD_EXCHANGE_UNBIND,
  METHOD_QUEUE_BIND,
  METHOD_QUEUE_DECLARE,
  METHOD_QUEUE_DELETE,
  METHOD_QUEUE_PURGE,
  METHOD_QUEUE_UNBIND,
  type QueueBind,
  type QueueDeclare,
  type QueueDelete,
  type QueuePurge,
  type QueueUnbind,
  writeExchangeBindOk,
  writeExchangeDeclareOk,
  writeExchangeDeleteOk,
  writeExchangeUnbindOk,
  writeQueueBindOk,
  writeQueueDeclareOk,
  writeQueueDeleteOk,
  writeQueuePurgeOk,
  writeQueueUnbindOk,
} from "../wire/amqp_methods.ts";

export type TopologyMethod =
  | ExchangeDeclare
  | ExchangeDelete
  | ExchangeBind
  | ExchangeUnbind
  | QueueDeclare
  | QueueBind
  | QueueUnbind
  | QueuePurge
  | QueueDelete;

/** `prefix` and 128 random bits, as a name that no client will guess. */
export function generatedName(prefix: string): string {
  return prefix + randomBytes(16).toString("base64url");
}

/** The queue that a method names, where an empty name is the one declared last on the channel. */
export function usableQueue(channel: Channel, name: string): AnyQueue {
  return channel.vhost.usableQueue(resolveQueueName(channel, name), channel.connection);
}

function resolveQueueName(channel: Channel, name: string): string {
  if (name !== "") return name;
  if (channel.lastQueue === null) throw new Refusal("not-found", "no previously declared queue");
  return channel.lastQueue;
}

export function handleExchange(channel: Channel, method: TopologyMethod): void {
  switch (method.kind) {
    case METHOD_EXCHANGE_DECLARE:
      return declareExchange(channel, method);
    case METHOD_EXCHANGE_DELETE: {
      const changed = channel.vhost.deleteExchange(method.exchange, method.ifUnused);
      if (method.noWait) return;
      return channel.replyWhenDurable(changed, (out) => writeExchangeDeleteOk(out, channel.number));
    }
    case METHOD_EXCHANGE_BIND:
    case METHOD_EXCHANGE_UNBIND: {
      const destination = channel.vhost.bindableDestination(method.destination);
      const args = fromTable(method.arguments);
      const bind = method.kind === METHOD_EXCHANGE_BIND;
      const changed = bind
        ? channel.vhost.bind(method.source, destination, method.routingKey, args)
        : channel.vhost.unbind(method.source, destination, method.routingKey, args);
      if (method.noWait) return;
      const write = bind ? writeExchangeBindOk : writeExchangeUnbindOk;
      return channel.replyWhenDurable(changed, (out) => write(out, channel.number));
    }
    default:
      throw new AmqpError(503, "not a method for a server");
  }
}

function declareExchange(channel: Channel, method: ExchangeDeclare): void {
  const { exchange: name, durable, autoDelete, internal } = method;
  let changed = false;
  if (name === "") throw new Refusal("access-refused", "operation not permitted on the default exchange");
  if (method.passive) {
    channel.vhost.exchange(name);
  } else {
    const args = fromTable(method.arguments);
    changed = channel.vhost.declareExchange(name, { type: method.type, durable, autoDelete, internal, args });
  }
  if (method.noWait) return;
  channel.replyWhenDurable(changed, (out) => writeExchangeDeclareOk(out, channel.number));
}

export function handleQueue(channel: Channel, method: TopologyMethod): void {
  switch (method.kind) {
    case METHOD_QUEUE_DECLARE:
      return declareQueue(channel, method);
    case METHOD_QUEUE_BIND:
      return bindQueue(channel, method);
    case METHOD_QUEUE_UNBIND: {
      const queue = usableQueue(channel, method.queue);
      const args = fromTable(method.arguments);
      const changed = channel.vhost.unbind(method.exchange, queue, bindingKey(method, queue), args);
      return channel.replyWhenDurable(changed, (out) => writeQueueUnbindOk(out, channel.number));
    }
    case METHOD_QUEUE_PURGE: {
      const messageCount = usableQueue(channel, method.queue).purge();
      if (method.noWait) return;
      return channel.reply((out) => writeQueuePurgeOk(out, channel.number, { messageCount }));
    }
    case METHOD_QUEUE_DELETE:
      return deleteQueue(channel, method);
    default:
      throw new AmqpError(503, "not a method for a server");
  }
}

function declareQueue(channel: Channel, method: QueueDeclare): void {
  const { vhost, connection } = channel;
  if (method.queue.startsWith(DIRECT_REPLY_TO)) return declareReplies(channel, method);
  let changed = false;
  let queue: AnyQueue;
  if (method.passive) {
    queue = usableQueue(channel, method.queue);
  } else {
    const name = method.queue === "" ? generatedName("amq.gen-") : method.queue;
    if (method.queue.startsWith("amq.") && !vhost.queues.has(name)) {
      throw new Refusal("access-refused", `queue name '${name}' contains reserved prefix 'amq.*'`);
    }
    const args = fromTable(method.arguments);
    if (method.queue === "") checkServerNamed(args);
    const { durable, exclusive, autoDelete } = method;
    const declared = vhost.declareQueue(name, { durable, exclusive, autoDelete, args }, connection);
    queue = declared.queue;
    changed = declared.durable;
  }
  channel.lastQueue = queue.name;
  if (method.noWait) return;
  channel.replyWhenDurable(changed, (out) =>
    writeQueueDeclareOk(out, channel.number, {
      queue: queue.name,
      messageCount: queue.messageCount,
      consumerCount: queue.consumers.length,
    }));
}

/** No queue is behind these names: the answer says whether somebody waits for replies there. */
function declareReplies(channel: Channel, { queue, noWait }: QueueDeclare): void {
  const { vhost } = channel;
  if (queue !== DIRECT_REPLY_TO && channel.connection.services.replies.find(vhost, queue) === null) {
    throw new Refusal("not-found", `no ${vhost.queueText(queue)}`);
  }
  channel.lastQueue = queue;
  if (noWait) return;
  channel.reply((out) => writeQueueDeclareOk(out, channel.number, { queue, messageCount: 0, consumerCount: 1 }));
}

/** Queues that clients come back to need a name that they know. */
function checkServerNamed(args: Arguments): void {
  const type = args.get("x-queue-type");
  if (type !== "quorum" && type !== "stream") return;
  throw new Refusal("precondition-failed", `Cannot declare a server-named queue for type ${moduleOf(type)}`);
}

function bindQueue(channel: Channel, method: QueueBind): void {
  const queue = usableQueue(channel, method.queue);
  const changed = channel.vhost.bind(method.exchange, queue, bindingKey(method, queue), fromTable(method.arguments));
  if (method.noWait) return;
  channel.replyWhenDurable(changed, (out) => writeQueueBindOk(out, channel.number));
}

/** An empty key with an empty queue name stands for the queue's name (AMQP 1.7.2.3). */
function bindingKey(method: QueueBind | QueueUnbind, queue: AnyQueue): string {
  return method.queue === "" && method.routingKey === "" ? queue.name : method.routingKey;
}

/** A queue that is not there is deleted already, as RabbitMQ has it; perhaps a moment ago. */
function deleteQueue(channel: Channel, method: QueueDelete): void {
  const name = resolveQueueName(channel, method.queue);
  let deleted = { count: 0, durable: true };
  if (channel.vhost.queues.has(name)) {
    const queue = channel.vhost.usableQueue(name, channel.connection);
    deleted = channel.vhost.deleteQueue(queue, method);
  }
  if (method.noWait) return;
  channel.replyWhenDurable(
    deleted.durable,
    (out) => writeQueueDeleteOk(out, channel.number, { messageCount: deleted.count }),
  );
}
