// The methods of a channel beside publishing and acknowledging: which method goes where, and class basic's rarer ones.

import type { QueueType } from "../core/any_queue.ts";
import { checkConsumerArguments } from "../core/stream_reading.ts";
import type { ChannelCounters } from "../core/statistics/counters.ts";
import { CHANNEL_CONSUMERS_MAX } from "../limits.ts";
import { AmqpConsumer, writeGetOk } from "./consumer.ts";
import type { Channel } from "./channel.ts";
import { AmqpError } from "./errors.ts";
import { DIRECT_REPLY_TO } from "./direct_replies.ts";
import { typeName } from "./rare_properties.ts";
import { generatedName, handleExchange, handleQueue, readableQueue, type TopologyMethod } from "./topology.ts";
import type { FieldTable } from "../wire/amqp_table.ts";
import {
  type BasicCancel,
  type BasicConsume,
  type BasicGet,
  type BasicQos,
  type Method,
  METHOD_BASIC_ACK,
  METHOD_BASIC_CANCEL,
  METHOD_BASIC_CANCEL_OK,
  METHOD_BASIC_CONSUME,
  METHOD_BASIC_GET,
  METHOD_BASIC_NACK,
  METHOD_BASIC_QOS,
  METHOD_BASIC_RECOVER,
  METHOD_BASIC_RECOVER_ASYNC,
  METHOD_BASIC_REJECT,
  METHOD_CHANNEL_FLOW,
  METHOD_CHANNEL_FLOW_OK,
  METHOD_CHANNEL_OPEN,
  METHOD_CONFIRM_SELECT,
  METHOD_NAMES,
  METHOD_TX_COMMIT,
  METHOD_TX_ROLLBACK,
  METHOD_TX_SELECT,
  writeBasicCancelOk,
  writeBasicConsumeOk,
  writeBasicGetEmpty,
  writeBasicQosOk,
  writeBasicRecoverOk,
  writeChannelFlowOk,
  writeConfirmSelectOk,
  writeTxCommitOk,
  writeTxRollbackOk,
  writeTxSelectOk,
} from "../wire/amqp_methods.ts";

type GetCounters = Pick<ChannelCounters, "get" | "getNoAck" | "redeliver">;

const CLASS_EXCHANGE = 40;
const CLASS_QUEUE = 50;

const INTEGER_TYPES = "bBsuIilL";

/** Does what a method asks, and answers. */
export function handleMethod(channel: Channel, method: Method): void {
  switch (method.kind >>> 16) {
    case CLASS_EXCHANGE:
      return handleExchange(channel, method as TopologyMethod);
    case CLASS_QUEUE:
      return handleQueue(channel, method as TopologyMethod);
  }
  switch (method.kind) {
    case METHOD_BASIC_ACK:
      return channel.deliveries.acknowledge(method.deliveryTag, method.multiple);
    case METHOD_BASIC_NACK:
      return channel.deliveries.reject(method.deliveryTag, method.multiple, method.requeue);
    case METHOD_BASIC_REJECT:
      return channel.deliveries.reject(method.deliveryTag, false, method.requeue);
    case METHOD_BASIC_CONSUME:
      return consume(channel, method);
    case METHOD_BASIC_CANCEL:
      return cancel(channel, method);
    case METHOD_BASIC_CANCEL_OK:
    case METHOD_CHANNEL_FLOW_OK:
      return;
    case METHOD_BASIC_GET:
      return get(channel, method);
    case METHOD_BASIC_QOS:
      return qos(channel, method);
    case METHOD_BASIC_RECOVER:
    case METHOD_BASIC_RECOVER_ASYNC:
      if (method.requeue) channel.deliveries.requeueAll();
      else channel.deliveries.redeliverAll();
      channel.wakeConsumers();
      if (method.kind === METHOD_BASIC_RECOVER) channel.reply((out) => writeBasicRecoverOk(out, channel.number));
      return;
    case METHOD_CHANNEL_FLOW: {
      const { active } = method;
      channel.flow(active);
      return channel.reply((out) => writeChannelFlowOk(out, channel.number, { active }));
    }
    case METHOD_CONFIRM_SELECT:
      channel.selectConfirms();
      if (!method.noWait) channel.reply((out) => writeConfirmSelectOk(out, channel.number));
      return;
    case METHOD_TX_SELECT:
      channel.selectTransactions();
      return channel.reply((out) => writeTxSelectOk(out, channel.number));
    case METHOD_TX_COMMIT:
      channel.commit();
      return channel.replyWhenDurable(true, (out) => writeTxCommitOk(out, channel.number));
    case METHOD_TX_ROLLBACK:
      channel.rollBack(true);
      return channel.reply((out) => writeTxRollbackOk(out, channel.number));
    case METHOD_CHANNEL_OPEN:
      throw new AmqpError(504, "second 'channel.open' seen");
    default:
      throw new AmqpError(540, `${METHOD_NAMES.get(method.kind) ?? "this method"} is not supported`);
  }
}

function consume(channel: Channel, method: BasicConsume): void {
  if (method.queue === DIRECT_REPLY_TO) return consumeReplies(channel, method);
  const queue = readableQueue(channel, method.queue);
  const where = channel.vhost.queueText(queue.name);
  const priority = readConsumerArguments(method.arguments, queue.settings.type, where);
  if (method.noLocal) throw new AmqpError(540, "no_local=true");
  const tag = consumerTag(channel, method);
  const { noAck, exclusive } = method;
  const prefetch = channel.consumerPrefetch;
  const consumer = new AmqpConsumer(channel, queue, tag, { noAck, exclusive, prefetch, priority });
  consumer.attach(where, method.arguments, channel.deliveries.prefetch > 0);
  channel.consumers.set(tag, consumer);
  if (!noAck) channel.deliveries.watch(queue);
  if (method.noWait) return consumer.start();
  channel.reply((out) => {
    writeBasicConsumeOk(out, channel.number, { consumerTag: tag });
    consumer.start();
  });
}

/** A consumer of direct replies: no queue stands behind it. */
function consumeReplies(channel: Channel, method: BasicConsume): void {
  const tag = consumerTag(channel, method);
  if (!method.noAck) throw new AmqpError(406, "reply consumer cannot acknowledge");
  if (channel.replyConsumer !== null) throw new AmqpError(406, "reply consumer already set");
  channel.replyConsumer = channel.connection.services.replies.open(channel, tag);
  if (!method.noWait) channel.reply((out) => writeBasicConsumeOk(out, channel.number, { consumerTag: tag }));
}

/** The tag that the client chose, or one of ours. */
function consumerTag(channel: Channel, { consumerTag }: BasicConsume): string {
  if (consumerTag !== "" && (channel.consumers.has(consumerTag) || channel.replyConsumer?.tag === consumerTag)) {
    throw new AmqpError(530, `attempt to reuse consumer tag '${consumerTag}'`);
  }
  if (channel.consumers.size >= CHANNEL_CONSUMERS_MAX) {
    throw new AmqpError(530, `reached maximum (${CHANNEL_CONSUMERS_MAX}) of consumers per channel`);
  }
  return consumerTag === "" ? generatedName("amq.ctag-") : consumerTag;
}

/** Checks the arguments of a consumer as RabbitMQ does, those without meaning here too; returns its priority. */
function readConsumerArguments(args: FieldTable, type: QueueType, where: string): number {
  checkConsumerArguments(args, type, where);
  const refuse = (name: string, what: string): never => {
    throw new AmqpError(406, `invalid arg '${name}' for ${where}: ${what}`);
  };
  const failover = args.get("x-cancel-on-ha-failover");
  if (failover !== undefined && failover.type !== "t") {
    refuse("x-cancel-on-ha-failover", `{unacceptable_type,${typeName(failover)}}`);
  }
  const priority = args.get("x-priority");
  if (priority === undefined) return 0;
  if (!INTEGER_TYPES.includes(priority.type)) refuse("x-priority", `"expected integer, got ${typeName(priority)}"`);
  return Number(priority.value);
}

function cancel(channel: Channel, { consumerTag, noWait }: BasicCancel): void {
  const consumer = channel.consumers.get(consumerTag);
  if (consumer !== undefined) {
    consumer.ended = true;
    channel.consumers.delete(consumerTag);
    channel.vhost.removeConsumer(consumer.queue, consumer);
  } else if (channel.replyConsumer?.tag === consumerTag) {
    channel.replyConsumer.close();
    channel.replyConsumer = null;
  }
  if (!noWait) channel.reply((out) => writeBasicCancelOk(out, channel.number, { consumerTag }));
}

function get(channel: Channel, method: BasicGet): void {
  const queue = readableQueue(channel, method.queue);
  const { getter } = queue;
  channel.reply((out) => {
    // Queue or channel may have gone while earlier replies waited for the disk.
    const message = queue.gone || channel.released ? null : getter.get();
    const { counters } = channel;
    if (message === null) {
      counters.getEmpty++;
      queue.counters.getEmpty++;
      return writeBasicGetEmpty(out, channel.number);
    }
    countGet(counters, message.redelivered, method.noAck);
    countGet(queue.counters, message.redelivered, method.noAck);
    const { position, recordBytes, bodyBytes } = message;
    const deliveryTag = channel.deliveries.nextTag();
    const { frameBytesMax } = channel.connection;
    writeGetOk(out, channel.number, deliveryTag, getter.store.readyCount, message, frameBytesMax);
    if (method.noAck) return getter.settle(position, recordBytes, bodyBytes);
    channel.deliveries.watch(queue);
    channel.deliveries.hold(deliveryTag, getter, null, position, recordBytes, bodyBytes);
  });
}

function countGet(counters: GetCounters, redelivered: boolean, noAck: boolean): void {
  if (noAck) counters.getNoAck++;
  else counters.get++;
  if (redelivered) counters.redeliver++;
}

/** RabbitMQ's meaning of `global`: false for each new consumer of the channel, true for all of them together. */
function qos(channel: Channel, { prefetchSize, prefetchCount, global }: BasicQos): void {
  if (prefetchSize !== 0) throw new AmqpError(540, `prefetch_size!=0 (${prefetchSize})`);
  if (global) channel.deliveries.prefetch = prefetchCount;
  else channel.consumerPrefetch = prefetchCount;
  channel.reply((out) => writeBasicQosOk(out, channel.number));
  channel.wakeConsumers();
}
