// The broker as a whole: overview, its one node, who asks.

import { EXCHANGE_TYPES } from "../core/exchanges/create.ts";
import { RABBITMQ_VERSION } from "../version.ts";
import type { Caller } from "./access.ts";
import { addClusterName, clusterName } from "./cluster_name.ts";
import type { HttpServices } from "./services.ts";
import { Rates, ratesQuery } from "./rates.ts";
import { notFound } from "./problem.ts";
import { memoryParts } from "./memory_parts.ts";
import type { Router } from "./router.ts";
import { nodeAnswer, overviewAnswer } from "./schemas.ts";
import { z } from "@hono/zod-openapi";
import { answerList, listQuery } from "./list.ts";
import { type Fields, shapeOne } from "./shape.ts";

const TAG = "Broker";
/** The release of RabbitMQ whose API this is: clients choose what they ask for by it. */
const API_VERSION = RABBITMQ_VERSION;
const MECHANISMS = ["PLAIN", "AMQPLAIN"];
const CHURN = [
  "connection_created",
  "connection_closed",
  "channel_created",
  "channel_closed",
  "queue_declared",
  "queue_created",
  "queue_deleted",
];

/** RabbitMQ's names of protocols that it shows listeners with. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  amqp: "amqp",
  http: "http",
  https: "https",
  metrics: "http/prometheus",
};

export function addOverview(router: Router, services: HttpServices): void {
  const { product, statistics } = services;
  router.add(
    "get",
    "/api/overview",
    { summary: "The broker as a whole", tag: TAG, query: ratesQuery, answer: overviewAnswer },
    ({ query, caller }) => overview(services, caller, new Rates(statistics.sampler, query)),
  );
  router.add(
    "get",
    "/api/whoami",
    {
      summary: "Who asks",
      tag: TAG,
      answer: z.object({ name: z.string(), tags: z.array(z.string()), is_internal_user: z.boolean() }),
    },
    ({ caller: { user } }) => ({ name: user.name, tags: [...user.tags], is_internal_user: true }),
  );
  addClusterName(router, services);
  router.add(
    "get",
    "/api/nodes",
    {
      summary: "All nodes: this one",
      tag: TAG,
      access: "monitoring",
      query: listQuery.extend(ratesQuery.shape),
      answer: z.array(nodeAnswer),
    },
    ({ query }) => {
      const context = new Rates(statistics.sampler, query);
      return answerList({ items: [services], fields: nodeFields, context, nameOf: () => product.node }, query);
    },
  );
  router.add(
    "get",
    "/api/nodes/{name}",
    { summary: "One node", tag: TAG, access: "monitoring", query: ratesQuery, answer: nodeAnswer },
    ({ params, query }) => {
      if (params.name !== product.node) throw notFound();
      return shapeOne(services, nodeFields, new Rates(statistics.sampler, query), query);
    },
  );
  router.add(
    "get",
    "/api/nodes/{name}/memory",
    { summary: "What a node's memory is used for", tag: TAG, access: "monitoring", answer: z.looseObject({}) },
    ({ params }) => {
      if (params.name !== product.node) throw notFound();
      return { memory: memoryParts(services.gauges.probe.memoryUse()) };
    },
  );
  router.add(
    "get",
    "/api/extensions",
    { summary: "Extensions of the management console: none", tag: TAG, answer: z.array(z.looseObject({})) },
    () => [],
  );
}

/** Who does not watch over the broker is told of the virtual hosts that it may enter, and its own connections. */
function overview(services: HttpServices, caller: Caller, rates: Rates): object {
  const { product, statistics, listeners } = services;
  const { registry } = statistics;
  const watches = caller.has("monitoring");
  const { counters, lengths } = watches ? statistics.overall : statistics.sumOf(caller.vhosts.map(({ name }) => name));
  let queues = 0;
  let exchanges = 0;
  let consumers = 0;
  let channels = 0;
  for (const vhost of caller.knownVhosts) {
    queues += vhost.queues.size;
    exchanges += vhost.exchanges.size;
    for (const queue of vhost.queues.values()) consumers += queue.consumers.length;
  }
  const connections = [...registry.connections()].filter(({ user }) => caller.seesUser(user));
  for (const { channelCount } of connections) channels += channelCount;
  const ofWatchers = {
    churn_rates: rates.all(registry.churn, CHURN, rates.messages),
    listeners: listeners().map(({ protocol, host, port }) => ({
      node: product.node,
      protocol: PROTOCOLS[protocol] ?? protocol,
      ip_address: host,
      port,
      socket_opts: { backlog: 511, nodelay: true, send_timeout: 0, send_timeout_close: true },
    })),
    contexts: contexts(services),
    statistics_db_event_queue: 0,
  };
  return {
    ...(watches ? ofWatchers : {}),
    management_version: API_VERSION,
    rabbitmq_version: API_VERSION,
    product_name: productName(product.name),
    product_version: product.version,
    cluster_name: clusterName(services),
    node: product.node,
    erlang_version: product.platform,
    erlang_full_version: product.platform,
    rates_mode: "basic",
    sample_retention_policies: retention(services),
    exchange_types: exchangeTypes(),
    message_stats: rates.messageStats(counters) ?? {},
    queue_totals: rates.lengthsOf(lengths),
    object_totals: { channels, connections: connections.length, consumers, exchanges, queues },
    default_queue_type: "classic",
    disable_stats: false,
    enable_queue_totals: true,
    is_op_policy_updating_enabled: true,
    cluster_tags: {},
    node_tags: {},
  };
}

/** As products are written. */
export function productName(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function retention({ statistics: { sampler } }: HttpServices): object {
  const seconds = Math.round(sampler.intervalMs * sampler.samples / 1000);
  return { basic: [seconds], detailed: [seconds], global: [seconds] };
}

function exchangeTypes(): object[] {
  return EXCHANGE_TYPES.map((name) => ({ name, description: `exchange of type ${name}`, enabled: true }));
}

function contexts({ product, listeners, certificate }: HttpServices): object[] {
  const files = certificate()?.files;
  return listeners().filter(({ protocol }) => protocol === "http" || protocol === "https").map((
    { protocol, host, port },
  ) => ({
    node: product.node,
    description: `${productName(product.name)} management`,
    path: "/",
    ip: host,
    port: `${port}`,
    protocol,
    cowboy_opts: "",
    ssl_opts: protocol === "http"
      ? []
      : { certfile: files?.certificatePath, keyfile: files?.keyPath || files?.certificatePath },
  }));
}

const nodeFields: Fields<HttpServices, Rates> = {
  name: ({ product }) => product.node,
  type: () => "disc",
  running: () => true,
  being_drained: () => false,
  os_pid: ({ gauges }) => `${gauges.probe.pid}`,
  uptime: ({ gauges }) => gauges.uptimeMs,
  processors: ({ gauges }) => gauges.probe.processors,
  mem_used: ({ gauges }) => gauges.look().memoryUsed,
  mem_used_details: ({ gauges }, rates) => rates.of(gauges, "mem_used", rates.node),
  mem_limit: ({ gauges }) => gauges.probe.memoryLimit(),
  mem_alarm: ({ alarms }) => alarms.raised.includes("memory"),
  mem_calculation_strategy: () => "rss",
  disk_free: ({ gauges }) => gauges.look().diskFree,
  disk_free_details: ({ gauges }, rates) => rates.of(gauges, "disk_free", rates.node),
  disk_free_limit: ({ gauges }) => gauges.probe.diskFreeLimit(),
  disk_free_alarm: ({ alarms }) => alarms.raised.includes("disk"),
  fd_used: ({ gauges }) => gauges.look().descriptorsUsed,
  fd_used_details: ({ gauges }, rates) => rates.of(gauges, "fd_used", rates.node),
  fd_total: ({ gauges }) => gauges.probe.descriptorsMax(),
  sockets_used: ({ gauges }) => gauges.look().socketsUsed,
  sockets_used_details: ({ gauges }, rates) => rates.of(gauges, "sockets_used", rates.node),
  sockets_total: ({ gauges }) => gauges.probe.descriptorsMax(),
  rates_mode: () => "basic",
  db_dir: ({ gauges }) => gauges.probe.dataDir,
  config_files: () => [],
  log_files: () => ["<stderr>"],
  exchange_types: () => exchangeTypes(),
  auth_mechanisms: () => MECHANISMS.map((name) => ({ name, description: `SASL ${name}`, enabled: true })),
  applications: ({ product }) => [
    { name: product.name, description: productName(product.name), version: product.version },
    { name: product.platform, description: "runtime", version: product.platformVersion },
  ],
  contexts: (services) => contexts(services),
  enabled_plugins: () => ["rabbitmq_management", "rabbitmq_prometheus"],
  partitions: () => [],
  cluster_links: () => [],
  ...churnFields(),
  ...zeroFields(),
};

function churnFields(): Fields<HttpServices, Rates> {
  const fields: Record<string, (services: HttpServices, rates: Rates) => unknown> = {};
  for (const name of CHURN) {
    fields[name] = ({ statistics }, rates) => rates.all(statistics.registry.churn, [name], rates.node)[name];
    fields[`${name}_details`] = ({ statistics }, rates) => rates.of(statistics.registry.churn, name, rates.node);
  }
  return fields;
}

/** What there is only in Erlang, or is not counted: clients expect numbers, and of these there are none. */
function zeroFields(): Fields<HttpServices, Rates> {
  const counted = [
    "context_switches",
    "gc_bytes_reclaimed",
    "gc_num",
    "io_read_avg_time",
    "io_read_bytes",
    "io_read_count",
    "io_reopen_count",
    "io_seek_avg_time",
    "io_seek_count",
    "io_sync_avg_time",
    "io_sync_count",
    "io_write_avg_time",
    "io_write_bytes",
    "io_write_count",
    "mnesia_disk_tx_count",
    "mnesia_ram_tx_count",
    "msg_store_read_count",
    "msg_store_write_count",
    "proc_used",
    "queue_index_read_count",
    "queue_index_write_count",
  ];
  const fields: Record<string, () => unknown> = {};
  for (const name of counted) {
    fields[name] = () => 0;
    fields[`${name}_details`] = () => ({ rate: 0 });
  }
  for (const name of ["net_ticktime", "proc_total", "run_queue"]) fields[name] = () => 0;
  return fields;
}
