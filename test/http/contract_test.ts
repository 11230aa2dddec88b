// The answers of RabbitMQ 4, field by field and type by type: whatever it answers, Leveret answers too, unless it is
// listed here, and in docs/management.md with the reason. The shapes were taken from a RabbitMQ 4.0.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { HttpApi } from "../support/http_api.ts";
import { basic, confirm } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

type Shape = string | readonly Shape[] | { readonly [name: string]: Shape };
interface Recorded {
  readonly status: number;
  readonly shape?: Shape;
}

const SHAPES = JSON.parse(readFileSync(new URL("./rabbitmq_shapes.json", import.meta.url), "utf8")) as Record<
  string,
  Recorded
>;

/** Where the answers differ, by the end of a field's path. Each is in docs/management.md. */
const DIFFERENCES: readonly RegExp[] = [
  /\.message_stats\.disk_(reads|writes)(_details)?$/,
  /\.exchange_types\[\]\.internal_purpose$/,
  /\.metrics_gc_queue_length$/,
  /\.ra_open_file_metrics$/,
  /\.open_files$/,
  /\.publishers$/,
  /\.messages_dlx$|\.message_bytes_dlx$/,
  /\.messages_ready_(high|normal|returned)$/,
  /\.config_files\[\]$|\.auth_mechanisms|\.enabled_plugins$/,
  /\.idle_since$/,
  /^extensions\[\]$/,
  // What the client says of itself, which is not the broker's.
  /\.client_properties\.|\.user_provided_name$/,
  /^definitions\.global_parameters\[\]\.value$/,
  /^definitions.*\.(explanation|original_cluster_name|original_vhost_name|rabbitmq_definition_format|limits|description|default_queue_type|metadata)/,
  /^deprecated-features\[\]$/,
  /^health\/checks\/port-listener\/1/,
  /^vhosts\/shape$/,
  /^auth\/attempts/,
  /^reset$|^shovels|^federation-links/,
];

const api = new HttpApi({ statsIntervalMs: 100 });
after(() => api.stop());
const names = new Map<string, string>();

before(async () => {
  const node = (await api.get("cluster-name")).name;
  names.set("rabbit@localhost", node);
  await api.expect(201, "PUT", "vhosts/shape", { description: "d", tags: "t" });
  await api.expect(201, "PUT", "users/shape", { password: "p", tags: "monitoring" });
  await api.expect(201, "PUT", "permissions/shape/shape", { configure: ".*", write: ".*", read: ".*" });
  await api.expect(201, "PUT", "topic-permissions/%2f/guest", { exchange: "amq.topic", write: ".*", read: ".*" });
  await api.expect(201, "PUT", "global-parameters/shape", { value: { a: 1 } });
  await api.expect(204, "PUT", "vhost-limits/shape/max-queues", { value: 10 });
  await api.expect(204, "PUT", "user-limits/shape/max-connections", { value: 10 });
  await api.expect(201, "PUT", "policies/%2f/shape", { pattern: "^shape", definition: { "message-ttl": 600_000 } });
  await api.expect(201, "PUT", "operator-policies/%2f/shapeop", { pattern: "^none", definition: { "max-length": 10 } });
  await api.expect(201, "PUT", "exchanges/%2f/shape.x", { type: "topic", durable: true });
  const args = { "x-max-length": 100, "x-consumer-timeout": 600_000, "x-queue-type": "classic" };
  await api.expect(201, "PUT", "queues/%2f/shape.q", { durable: true, arguments: args });
  await api.expect(201, "PUT", "queues/%2f/shape.q2", { durable: true });
  await api.expect(201, "PUT", "queues/%2f/shape.quorum", { durable: true, arguments: { "x-queue-type": "quorum" } });
  await api.expect(201, "POST", "bindings/%2f/e/shape.x/q/shape.q", { routing_key: "a.#" });
  const consumer = await api.amqp();
  await consumer.call("confirm.select-ok", confirm.select(1));
  consumer.send(basic.publish(1, "a.b", "x", { exchange: "shape.x" }));
  await consumer.reply("basic.ack");
  await consumer.call("basic.qos-ok", basic.qos(1, 2));
  await consumer.call("basic.consume-ok", basic.consume(1, "shape.q", { tag: "ctag" }));
  consumer.send(basic.ack(1, (await consumer.message()).deliveryTag));
  await waitFor("statistics", async () => {
    const { message_stats, consumer_details } = await api.get("queues/%2f/shape.q");
    return message_stats?.ack > 0 && consumer_details.length > 0;
  });
  await api.get("aliveness-test/%2f");
  names.set("{conn}", encodeURIComponent((await api.get("connections"))[0].name));
});

const kindOf = (value: unknown): string => value === null ? "null" : Array.isArray(value) ? "list" : typeof value;

/** What `actual` lacks of `shape`. */
function differences(shape: Shape, actual: unknown, path: string): string[] {
  if (DIFFERENCES.some((known) => known.test(path))) return [];
  if (actual === undefined) return [`${path}: not there`];
  // What was null when the shape was taken may be anything.
  if (shape === "null" || (kindOf(actual) === "null" && typeof shape === "string")) return [];
  if (typeof shape === "string") return kindOf(actual) === shape ? [] : [`${path}: ${kindOf(actual)}, not ${shape}`];
  if (Array.isArray(shape)) {
    if (!Array.isArray(actual)) return [`${path}: ${kindOf(actual)}, not list`];
    if (shape.length === 0) return [];
    if (DIFFERENCES.some((known) => known.test(`${path}[]`))) return [];
    if (actual.length === 0) return [`${path}[]: empty`];
    return ofList(shape[0]!, actual, `${path}[]`);
  }
  if (kindOf(actual) !== "object") return [`${path}: ${kindOf(actual)}, not object`];
  return Object.entries(shape).flatMap(([name, inner]) => {
    const key = names.get(name) ?? name;
    return differences(inner, (actual as Record<string, unknown>)[key], `${path}.${name}`);
  });
}

/** The recorded shape of a list is that of all its items together, so each field has to be in some item. */
function ofList(shape: Shape, items: readonly unknown[], path: string): string[] {
  const all = items.map((item) => differences(shape, item, path));
  return all[0]!.filter((difference) => all.every((others) => others.includes(difference)));
}

const GETS = Object.keys(SHAPES).filter((name) => name.startsWith("GET ") && SHAPES[name]!.shape !== undefined);
assert.ok(GETS.length > 60);

for (const name of GETS) {
  const path = name.slice("GET ".length);
  test(`GET ${path}`, async () => {
    const { status, shape } = SHAPES[name]!;
    let asked = path;
    for (const [from, to] of names) asked = asked.replaceAll(from, to);
    asked = asked.replace("port-listener/5672", `port-listener/${await api.port("amqp")}`);
    const answer = await api.ask("GET", asked);
    const known = DIFFERENCES.some((difference) => difference.test(path));
    if (!known) assert.equal(answer.status, status, answer.text);
    if (known && answer.status !== status) return;
    if (answer.text !== "") assert.deepEqual(differences(shape!, answer.json, path), []);
  });
}
