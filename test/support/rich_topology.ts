// A topology with something of everything that both RabbitMQ 3.10 and Leveret know, made over the HTTP API of either; and
// what a broker says of it, in a form in which two can be held against one another.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ask } from "./http_api.ts";
import { waitFor } from "./wait.ts";

export interface RichUser {
  readonly name: string;
  /** Null: it cannot log in. */
  readonly password: string | null;
  readonly tags: readonly string[];
  readonly hash?: "sha256" | "sha512" | "md5";
}

type Entry = readonly [path: string, body: object];

export class RichTopology {
  readonly users: readonly RichUser[];
  readonly vhost: string;
  readonly #entries: readonly Entry[];
  readonly #bindings: readonly Entry[];

  /** The prefix keeps two of them apart. `extra` are further arguments of a queue, which only its maker knows. */
  constructor(prefix: string, extra: Readonly<Record<string, unknown>> = {}) {
    this.users = usersOf(prefix);
    this.vhost = `${prefix} v/é`;
    const at = encodeURIComponent(this.vhost);
    this.#entries = [...identity(prefix, this.users, this.vhost), ...topology(prefix, at, extra)];
    this.#bindings = bindings(prefix, at);
  }

  async make(httpPort: number): Promise<void> {
    for (const [path, body] of this.#entries) await expectDone(httpPort, "PUT", path, body);
    for (const [path, body] of this.#bindings) await expectDone(httpPort, "POST", path, body);
  }
}

async function expectDone(port: number, method: string, path: string, body: object): Promise<void> {
  const answer = await ask(port, method, path, { body });
  assert.ok(answer.status === 201 || answer.status === 204, `${method} ${path}: ${answer.status} ${answer.text}`);
}

function usersOf(prefix: string): RichUser[] {
  return [
    { name: `${prefix} ann`, password: "sécret, ∞", tags: ["administrator", "own tag"] },
    { name: `${prefix}.bob`, password: "p:w", tags: ["monitoring", "policymaker"], hash: "sha512" },
    { name: `${prefix}-éva`, password: "old", tags: ["management"], hash: "md5" },
    { name: `${prefix}/app`, password: "x".repeat(200), tags: ["impersonator"], hash: "sha256" },
    { name: `${prefix}-cert`, password: null, tags: [] },
  ];
}

function userBody({ password, tags, hash }: RichUser): object {
  if (password === null) return { password_hash: "", tags: tags.join(",") };
  if (hash === undefined) return { password, tags: tags.join(",") };
  const salt = Buffer.from([1, 2, 3, 250]);
  const digest = createHash(hash).update(salt).update(password).digest();
  return {
    password_hash: Buffer.concat([salt, digest]).toString("base64"),
    hashing_algorithm: `rabbit_password_hashing_${hash}`,
    tags: tags.join(","),
  };
}

function identity(prefix: string, users: readonly RichUser[], vhost: string): Entry[] {
  const [at, name] = [encodeURIComponent(vhost), encodeURIComponent];
  const entries: Entry[] = [[`vhosts/${at}`, { description: 'déscription, "quoted"', tags: "prod,eu" }]];
  for (const user of users) {
    entries.push([`users/${name(user.name)}`, userBody(user)]);
    const pattern = `^(amq\\.gen.*|${prefix}[-./ ]x?.*)$`;
    entries.push([`permissions/${at}/${name(user.name)}`, { configure: pattern, write: ".*", read: "" }]);
    entries.push([`permissions/%2f/${name(user.name)}`, { configure: "", write: "^$", read: ".*" }]);
  }
  const ann = name(users[0]!.name);
  entries.push([`topic-permissions/${at}/${ann}`, { exchange: "amq.topic", write: "^{username}\\.", read: ".*" }]);
  entries.push([`topic-permissions/${at}/${ann}`, { exchange: `${prefix}.topic`, write: "", read: "^a\\.#" }]);
  entries.push([`user-limits/${ann}/max-connections`, { value: 10 }]);
  entries.push([`user-limits/${ann}/max-channels`, { value: 100 }]);
  entries.push([`vhost-limits/${at}/max-queues`, { value: 500 }]);
  entries.push([`vhost-limits/${at}/max-connections`, { value: 200 }]);
  const upstream = { uri: "amqp://nowhere.invalid", "max-hops": 2, "ack-mode": "on-publish" };
  entries.push([`parameters/federation-upstream/${at}/up`, { value: upstream }]);
  entries.push([`global-parameters/${prefix}-list`, { value: ["a", 1, 1.5, true, null, { b: { c: [] } }] }]);
  entries.push([`global-parameters/${prefix}-text`, { value: "text" }]);
  return [...entries, ...policies(prefix, at)];
}

function policies(prefix: string, at: string): Entry[] {
  const all: [name: string, applyTo: string, priority: number, definition: object][] = [
    ["ttl", "queues", 3, { "message-ttl": 60_000, expires: 3_600_000, "max-length": 1000, "max-length-bytes": 1e9 }],
    ["dead", "queues", -1, {
      "dead-letter-exchange": `${prefix}.topic`,
      "dead-letter-routing-key": "dead",
      overflow: "reject-publish",
    }],
    ["mirrored", "all", 0, { "ha-mode": "exactly", "ha-params": 2, "ha-sync-mode": "automatic", "queue-mode": "lazy" }],
    ["limit", "queues", 0, { "delivery-limit": 7, "queue-master-locator": "min-masters" }],
    ["stream", "queues", 0, { "max-age": "7D" }],
    ["alternate", "exchanges", 1, { "alternate-exchange": "amq.fanout" }],
    ["federated", "exchanges", 0, { "federation-upstream-set": "all" }],
  ];
  const entries = all.map(([name, applyTo, priority, definition]): Entry => {
    const pattern = `^${prefix}[.](?!none)${name}`;
    return [`policies/${at}/${prefix}%20${name}`, { pattern, definition, priority, "apply-to": applyTo }];
  });
  const operator = { pattern: `^${prefix}\\.ttl`, definition: { "max-length": 10, "message-ttl": 5000 }, priority: 2 };
  return [...entries, [`operator-policies/${at}/${prefix}-op`, { ...operator, "apply-to": "queues" }]];
}

function topology(prefix: string, at: string, extra: Readonly<Record<string, unknown>>): Entry[] {
  const queue = (name: string, args: object, more: object = {}): Entry => [
    `queues/${at}/${encodeURIComponent(`${prefix}.${name}`)}`,
    { durable: true, arguments: args, ...more },
  ];
  const exchange = (name: string, type: string, args: object = {}, more: object = {}): Entry => [
    `exchanges/${at}/${encodeURIComponent(`${prefix}.${name}`)}`,
    { type, durable: true, arguments: args, ...more },
  ];
  return [
    exchange("topic", "topic", { "alternate-exchange": `${prefix}.fanout` }),
    exchange("fanout", "fanout"),
    exchange("direct /é", "direct", {}, { internal: true }),
    exchange("headers", "headers", {}, { auto_delete: true }),
    exchange("hash", "x-consistent-hash", { "hash-header": "id" }),
    exchange("alternate", "direct", {}, { durable: false }),
    queue("ttl", { "x-max-length": 500, "x-message-ttl": 1000, "x-expires": 10_000_000 }),
    queue("dead", {}),
    queue("classic é/%", {
      "x-queue-type": "classic",
      "x-max-length-bytes": 1_000_000,
      "x-overflow": "reject-publish-dlx",
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": `${prefix}.dead`,
      "x-single-active-consumer": true,
      "x-queue-mode": "lazy",
      "x-queue-version": 2,
      "x-own": { list: [1, 2.5, "three", false, {}] },
      ...extra,
    }),
    queue("priority", { "x-max-priority": 10 }),
    queue("limit", { "x-queue-type": "quorum", "x-delivery-limit": 3, "x-quorum-initial-group-size": 1 }),
    queue("at least once", {
      "x-queue-type": "quorum",
      "x-dead-letter-exchange": `${prefix}.topic`,
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish",
    }),
    queue("stream", {
      "x-queue-type": "stream",
      "x-max-age": "1h",
      "x-max-length-bytes": 2e9,
      "x-stream-max-segment-size-bytes": 1e6,
    }),
    queue("temporary", {}, { auto_delete: true }),
    queue("transient", {}, { durable: false }),
  ];
}

function bindings(prefix: string, at: string): Entry[] {
  const name = (text: string) => encodeURIComponent(text.startsWith("amq.") ? text : `${prefix}.${text}`);
  const bind = (source: string, kind: "q" | "e", destination: string, key: string, args: object = {}): Entry => [
    `bindings/${at}/e/${name(source)}/${kind}/${name(destination)}`,
    { routing_key: key, arguments: args },
  ];
  return [
    bind("topic", "q", "ttl", "a.*.#"),
    bind("topic", "q", "ttl", "a.*.#", { note: 1 }),
    bind("topic", "q", "dead", ""),
    bind("amq.topic", "q", "stream", "#"),
    bind("direct /é", "q", "classic é/%", "ké y~/%"),
    bind("fanout", "e", "direct /é", "ké y~/%"),
    bind("topic", "e", "fanout", "z", { deep: { of: [1, { b: true }], real: 0.25 } }),
    bind("headers", "q", "limit", "", { "x-match": "all", n: 5, text: "t", flag: true, real: 1.5 }),
    bind("headers", "q", "priority", "k", { "x-match": "any-with-x", "x-y": "z", "x-n": 0 }),
    bind("hash", "q", "ttl", "3"),
    bind("hash", "q", "dead", "1"),
  ];
}

/** RabbitMQ's own exchange for its tracing. */
const TRACE = "amq.rabbitmq.trace";

/** What both answer with the same words: definitions' own fields, and what policies come to. */
const COMPARED: readonly (readonly [path: string, columns: string, prefixed: string])[] = [
  ["users", "name,password_hash,hashing_algorithm,tags,limits", "name"],
  ["vhosts", "name,description,tags", "name"],
  ["permissions", "user,vhost,configure,write,read", "user"],
  ["topic-permissions", "user,vhost,exchange,write,read", "user"],
  ["user-limits", "user,value", "user"],
  ["vhost-limits", "vhost,value", "vhost"],
  ["parameters", "vhost,component,name,value", "vhost"],
  ["global-parameters", "name,value", "name"],
  ["policies", "vhost,name,pattern,apply-to,definition,priority", "vhost"],
  ["operator-policies", "vhost,name,pattern,apply-to,definition,priority", "vhost"],
  ["exchanges", "vhost,name,type,durable,auto_delete,internal,arguments,policy", "vhost"],
  [
    "queues",
    "vhost,name,type,durable,auto_delete,arguments,policy,operator_policy,effective_policy_definition",
    "vhost",
  ],
  ["bindings", "vhost,source,destination,destination_type,routing_key,arguments", "vhost"],
];

/** All of it that belongs to a prefix, in one order. */
export async function describeTopology(
  httpPort: number,
  prefix: string,
  { without = [] }: { without?: readonly string[] } = {},
): Promise<Record<string, unknown[]>> {
  const result: Record<string, unknown[]> = {};
  for (const [path, columns, key] of COMPARED) {
    if (without.includes(path)) continue;
    const names = columns.split(",");
    const items = await waitFor(`${path} of ${prefix}`, async () => {
      const { status, json, text } = await ask(httpPort, "GET", `${path}?columns=${columns}`);
      assert.equal(status, 200, text);
      const ours = (json as Record<string, unknown>[]).filter((item) => {
        return String(item[key]).startsWith(prefix) && item["name"] !== TRACE;
      });
      // RabbitMQ says what belongs to its statistics only after the first sample.
      return ours.length > 0 && ours.every((item) => path !== "queues" || "effective_policy_definition" in item) &&
        ours;
    });
    result[path] = items.map((item) => pick(item, names)).toSorted(byText);
  }
  return result;
}

function pick(item: Record<string, unknown>, columns: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(columns.map((name) => [name, item[name]]));
}

function byText(a: unknown, b: unknown): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
