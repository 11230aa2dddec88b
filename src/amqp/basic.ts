// The methods of a channel beside publishing and acknowledging: which method goes where, and class basic's rarer ones.

import { CHANNEL_CONSUMERS_MAX } from "../limits.ts";
import { AmqpConsumer, writeContent } from "./consumer.ts";
import type { Channel } from "./channel.ts";
import { AmqpError } from "./errors.ts";
import { fromTable } from "./field_values.ts";
import { routeTexts } from "./route.ts";
import { generatedName, handleExchange, handleQueue, type TopologyMethod, usableQueue } from "./topology.ts";
import {
  type BasicCancel,
  type BasicConsume,
  type BasicGet,
  type BasicNack,
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
  writeBasicCancelOk,
  writeBasicConsumeOk,
  writeBasicGetEmpty,
  writeBasicGetOk,
  writeBasicQosOk,
  writeBasicRecoverOk,
  writeChannelFlowOk,
  writeConfirmSelectOk,
} from "../wire/amqp_methods.ts";

const CLASS_EXCHANGE = 40;
const CLASS_QUEUE = 50;

/** Consumer arguments that mean something to RabbitMQ and are not there yet. */
const PLANNED_ARGUMENTS = ["x-priority", "x-stream-offset", "x-cancel-on-ha-failover", "x-stream-filter"];

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
      return channel.acknowledge(method.deliveryTag, method.multiple);
    case METHOD_BASIC_NACK:
      return negative(channel, method);
    case METHOD_BASIC_REJECT:
      return method.requeue ? channel.requeue(method.deliveryTag, false) : channel.reject(method.deliveryTag, false);
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
      if (!method.requeue) throw new AmqpError(540, "requeue=false");
      channel.requeueAll();
      if (method.kind === METHOD_BASIC_RECOVER) channel.reply((out) => writeBasicRecoverOk(out, channel.number));
      return;
    case METHOD_CHANNEL_FLOW:
      if (!method.active) throw new AmqpError(540, "active=false");
      return channel.reply((out) => writeChannelFlowOk(out, channel.number, { active: true }));
    case METHOD_CONFIRM_SELECT:
      channel.selectConfirms();
      if (!method.noWait) channel.reply((out) => writeConfirmSelectOk(out, channel.number));
      return;
    case METHOD_CHANNEL_OPEN:
      throw new AmqpError(504, "second 'channel.open' seen");
    default:
      throw new AmqpError(540, `${METHOD_NAMES.get(method.kind) ?? "this method"} is not supported`);
  }
}

function negative(channel: Channel, { deliveryTag, multiple, requeue }: BasicNack): void {
  if (requeue) channel.requeue(deliveryTag, multiple);
  else channel.reject(deliveryTag, multiple);
}

function consume(channel: Channel, method: BasicConsume): void {
  const queue = usableQueue(channel, method.queue);
  const args = fromTable(method.arguments);
  const planned = PLANNED_ARGUMENTS.find((key) => args.has(key));
  if (planned !== undefined) throw new AmqpError(540, `consumer argument '${planned}'`);
  if (method.noLocal) throw new AmqpError(540, "no_local=true");
  if (method.consumerTag !== "" && channel.consumers.has(method.consumerTag)) {
    throw new AmqpError(530, `attempt to reuse consumer tag '${method.consumerTag}'`);
  }
  if (channel.consumers.size >= CHANNEL_CONSUMERS_MAX) {
    throw new AmqpError(530, `reached maximum (${CHANNEL_CONSUMERS_MAX}) of consumers per channel`);
  }
  const tag = method.consumerTag === "" ? generatedName("amq.ctag-") : method.consumerTag;
  const { noAck, exclusive } = method;
  const consumer = new AmqpConsumer(channel, queue, tag, { noAck, exclusive, prefetch: channel.consumerPrefetch });
  queue.addConsumer(consumer, channel.vhost.queueText(queue.name));
  channel.consumers.set(tag, consumer);
  if (method.noWait) return consumer.start();
  channel.reply((out) => {
    writeBasicConsumeOk(out, channel.number, { consumerTag: tag });
    consumer.start();
  });
}

function cancel(channel: Channel, { consumerTag, noWait }: BasicCancel): void {
  const consumer = channel.consumers.get(consumerTag);
  if (consumer !== undefined) {
    consumer.ended = true;
    channel.consumers.delete(consumerTag);
    channel.vhost.removeConsumer(consumer.queue, consumer);
  }
  if (!noWait) channel.reply((out) => writeBasicCancelOk(out, channel.number, { consumerTag }));
}

function get(channel: Channel, method: BasicGet): void {
  const queue = usableQueue(channel, method.queue);
  channel.reply((out) => {
    // Queue or channel may have gone while earlier replies waited for the disk.
    const message = queue.gone || channel.released ? null : queue.get();
    if (message === null) return writeBasicGetEmpty(out, channel.number);
    const [exchange, routingKey] = routeTexts(message);
    const { redelivered, position, recordBytes, bodyBytes } = message;
    const deliveryTag = channel.nextDeliveryTag();
    const messageCount = queue.store.readyCount;
    writeBasicGetOk(out, channel.number, { deliveryTag, redelivered, exchange, routingKey, messageCount });
    writeContent(out, channel.number, message, channel.connection.frameBytesMax);
    if (method.noAck) queue.settle(position, recordBytes, bodyBytes);
    else channel.holds(deliveryTag, queue, null, position, recordBytes, bodyBytes);
  });
}

/** RabbitMQ's meaning of `global`: false for each new consumer of the channel, true for all of them together. */
function qos(channel: Channel, { prefetchSize, prefetchCount, global }: BasicQos): void {
  if (prefetchSize !== 0) throw new AmqpError(540, `prefetch_size!=0 (${prefetchSize})`);
  if (global) channel.channelPrefetch = prefetchCount;
  else channel.consumerPrefetch = prefetchCount;
  channel.reply((out) => writeBasicQosOk(out, channel.number));
  channel.wakeConsumers();
}
