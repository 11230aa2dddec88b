// /metrics (sums), /metrics/per-object (each thing by itself) and /metrics/detailed (families that are asked for), as
// RabbitMQ serves them, put together in slices.

import { z } from "@hono/zod-openapi";
import type { AnyQueue } from "../core/any_queue.ts";
import type { Access } from "./access.ts";
import { Breath } from "./breath.ts";
import { nodeFamilies, ownFamilies } from "./metrics_node.ts";
import {
  CHANNEL_EXCHANGE_METRICS,
  CHANNEL_METRICS,
  CHANNEL_QUEUE_METRICS,
  CONNECTION_COARSE_METRICS,
  CONNECTION_METRICS,
  type Metric,
  QUEUE_METRICS,
} from "./metrics_queues.ts";
import { type Family, type Labels, linesOf, METRICS_TYPE, type Sample } from "./metrics_text.ts";
import { badRequest } from "./problem.ts";
import type { Router } from "./router.ts";
import type { HttpServices } from "./services.ts";

const TAG = "Metrics";
const CHUNK_CHARS = 64 * 1024;
const PREFIX = "rabbitmq_";
const DETAILED = "rabbitmq_detailed_";
const CLUSTER = "rabbitmq_cluster_";

/** Of which things there are metrics, and by what each is known. */
interface Source<T> {
  readonly items: () => Iterable<T>;
  readonly labels: (item: T) => Labels;
}

export function addMetrics(router: Router, services: HttpServices, access: Access | "none"): void {
  const statuses = [200];
  const add = (path: string, summary: string, families: (query: DetailedQuery) => Iterable<Family>) => {
    router.add(
      "get",
      path,
      { summary, tag: TAG, access, statuses, query: detailedQuery },
      ({ query }) => answer(families(query)),
    );
  };
  add("/metrics", "Sums for Prometheus", function* () {
    yield* nodeFamilies(services, PREFIX);
    yield* ownFamilies(services);
    for (const group of groups(services, null)) yield* summed(group);
  });
  add("/metrics/per-object", "Everything by itself, for Prometheus", function* () {
    yield* nodeFamilies(services, PREFIX);
    yield* ownFamilies(services);
    for (const group of groups(services, null)) yield* single(group, PREFIX);
  });
  add("/metrics/detailed", "Chosen families and virtual hosts, for Prometheus", function* ({ family, vhost }) {
    const wanted = new Set(family);
    const vhosts = vhost.length === 0 ? null : new Set(vhost);
    const all = groups(services, vhosts);
    const known = new Set([...all.map(({ family }) => family), ...OTHERS]);
    for (const name of wanted) if (!known.has(name)) throw badRequest(`unknown family '${name}'`);
    for (const group of all) if (wanted.has(group.family)) yield* single(group, DETAILED);
    const hasNode = wanted.has("node_metrics") || wanted.has("node_coarse_metrics");
    const hasChurn = wanted.has("connection_churn_metrics");
    for (const each of hasNode || hasChurn ? nodeFamilies(services, DETAILED) : []) {
      if (CHURN.test(each.name) ? hasChurn : hasNode) yield each;
    }
    if (wanted.has("vhost_status")) yield vhostStatus(services, vhosts);
    if (wanted.has("exchange_names")) yield exchangeNames(services, vhosts);
    if (wanted.has("exchange_bindings")) yield exchangeBindings(services, vhosts);
  });
}

const CHURN = /_(connections_(opened|closed)|channels_(opened|closed)|queues_(declared|created|deleted))_total$/;
const OTHERS = [
  "node_metrics",
  "node_coarse_metrics",
  "connection_churn_metrics",
  "vhost_status",
  "exchange_names",
  "exchange_bindings",
  // RabbitMQ's, of which there is nothing here.
  "node_persister_metrics",
  "ra_metrics",
  "auth_attempt_metrics",
  "auth_attempt_detailed_metrics",
  "channel_process_metrics",
  "channel_queue_exchange_metrics",
  "queue_exchange_metrics",
];

const names = z.union([z.string(), z.array(z.string())]).optional()
  .transform((given) => given === undefined ? [] : typeof given === "string" ? [given] : given)
  .openapi({ type: "array", items: { type: "string" } });
const detailedQuery = z.object({
  family: names.describe("of /metrics/detailed: which families, given once for each"),
  vhost: names.describe("of /metrics/detailed: only these virtual hosts"),
});
type DetailedQuery = z.output<typeof detailedQuery>;

/** Others may have their turn before the next family is found. */
const NOTHING: Family = { name: "", type: "gauge", help: "", samples: [] };

interface Group {
  readonly family: string;
  readonly metrics: readonly Metric<never>[];
  readonly source: Source<never>;
}

function groups(services: HttpServices, only: ReadonlySet<string> | null): Group[] {
  const { realm: { vhosts }, statistics: { registry } } = services;
  const isWanted = (vhost: string) => only === null || only.has(vhost);
  const queues: Source<{ vhost: string; queue: AnyQueue }> = {
    items: function* () {
      for (const vhost of vhosts.values()) {
        if (!isWanted(vhost.name)) continue;
        for (const queue of vhost.queues.values()) yield { vhost: vhost.name, queue };
      }
    },
    labels: ({ vhost, queue }) => [["vhost", vhost], ["queue", queue.name]],
  };
  const connections = {
    items: function* () {
      for (const connection of registry.connections()) if (isWanted(connection.vhost)) yield connection;
    },
    labels: ({ name }: { name: string }): Labels => [["connection", name]],
  };
  const channels = {
    items: function* () {
      for (const connection of connections.items()) yield* connection.channels;
    },
    labels: ({ name, connection }: { name: string; connection: { name: string } }): Labels => {
      return [["channel", name], ["connection", connection.name]];
    },
  };
  const group = <T>(family: string, metrics: readonly Metric<T>[], source: Source<T>): Group => {
    return { family, metrics: metrics as readonly Metric<never>[], source: source as unknown as Source<never> };
  };
  const ofQueues = Object.entries(QUEUE_METRICS).map(([family, metrics]) => {
    const wrapped = metrics.map((metric) => ({
      ...metric,
      of: ({ queue }: { vhost: string; queue: AnyQueue }) => metric.of(queue),
    }));
    return group(family, wrapped, queues);
  });
  return [
    ...ofQueues,
    group("connection_coarse_metrics", CONNECTION_COARSE_METRICS, connections),
    group("connection_metrics", CONNECTION_METRICS, connections),
    group("channel_metrics", CHANNEL_METRICS, channels),
    group("channel_exchange_metrics", CHANNEL_EXCHANGE_METRICS, channels),
    group("channel_queue_metrics", CHANNEL_QUEUE_METRICS, channels),
  ];
}

function* single({ metrics, source }: Group, prefix: string): IterableIterator<Family> {
  for (const { name, type, help, of } of metrics) {
    const samples = function* (): IterableIterator<Sample> {
      for (const item of source.items()) yield { labels: source.labels(item), value: of(item) };
    };
    yield { name: `${prefix}${name}`, type, help, samples: samples() };
  }
}

function* summed({ metrics, source }: Group): IterableIterator<Family> {
  const sums = new Float64Array(metrics.length);
  for (const item of source.items()) {
    yield NOTHING;
    for (let i = 0; i < metrics.length; i++) sums[i] = sums[i]! + metrics[i]!.of(item);
  }
  for (let i = 0; i < metrics.length; i++) {
    const { name, type, help } = metrics[i]!;
    yield { name: `${PREFIX}${name}`, type, help, samples: [{ labels: [], value: sums[i]! }] };
  }
}

function vhostStatus({ realm: { vhosts } }: HttpServices, only: ReadonlySet<string> | null): Family {
  const samples = [...vhosts.keys()].filter((name) => only === null || only.has(name));
  return {
    name: `${CLUSTER}vhost_status`,
    type: "gauge",
    help: "Whether a given vhost is running",
    samples: samples.map((name) => ({ labels: [["vhost", name]], value: 1 })),
  };
}

function exchangeNames({ realm: { vhosts } }: HttpServices, only: ReadonlySet<string> | null): Family {
  const samples = function* (): IterableIterator<Sample> {
    for (const vhost of vhosts.values()) {
      if (only !== null && !only.has(vhost.name)) continue;
      for (const { name, type } of vhost.exchanges.values()) {
        yield { labels: [["vhost", vhost.name], ["exchange", name], ["type", type]], value: 1 };
      }
    }
  };
  const help = "Enumerates exchanges without any additional info";
  return { name: `${CLUSTER}exchange_name`, type: "gauge", help, samples: samples() };
}

function exchangeBindings({ realm: { vhosts } }: HttpServices, only: ReadonlySet<string> | null): Family {
  const samples = function* (): IterableIterator<Sample> {
    for (const vhost of vhosts.values()) {
      if (only !== null && !only.has(vhost.name)) continue;
      for (const { name, type, bindingCount } of vhost.exchanges.values()) {
        yield { labels: [["vhost", vhost.name], ["exchange", name], ["type", type]], value: bindingCount };
      }
    }
  };
  const help = "Number of bindings for an exchange";
  return { name: `${CLUSTER}exchange_bindings`, type: "gauge", help, samples: samples() };
}

/** The families as they are found: lines go out while later ones are put together. */
function answer(families: Iterable<Family>): Response {
  const lines = (function* () {
    for (const family of families) yield* linesOf(family);
  })();
  const encoder = new TextEncoder();
  const breath = new Breath();
  // What is wrong with the request shows at the first line, while it can still be said.
  let next = lines.next();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      let text = "";
      while (next.done !== true && text.length < CHUNK_CHARS) {
        if (breath.due) await breath.take();
        text += next.value;
        next = lines.next();
      }
      if (text !== "") controller.enqueue(encoder.encode(text));
      if (next.done === true) controller.close();
    },
  }, { highWaterMark: 0 });
  return new Response(body, { headers: { "content-type": METRICS_TYPE } });
}
