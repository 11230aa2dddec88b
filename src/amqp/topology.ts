// The methods of classes exchange and queue, and of the bindings between them. Durable changes are answered when they
// are on disk.

import { randomBytes } from "node:crypto";
import type { AnyQueue } from "../core/any_queue.ts";
import { moduleOf } from "../core/queue_settings.ts";
import type { Arguments, ArgumentValue } from "../core/arguments.ts";
import type { Action } from "../core/identity/permissions.ts";
import type { ResourceKind } from "../core/identity/session.ts";
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

/** The queue that a method names and the user may read from. An empty name is the one declared last on the channel. */
export function readableQueue(channel: Channel, name: string): AnyQueue {
  return usableQueue(channel, "read", name);
}

function usableQueue(channel: Channel, action: Action, name: string): AnyQueue {
  const resolved = resolveQueueName(channel, name);
  channel.session.authorize(action, "queue", resolved);
  return channel.vhost.usableQueue(resolved, channel.connection);
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
      // Those that nobody may delete are refused for that.
      if (!isReserved(method.exchange)) channel.session.authorize("configure", "exchange", method.exchange);
      const changed = channel.vhost.deleteExchange(method.exchange, method.ifUnused);
      if (method.noWait) return;
      return channel.replyWhenDurable(changed, (out) => writeExchangeDeleteOk(out, channel.number));
    }
    case METHOD_EXCHANGE_BIND:
    case METHOD_EXCHANGE_UNBIND: {
      channel.session.authorize("write", "exchange", method.destination);
      const destination = channel.vhost.bindableDestination(method.destination);
      authorizeSource(channel, method);
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
    channel.session.authorizeAny("exchange", name);
    channel.vhost.exchange(name);
  } else {
    const args = fromTable(method.arguments);
    authorizeDeclare(channel, "exchange", name, args.get("alternate-exchange"));
    changed = channel.vhost.declareExchange(name, { type: method.type, durable, autoDelete, internal, args });
  }
  if (method.noWait) return;
  channel.replyWhenDurable(changed, (out) => writeExchangeDeclareOk(out, channel.number));
}

/** What is new may send messages elsewhere by itself: to another exchange, which the user has to be allowed to write to. */
function authorizeDeclare(channel: Channel, kind: ResourceKind, name: string, target: ArgumentValue | undefined): void {
  const { session, vhost } = channel;
  session.authorize("configure", kind, name);
  const isThere = kind === "queue" ? vhost.queues.has(name) : vhost.exchanges.has(name);
  if (isThere || typeof target !== "string") return;
  session.authorize("read", kind, name);
  session.authorize("write", "exchange", target);
}

/** Whoever binds reads from the source what has such a routing key. */
function authorizeSource(channel: Channel, { source, routingKey }: { source: string; routingKey: string }): void {
  if (source === "") return;
  channel.session.authorize("read", "exchange", source);
  const exchange = channel.vhost.exchanges.get(source);
  if (exchange !== undefined) channel.session.authorizeTopic("read", exchange, routingKey);
}

function isReserved(exchange: string): boolean {
  return exchange === "" || exchange.startsWith("amq.");
}

export function handleQueue(channel: Channel, method: TopologyMethod): void {
  switch (method.kind) {
    case METHOD_QUEUE_DECLARE:
      return declareQueue(channel, method);
    case METHOD_QUEUE_BIND:
      return bindQueue(channel, method);
    case METHOD_QUEUE_UNBIND: {
      const { queue, routingKey } = bindable(channel, method);
      const changed = channel.vhost.unbind(method.exchange, queue, routingKey, fromTable(method.arguments));
      return channel.replyWhenDurable(changed, (out) => writeQueueUnbindOk(out, channel.number));
    }
    case METHOD_QUEUE_PURGE: {
      const messageCount = readableQueue(channel, method.queue).purge();
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
    const name = resolveQueueName(channel, method.queue);
    channel.session.authorizeAny("queue", name);
    queue = vhost.usableQueue(name, connection);
  } else {
    const name = method.queue === "" ? generatedName("amq.gen-") : method.queue;
    if (method.queue.startsWith("amq.") && !vhost.queues.has(name)) {
      throw new Refusal("access-refused", `queue name '${name}' contains reserved prefix 'amq.*'`);
    }
    const args = fromTable(method.arguments);
    if (method.queue === "") checkServerNamed(args);
    authorizeDeclare(channel, "queue", name, args.get("x-dead-letter-exchange"));
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
  const { queue, routingKey } = bindable(channel, method);
  const changed = channel.vhost.bind(method.exchange, queue, routingKey, fromTable(method.arguments));
  if (method.noWait) return;
  channel.replyWhenDurable(changed, (out) => writeQueueBindOk(out, channel.number));
}

/**
 * The queue and the key of a binding that the user may make or take back. An empty key with an empty queue name stands
 * for the queue's name (AMQP 1.7.2.3).
 */
function bindable(channel: Channel, method: QueueBind | QueueUnbind): { queue: AnyQueue; routingKey: string } {
  const name = resolveQueueName(channel, method.queue);
  const routingKey = method.queue === "" && method.routingKey === "" ? name : method.routingKey;
  channel.session.authorize("write", "queue", name);
  authorizeSource(channel, { source: method.exchange, routingKey });
  return { queue: channel.vhost.usableQueue(name, channel.connection), routingKey };
}

/** A queue that is not there is deleted already, as RabbitMQ has it; perhaps a moment ago. */
function deleteQueue(channel: Channel, method: QueueDelete): void {
  const name = resolveQueueName(channel, method.queue);
  channel.session.authorize("configure", "queue", name);
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
