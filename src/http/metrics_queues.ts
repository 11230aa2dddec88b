// Metrics of queues, channels, connections, exchanges and virtual hosts: of each one, or the sums.

import type { AnyQueue } from "../core/any_queue.ts";
import { Queue } from "../core/queue.ts";
import type { LiveChannel, LiveConnection } from "../core/statistics/registry.ts";
import { valuesOf } from "./rates.ts";
import type { MetricType } from "./metrics_text.ts";

/** One number of a thing: its name without prefix, and how to find it. */
export interface Metric<T> {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly of: (item: T) => number;
}

function gauge<T>(name: string, help: string, of: (item: T) => number): Metric<T> {
  return { name, type: "gauge", help, of };
}

function counter<T>(name: string, help: string, of: (item: T) => number): Metric<T> {
  return { name: `${name}_total`, type: "counter", help, of };
}

const bytes = (queue: AnyQueue): { ready: number; unacked: number } => {
  if (queue instanceof Queue) return { ready: queue.store.readyBytes, unacked: queue.store.unackedBytes };
  return { ready: (queue.store as { bytes?: number }).bytes ?? 0, unacked: 0 };
};
const ready = ({ counters: { messages } }: AnyQueue): number => messages.readyCount;
const unacked = ({ counters: { messages } }: AnyQueue): number => messages.unackedCount;
const all = (queue: AnyQueue): number => ready(queue) + unacked(queue);

/** By RabbitMQ's families of /metrics/detailed. */
export const QUEUE_METRICS: Readonly<Record<string, readonly Metric<AnyQueue>[]>> = {
  queue_coarse_metrics: [
    gauge("queue_messages_ready", "Messages ready to be delivered to consumers", ready),
    gauge("queue_messages_unacked", "Messages delivered to consumers but not yet acknowledged", unacked),
    gauge("queue_messages", "Sum of ready and unacknowledged messages - total queue depth", all),
    counter("queue_process_reductions", "Total number of queue process reductions", () => 0),
  ],
  queue_consumer_count: [gauge("queue_consumers", "Consumers on a queue", ({ consumers }) => consumers.length)],
  queue_metrics: [
    gauge("queue_consumer_capacity", "Consumer capacity", capacityOf),
    gauge("queue_consumer_utilisation", "Same as consumer capacity", capacityOf),
    gauge("queue_process_memory_bytes", "Memory in bytes used by the queue process", () => 0),
    gauge("queue_messages_ram", "Ready and unacknowledged messages stored in memory", () => 0),
    gauge("queue_messages_ram_bytes", "Size of ready and unacknowledged messages stored in memory", () => 0),
    gauge("queue_messages_ready_ram", "Ready messages stored in memory", () => 0),
    gauge("queue_messages_unacked_ram", "Unacknowledged messages stored in memory", () => 0),
    gauge("queue_messages_persistent", "Persistent messages", (queue) => queue.durable ? all(queue) : 0),
    gauge("queue_messages_persistent_bytes", "Size in bytes of persistent messages", (queue) => {
      return queue.durable ? bytes(queue).ready + bytes(queue).unacked : 0;
    }),
    gauge("queue_messages_bytes", "Size in bytes of ready and unacknowledged messages", (queue) => {
      return bytes(queue).ready + bytes(queue).unacked;
    }),
    gauge("queue_messages_ready_bytes", "Size in bytes of ready messages", (queue) => bytes(queue).ready),
    gauge(
      "queue_messages_unacked_bytes",
      "Size in bytes of all unacknowledged messages",
      (queue) => bytes(queue).unacked,
    ),
    gauge("queue_messages_paged_out", "Messages paged out to disk", all),
    gauge("queue_messages_paged_out_bytes", "Size in bytes of messages paged out to disk", (queue) => {
      return bytes(queue).ready + bytes(queue).unacked;
    }),
    counter("queue_disk_reads", "Total number of times queue read messages from disk", () => 0),
    counter(
      "queue_disk_writes",
      "Total number of times queue wrote messages to disk",
      ({ counters }) => counters.publish,
    ),
    counter(
      "queue_messages_published",
      "Total number of messages published to queues",
      ({ counters }) => counters.publish,
    ),
  ],
  queue_delivery_metrics: [
    counter("queue_get_ack", "Messages got by basic.get, to be acknowledged", ({ counters }) => counters.get),
    counter("queue_get", "Messages got by basic.get, without acknowledgement", ({ counters }) => counters.getNoAck),
    counter("queue_get_empty", "Times that basic.get found nothing", ({ counters }) => counters.getEmpty),
    counter(
      "queue_messages_delivered_ack",
      "Messages delivered, to be acknowledged",
      ({ counters }) => counters.deliver,
    ),
    counter("queue_messages_delivered", "Messages delivered, without acknowledgement", ({ counters }) => {
      return counters.deliverNoAck;
    }),
    counter("queue_messages_acked", "Messages acknowledged", ({ counters }) => counters.ack),
    counter("queue_messages_redelivered", "Messages delivered more than once", ({ counters }) => counters.redeliver),
  ],
};

function capacityOf({ consumers }: AnyQueue): number {
  if (consumers.length === 0) return 0;
  const free = consumers.filter(({ shown }) => {
    return shown === undefined || shown.prefetch === 0 || shown.unsettledCount < shown.prefetch;
  });
  return free.length / consumers.length;
}

const counted = (field: string) => ({ counters }: LiveChannel): number => valuesOf(counters).get(field) ?? 0;

export const CHANNEL_METRICS: readonly Metric<LiveChannel>[] = [
  gauge("channel_consumers", "Consumers on a channel", ({ consumerCount }) => consumerCount),
  gauge(
    "channel_messages_unacked",
    "Delivered but not yet acknowledged messages",
    (channel) => channel.unacknowledgedCount,
  ),
  gauge(
    "channel_messages_unconfirmed",
    "Published but not yet confirmed messages",
    (channel) => channel.unconfirmedCount,
  ),
  gauge("channel_messages_uncommitted", "Messages received in a transaction but not yet committed", (channel) => {
    return channel.uncommittedCount;
  }),
  gauge("channel_acks_uncommitted", "Message acknowledgements in a transaction not yet committed", (channel) => {
    return channel.uncommittedAckCount;
  }),
  gauge(
    "consumer_prefetch",
    "Limit of unacknowledged messages for each consumer",
    ({ prefetchCount }) => prefetchCount,
  ),
  gauge("channel_prefetch", "Total limit of unacknowledged messages for all consumers on a channel", (channel) => {
    return channel.globalPrefetchCount;
  }),
  counter("channel_process_reductions", "Total number of channel process reductions", () => 0),
];

export const CHANNEL_EXCHANGE_METRICS: readonly Metric<LiveChannel>[] = [
  counter(
    "channel_messages_published",
    "Total number of messages published into an exchange on a channel",
    counted("publish"),
  ),
  counter("channel_messages_confirmed", "Total number of messages confirmed to publishers", counted("confirm")),
  counter(
    "channel_messages_unroutable_returned",
    "Messages returned to the publisher as unroutable",
    counted("return_unroutable"),
  ),
  counter("channel_messages_unroutable_dropped", "Messages dropped as unroutable", counted("drop_unroutable")),
];

export const CHANNEL_QUEUE_METRICS: readonly Metric<LiveChannel>[] = [
  counter(
    "channel_get_ack",
    "Total number of messages fetched with basic.get in manual acknowledgement mode",
    counted("get"),
  ),
  counter(
    "channel_get",
    "Total number of messages fetched with basic.get in automatic acknowledgement mode",
    counted("get_no_ack"),
  ),
  counter("channel_messages_delivered_ack", "Messages delivered in manual acknowledgement mode", counted("deliver")),
  counter(
    "channel_messages_delivered",
    "Messages delivered in automatic acknowledgement mode",
    counted("deliver_no_ack"),
  ),
  counter("channel_messages_redelivered", "Total number of messages redelivered to consumers", counted("redeliver")),
  counter("channel_messages_acked", "Total number of messages acknowledged by consumers", counted("ack")),
  counter("channel_get_empty", "Times that basic.get fetched no message", counted("get_empty")),
];

export const CONNECTION_COARSE_METRICS: readonly Metric<LiveConnection>[] = [
  counter(
    "connection_incoming_bytes",
    "Total number of bytes received on a connection",
    ({ traffic }) => traffic.received,
  ),
  counter("connection_outgoing_bytes", "Total number of bytes sent on a connection", ({ traffic }) => traffic.sent),
  counter("connection_process_reductions", "Total number of connection process reductions", () => 0),
];

export const CONNECTION_METRICS: readonly Metric<LiveConnection>[] = [
  counter("connection_incoming_packets", "Total number of packets received on a connection", (connection) => {
    return connection.receivedCount;
  }),
  counter("connection_outgoing_packets", "Total number of packets sent on a connection", ({ sentCount }) => sentCount),
  gauge(
    "connection_pending_packets",
    "Writes waiting to be sent on a connection",
    ({ pendingBytes }) => pendingBytes > 0 ? 1 : 0,
  ),
  gauge("connection_channels", "Channels on a connection", ({ channelCount }) => channelCount),
];
