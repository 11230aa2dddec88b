// Metrics: Prometheus' text format, held against a parser of our own, with RabbitMQ's names.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, HttpApi } from "../support/http_api.ts";
import { basic } from "../support/raw_methods.ts";

const api = new HttpApi();
after(() => api.stop());

const ODD_NAME = 'odd "name" \\ with\nline';

before(async () => {
  await api.expect(201, "PUT", "queues/%2f/measured", {});
  await api.expect(201, "PUT", `queues/%2f/${encodeURIComponent(ODD_NAME)}`, {});
  const client = await api.amqp();
  for (let i = 0; i < 3; i++) client.send(basic.publish(1, "measured", "x"));
  await client.call("basic.consume-ok", basic.consume(1, "measured", { tag: "m" }));
  await client.messages(3);
});

interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: { readonly name: string; readonly labels: Record<string, string>; readonly value: number }[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** Reads the text format, and fails over what `promtool check metrics` fails over. */
function parse(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n"));
  const families = new Map<string, Family>();
  let current = null as { readonly name: string; readonly family: Family } | null;
  let type = null as { readonly name: string; readonly type: string } | null;
  const seen = new Set<string>();
  for (const line of text.split("\n").slice(0, -1)) {
    const typed = /^# TYPE (\S+) (counter|gauge|histogram|untyped)$/.exec(line);
    const helped = /^# HELP (\S+) (.+)$/.exec(line);
    if (typed !== null) {
      assert.match(typed[1]!, NAME);
      assert.ok(!families.has(typed[1]!), `${typed[1]} comes twice`);
      type = { name: typed[1]!, type: typed[2]! };
    } else if (helped !== null) {
      assert.equal(helped[1], type?.name, "help and type belong together");
      const family = { type: type!.type, help: helped[2]!, samples: [] };
      families.set(type!.name, family);
      current = { name: type!.name, family };
    } else {
      const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      assert.ok(sample !== null && current !== null, `no sample: ${line}`);
      const [, name, labels = "", value] = sample;
      assert.ok(name!.startsWith(current.name), `${name} outside its family`);
      const suffix = name!.slice(current.name.length);
      const suffixes: string[] = current.family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
      assert.ok(suffixes.includes(suffix), `${name} in a ${current.family.type}`);
      assert.ok(!seen.has(`${name}{${labels}}`), `${name}{${labels}} comes twice`);
      seen.add(`${name}{${labels}}`);
      assert.ok(value === "+Inf" || Number.isFinite(Number(value)), line);
      if (current.family.type === "counter") assert.ok(current.name.endsWith("_total"), `${name} is a counter`);
      current.family.samples.push({ name: name!, labels: labelsOf(labels), value: Number(value) });
    }
  }
  for (const [name, family] of families) if (family.type === "histogram") checkHistogram(name, family);
  return families;
}

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest);
    assert.ok(label !== null, `no label: ${rest}`);
    labels[label[1]!] = label[2]!.replace(/\\(.)/g, (_, escaped: string) => escaped === "n" ? "\n" : escaped);
    rest = rest.slice(label[0].length);
  }
  return labels;
}

function checkHistogram(name: string, { samples }: Family): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  assert.equal(buckets.at(-1)!.labels["le"], "+Inf");
  for (let i = 1; i < buckets.length; i++) assert.ok(buckets[i]!.value >= buckets[i - 1]!.value);
  assert.equal(samples.find((sample) => sample.name === `${name}_count`)!.value, buckets.at(-1)!.value);
}

async function metrics(path: string): Promise<Map<string, Family>> {
  const answer = await ask(await api.port("metrics"), "GET", path, { as: null });
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/);
  return parse(answer.text);
}

/** RabbitMQ's own, which its dashboards use. */
const RABBITMQ = [
  "rabbitmq_build_info",
  "rabbitmq_identity_info",
  "rabbitmq_alarms_memory_used_watermark",
  "rabbitmq_process_open_fds",
  "rabbitmq_process_open_tcp_sockets",
  "rabbitmq_process_resident_memory_bytes",
  "rabbitmq_resident_memory_limit_bytes",
  "rabbitmq_disk_space_available_bytes",
  "rabbitmq_disk_space_available_limit_bytes",
  "rabbitmq_connections",
  "rabbitmq_channels",
  "rabbitmq_consumers",
  "rabbitmq_queues",
  "rabbitmq_connections_opened_total",
  "rabbitmq_channels_closed_total",
  "rabbitmq_queues_declared_total",
  "rabbitmq_queue_messages_ready",
  "rabbitmq_queue_messages_unacked",
  "rabbitmq_queue_messages",
  "rabbitmq_queue_messages_published_total",
  "rabbitmq_channel_messages_published_total",
  "rabbitmq_channel_messages_unroutable_dropped_total",
  "rabbitmq_channel_messages_delivered_ack_total",
  "rabbitmq_channel_messages_acked_total",
  "rabbitmq_connection_incoming_bytes_total",
  "rabbitmq_connection_outgoing_bytes_total",
  "rabbitmq_global_messages_received_total",
  "rabbitmq_global_messages_delivered_total",
  "rabbitmq_global_messages_acknowledged_total",
];
const OWN = [
  "leveret_sync_duration_seconds",
  "leveret_event_loop_lag_seconds",
  "leveret_segments",
  "leveret_checksum_faults_total",
];

test("sums are there under RabbitMQ's names, and ours beside them", async () => {
  const families = await metrics("/metrics");
  for (const name of [...RABBITMQ, ...OWN]) assert.ok(families.has(name), name);
  const value = (name: string) => families.get(name)!.samples[0]!.value;
  assert.equal(value("rabbitmq_queues"), 2);
  assert.equal(value("rabbitmq_queue_messages_unacked"), 3);
  assert.equal(value("rabbitmq_queue_messages_published_total"), 3);
  assert.equal(value("rabbitmq_channel_messages_delivered_ack_total"), 3);
  assert.equal(families.get("rabbitmq_global_messages_received_total")!.samples[0]!.labels["protocol"], "amqp091");
  assert.deepEqual(families.get("rabbitmq_queue_messages")!.samples[0]!.labels, {});
});

test("per object, each thing is labelled, whatever it is called", async () => {
  const families = await metrics("/metrics/per-object");
  for (const name of [...RABBITMQ, ...OWN]) assert.ok(families.has(name), name);
  const { samples } = families.get("rabbitmq_queue_messages")!;
  const labels = samples.map((sample) => sample.labels).sort((a, b) => a["queue"]! < b["queue"]! ? -1 : 1);
  assert.deepEqual(labels, [{ vhost: "/", queue: "measured" }, { vhost: "/", queue: ODD_NAME }]);
  assert.equal(samples.find((sample) => sample.labels["queue"] === "measured")!.value, 3);
});

test("details are those that are asked for", async () => {
  assert.deepEqual([...(await metrics("/metrics/detailed?family=queue_coarse_metrics&vhost=/")).keys()], [
    "rabbitmq_detailed_queue_messages_ready",
    "rabbitmq_detailed_queue_messages_unacked",
    "rabbitmq_detailed_queue_messages",
    "rabbitmq_detailed_queue_process_reductions_total",
  ]);
  const two = await metrics("/metrics/detailed?family=queue_consumer_count&family=vhost_status");
  assert.deepEqual([...two.keys()], ["rabbitmq_detailed_queue_consumers", "rabbitmq_cluster_vhost_status"]);
  const elsewhere = await metrics("/metrics/detailed?family=queue_consumer_count&vhost=nowhere");
  assert.equal(elsewhere.get("rabbitmq_detailed_queue_consumers")!.samples.length, 0);
  const churn = [...(await metrics("/metrics/detailed?family=connection_churn_metrics&family=ra_metrics")).keys()];
  assert.equal(churn.length, 7);
  assert.ok(churn.includes("rabbitmq_detailed_connections_opened_total"), churn.join());
  const node = [...(await metrics("/metrics/detailed?family=node_metrics")).keys()];
  assert.ok(node.length > 10 && !node.some((name) => churn.includes(name)), node.join());
  const unknown = await ask(await api.port("metrics"), "GET", "/metrics/detailed?family=carrots", { as: null });
  assert.equal(unknown.status, 400);
});

test("under the API's port they take a password and the tag monitoring; the other port has nothing else", async () => {
  assert.equal((await api.ask("GET", "/metrics", { as: null })).status, 401);
  assert.equal((await api.ask("GET", "/metrics")).status, 200);
  for (const path of ["overview", "queues", "definitions", "openapi.json"]) {
    assert.equal((await ask(await api.port("metrics"), "GET", path)).status, 404);
  }
});
