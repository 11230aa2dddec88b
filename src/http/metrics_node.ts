// Metrics of the broker as a whole: RabbitMQ's names, and what only Leveret has.

import { clusterName } from "./cluster_name.ts";
import { DISK_ALARM, MEMORY_ALARM } from "../core/alarms.ts";
import { valuesOf } from "./rates.ts";
import type { Family, Labels, MetricType, Sample } from "./metrics_text.ts";
import { productName } from "./overview.ts";
import { isDamage } from "../store/store_event.ts";
import type { HttpServices } from "./services.ts";

const NONE: Labels = [];

function family(name: string, type: MetricType, help: string, value: number | Iterable<Sample>): Family {
  const samples = typeof value === "number" ? [{ labels: NONE, value }] : value;
  return { name, type, help, samples };
}

export function* nodeFamilies(services: HttpServices, prefix: string): IterableIterator<Family> {
  const { product, gauges, alarms, statistics } = services;
  const { churn } = statistics.registry;
  gauges.look();
  const { probe } = gauges;
  yield family(`${prefix}build_info`, "untyped", "RabbitMQ & Erlang/OTP version info", [{
    labels: [
      ["rabbitmq_version", product.version],
      ["product_name", productName(product.name)],
      ["product_version", product.version],
      ["erlang_version", `${product.platform} ${product.platformVersion}`],
    ],
    value: 1,
  }]);
  yield family(`${prefix}identity_info`, "untyped", "RabbitMQ node & cluster identity info", [{
    labels: [["rabbitmq_node", product.node], ["rabbitmq_cluster", clusterName(services)], [
      "rabbitmq_cluster_permanent_id",
      "",
    ]],
    value: 1,
  }]);
  const isRaised = (name: string) => alarms.raised.includes(name) ? 1 : 0;
  yield family(
    `${prefix}alarms_memory_used_watermark`,
    "untyped",
    "is 1 if memory alarm is in effect",
    isRaised(MEMORY_ALARM),
  );
  yield family(
    `${prefix}alarms_free_disk_space_watermark`,
    "untyped",
    "is 1 if disk alarm is in effect",
    isRaised(DISK_ALARM),
  );
  yield family(
    `${prefix}alarms_file_descriptor_limit`,
    "untyped",
    "is 1 if file descriptor limit alarm is in effect",
    0,
  );
  const rows: readonly [string, MetricType, string, number][] = [
    ["process_open_fds", "gauge", "Open file descriptors", gauges.descriptorsUsed],
    ["process_open_tcp_sockets", "gauge", "Open TCP sockets", gauges.socketsUsed],
    ["process_resident_memory_bytes", "gauge", "Memory used in bytes", gauges.memoryUsed],
    ["disk_space_available_bytes", "gauge", "Disk space available in bytes", gauges.diskFree],
    ["process_max_fds", "gauge", "Open file descriptors limit", probe.descriptorsMax()],
    ["process_max_tcp_sockets", "gauge", "Open TCP sockets limit", probe.descriptorsMax()],
    ["resident_memory_limit_bytes", "gauge", "Memory high watermark in bytes", probe.memoryLimit()],
    ["disk_space_available_limit_bytes", "gauge", "Free disk space low watermark in bytes", probe.diskFreeLimit()],
    ["erlang_uptime_seconds", "gauge", "Node uptime", gauges.uptimeMs / 1000],
    ["connections_opened_total", "counter", "Total number of connections opened", churn.connectionCreated],
    ["connections_closed_total", "counter", "Total number of connections closed or terminated", churn.connectionClosed],
    ["channels_opened_total", "counter", "Total number of channels opened", churn.channelCreated],
    ["channels_closed_total", "counter", "Total number of channels closed", churn.channelClosed],
    ["queues_declared_total", "counter", "Total number of queues declared", churn.queueDeclared],
    ["queues_created_total", "counter", "Total number of queues created", churn.queueCreated],
    ["queues_deleted_total", "counter", "Total number of queues deleted", churn.queueDeleted],
  ];
  for (const [name, type, help, value] of rows) yield family(`${prefix}${name}`, type, help, value);
  yield* totalFamilies(services, prefix);
  yield* globalFamilies(services, prefix);
}

function* totalFamilies(
  { realm: { vhosts }, statistics: { registry } }: HttpServices,
  prefix: string,
): IterableIterator<Family> {
  let queues = 0;
  let consumers = 0;
  let channels = 0;
  let exchanges = 0;
  for (const vhost of vhosts.values()) {
    queues += vhost.queues.size;
    exchanges += vhost.exchanges.size;
    for (const queue of vhost.queues.values()) consumers += queue.consumers.length;
  }
  for (const connection of registry.connections()) channels += connection.channelCount;
  yield family(`${prefix}connections`, "gauge", "Connections currently open", registry.connectionCount);
  yield family(`${prefix}channels`, "gauge", "Channels currently open", channels);
  yield family(`${prefix}consumers`, "gauge", "Consumers currently connected", consumers);
  yield family(`${prefix}queues`, "gauge", "Queues available", queues);
  yield family(`${prefix}exchanges`, "gauge", "Exchanges available", exchanges);
}

const GLOBAL: readonly [name: string, field: string, help: string][] = [
  ["messages_received", "publish", "Total number of messages received from publishers"],
  ["messages_confirmed", "confirm", "Total number of messages confirmed to publishers"],
  [
    "messages_unroutable_dropped",
    "drop_unroutable",
    "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
  ],
  [
    "messages_unroutable_returned",
    "return_unroutable",
    "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
  ],
  [
    "messages_delivered_consume_manual_ack",
    "deliver",
    "Total number of messages delivered to consumers with manual acknowledgment",
  ],
  [
    "messages_delivered_consume_auto_ack",
    "deliver_no_ack",
    "Total number of messages delivered to consumers with automatic acknowledgment",
  ],
  [
    "messages_delivered_get_manual_ack",
    "get",
    "Total number of messages delivered with basic.get using manual acknowledgment",
  ],
  [
    "messages_delivered_get_auto_ack",
    "get_no_ack",
    "Total number of messages delivered with basic.get using automatic acknowledgment",
  ],
  ["messages_get_empty", "get_empty", "Total number of times basic.get operations fetched no message"],
  ["messages_redelivered", "redeliver", "Total number of messages redelivered to consumers"],
  ["messages_acknowledged", "ack", "Total number of messages acknowledged by consumers"],
];

function* globalFamilies({ statistics }: HttpServices, prefix: string): IterableIterator<Family> {
  const values = valuesOf(statistics.overall.counters);
  const labels: Labels = [["protocol", "amqp091"]];
  const of = (field: string) => values.get(field) ?? 0;
  const one = (name: string, help: string, value: number): Family => {
    return family(`${prefix}global_${name}_total`, "counter", help, [{ labels, value }]);
  };
  for (const [name, field, help] of GLOBAL) yield one(name, help, of(field));
  const delivered = of("deliver") + of("deliver_no_ack") + of("get") + of("get_no_ack");
  yield one("messages_delivered", "Total number of messages delivered to consumers", delivered);
  const routed = of("publish") - of("drop_unroutable") - of("return_unroutable");
  yield one("messages_routed", "Total number of messages routed to queues or streams", routed);
}

/** What no other broker has. */
export function* ownFamilies(services: HttpServices): IterableIterator<Family> {
  const { observations, realm: { vhosts } } = services;
  const seconds = (name: string, help: string, histogram: typeof observations.syncs): Family => {
    const counts = histogram.cumulative();
    const buckets: Sample[] = histogram.bounds.map((bound, index) => {
      return { suffix: "_bucket", labels: [["le", `${bound}`]], value: counts[index]! };
    });
    buckets.push({ suffix: "_bucket", labels: [["le", "+Inf"]], value: histogram.count });
    buckets.push({ suffix: "_sum", labels: NONE, value: histogram.sum });
    buckets.push({ suffix: "_count", labels: NONE, value: histogram.count });
    return family(name, "histogram", help, buckets);
  };
  yield seconds(
    "leveret_sync_duration_seconds",
    "How long syncs to disk take, each for all confirms that wait",
    observations.syncs,
  );
  yield seconds(
    "leveret_event_loop_lag_seconds",
    "How late timers run: what a message may wait for others",
    observations.loopLag,
  );
  let segments = 0;
  for (const vhost of vhosts.values()) for (const queue of vhost.queues.values()) segments += queue.store.segmentCount;
  yield family("leveret_segments", "gauge", "Segment files of all queues", segments);
  const events = observations.storeEvents;
  const faultCount = [...events].reduce((sum, [kind, count]) => sum + (isDamage(kind) ? count : 0), 0);
  yield family("leveret_checksum_faults_total", "counter", "Damage found by checksums in files of queues", faultCount);
  const kinds = [...events].map(([kind, value]): Sample => ({ labels: [["kind", kind]], value }));
  yield family("leveret_store_events_total", "counter", "What the store had to report, by kind", kinds);
}
