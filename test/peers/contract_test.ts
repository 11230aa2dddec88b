// The same scene at a running RabbitMQ 3.10 and at Leveret, and every GET of both held against one another, field by field
// and type by type: whatever RabbitMQ answers Leveret answers too, unless it is listed here, and in docs/management.md with
// the reason.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DIFFERENCES } from "../support/api_differences.ts";
import { type Scene, setScene } from "../support/api_scene.ts";
import { differences, shapeOf } from "../support/api_shapes.ts";
import { BrokerProcess, testTargets } from "../support/broker_process.ts";
import { type Answer, ask } from "../support/http_api.ts";
import { rabbitMissing, RabbitMq } from "../support/rabbitmq.ts";

const START_TIMEOUT_MS = 300_000;
/** Where the answers differ from those of 3.10. Each is in docs/management.md. */
const KNOWN: readonly RegExp[] = [
  ...DIFFERENCES,
  // What 4.x no longer has.
  /\.release_series_support_status$/,
  /\.backing_queue_status$|\.recoverable_slaves$|\.single_active_consumer_ctag$/,
  /^queues.*\[\]\.garbage_collection$/,
  /^definitions\/%2f\.(parameters|policies)\[\]\.vhost$/,
  /^auth\.(enable_uaa|uaa_client_id|uaa_location)$/,
  // What 3.10 does not have yet.
  /^users\?page/,
  /^auth\/hash_password/,
  /^connections\/\{connection\}\?columns/,
  /^nodes\/nope/,
];

const GETS = [
  "overview",
  "overview?msg_rates_age=60&msg_rates_incr=5&lengths_age=60&lengths_incr=5",
  "overview?columns=queue_totals.messages,object_totals",
  "cluster-name",
  "nodes",
  "nodes?columns=name,mem_used,fd_used_details.rate",
  "nodes/{node}",
  "nodes/{node}/memory",
  "nodes/nope",
  "extensions",
  "definitions",
  "definitions/%2f",
  "definitions/nope",
  "connections",
  "connections?page=1&page_size=1",
  "connections?sort=channels&sort_reverse=true&columns=name,channels,recv_oct_details.rate",
  "connections/{connection}",
  "connections/{connection}?columns=name,recv_oct_details.rate",
  "connections/{connection}/channels",
  "connections/username/guest",
  "connections/nope",
  "vhosts/%2f/connections",
  "channels",
  "channels?page=1&page_size=2&name=(2)",
  "channels/{connection}%20(1)",
  "channels/{connection}%20(2)",
  "channels/nope",
  "vhosts/%2f/channels",
  "consumers",
  "consumers?columns=consumer_tag,queue.name",
  "consumers/%2f",
  "consumers/nope",
  "exchanges",
  "exchanges?page=1&page_size=3&name=%5Eshape&use_regex=true",
  "exchanges/%2f",
  "exchanges/%2f/shape.x",
  "exchanges/%2f/shape.y",
  "exchanges/%2f/amq.default",
  "exchanges/%2f/shape.x/bindings/source",
  "exchanges/%2f/shape.y/bindings/destination",
  "exchanges/%2f/amq.default/bindings/source",
  "exchanges/%2f/nope",
  "exchanges/nope",
  "queues",
  "queues/%2f",
  "queues/%2f/shape.q",
  "queues/%2f/shape.q?msg_rates_age=60&msg_rates_incr=5&lengths_age=60&lengths_incr=5",
  "queues/%2f/shape.q?columns=name,message_stats.publish_details.rate",
  "queues/%2f/shape.q2",
  "queues/%2f/shape.top",
  "queues/%2f/shape.taken",
  "queues/%2f/shape.single",
  "queues/%2f/shape.quorum",
  "queues/%2f/shape.stream",
  "queues/%2f/shape.q/bindings",
  "queues/%2f/shape.q2/bindings",
  "queues?page=1&page_size=2&name=shape&use_regex=false",
  "queues?page=2&page_size=2&name=shape&pagination=true",
  "queues?columns=name,messages&sort=name&sort_reverse=true",
  "queues?page=1&page_size=5&sort=message_stats.publish_details.rate&columns=name,message_stats.publish",
  "queues?page=0",
  "queues?page=99",
  "queues?page=1&page_size=501",
  "queues?page=1&page_size=0",
  "queues?page=a",
  "queues/%2f/nope",
  "queues/nope",
  "bindings",
  "bindings/%2f",
  "bindings/%2f/e/shape.x/q/shape.q",
  "bindings/%2f/e/shape.x/q/shape.q/a.%2523",
  "bindings/%2f/e/shape.x/e/shape.y",
  "bindings/%2f/e/shape.x/e/shape.y/to.y",
  "bindings/%2f/e/shape.x/q/nope",
  "bindings/%2f/e/nope/q/shape.q",
  "bindings/%2f/e/shape.x/q/shape.q/nope",
  "bindings/nope",
  "vhosts",
  "vhosts?page=1&page_size=1",
  "vhosts/%2f",
  "vhosts/shape",
  "vhosts/%2f/permissions",
  "vhosts/%2f/topic-permissions",
  "vhosts/nope",
  "vhosts/nope/permissions",
  "users",
  "users?page=1&page_size=2&sort=name",
  "users/guest",
  "users/none",
  "users/guest/permissions",
  "users/guest/topic-permissions",
  "users/without-permissions",
  "users/nope",
  "users/nope/permissions",
  "user-limits",
  "user-limits/shape",
  "user-limits/nope",
  "whoami",
  "permissions",
  "permissions/%2f/guest",
  "permissions/%2f/shape",
  "permissions/%2f/nope",
  "topic-permissions",
  "topic-permissions/%2f/guest",
  "topic-permissions/%2f/shape",
  "parameters",
  "parameters/vhost-limits",
  "parameters/vhost-limits/shape",
  "parameters/vhost-limits/shape/limits",
  "parameters/operator_policy/%2f",
  "parameters/nope",
  "parameters/nope/%2f",
  "parameters/nope/%2f/nope",
  "global-parameters",
  "global-parameters/shape",
  "global-parameters/nope",
  "policies",
  "policies/%2f",
  "policies/%2f/shape",
  "policies/%2f/nope",
  "policies/nope",
  "operator-policies",
  "operator-policies/%2f",
  "operator-policies/%2f/shapeop",
  "vhost-limits",
  "vhost-limits/shape",
  "vhost-limits/nope",
  "aliveness-test/%2f",
  "aliveness-test/nope",
  "health/checks/alarms",
  "health/checks/local-alarms",
  "health/checks/port-listener/{port}",
  "health/checks/port-listener/1",
  "health/checks/port-listener/x",
  "health/checks/protocol-listener/amqp091",
  "health/checks/protocol-listener/amqp",
  "health/checks/protocol-listener/http",
  "health/checks/protocol-listener/stomp",
  "health/checks/virtual-hosts",
  "health/checks/node-is-quorum-critical",
  "health/checks/node-is-mirror-sync-critical",
  "health/checks/certificate-expiration/1/weeks",
  "health/checks/certificate-expiration/x/weeks",
  "health/checks/certificate-expiration/1/nope",
  "healthchecks/node",
  "healthchecks/node/{node}",
  "feature-flags",
  "auth",
  "auth/attempts/{node}",
  "auth/attempts/{node}/source",
  "auth/hash_password/secret",
  "rebalance/queues",
  "reset",
  "nope",
];

type Call = readonly [method: string, path: string, body?: unknown, as?: string];

const MANAGER = "manager:p";
const REFUSED: readonly Call[] = [
  ["GET", "queues", undefined, "guest:wrong"],
  ["GET", "queues", undefined, "nobody:x"],
  ["GET", "queues", undefined, "none:p"],
  ["PUT", "queues/%2f/other", { durable: true }, MANAGER],
  ["DELETE", "queues/%2f/shape.q", undefined, MANAGER],
  ["DELETE", "queues/%2f/shape.q/contents", undefined, MANAGER],
  ["PUT", "exchanges/%2f/other", { type: "direct" }, MANAGER],
  ["POST", "bindings/%2f/e/shape.x/q/shape.q", { routing_key: "k" }, MANAGER],
  ["POST", "exchanges/%2f/shape.x/publish", {
    properties: {},
    routing_key: "k",
    payload: "p",
    payload_encoding: "string",
  }, MANAGER],
  ["POST", "queues/%2f/shape.q/get", { count: 1, ackmode: "ack_requeue_true", encoding: "auto" }, MANAGER],
  ["PUT", "users/x", { password: "p", tags: "" }, MANAGER],
  ["PUT", "queues/%2f/shape.q", { durable: false }],
  ["PUT", "queues/%2f/shape.q", { durable: true, arguments: { "x-max-length": 101 } }],
  ["PUT", "queues/%2f/bad", { durable: true, arguments: { "x-message-ttl": "x" } }],
  ["PUT", "queues/%2f/bad", { durable: true, arguments: { "x-message-ttl": -1 } }],
  ["PUT", "queues/%2f/bad", { durable: true, arguments: { "x-queue-type": "nope" } }],
  ["PUT", "queues/%2f/bad", { durable: false, arguments: { "x-queue-type": "quorum" } }],
  ["PUT", "queues/%2f/bad", { durable: "yes" }],
  ["PUT", "queues/%2f/amq.bad", { durable: true }],
  ["PUT", "queues/%2f/bad", "not json"],
  ["PUT", "queues/%2f/bad", []],
  ["PUT", "queues/nope/bad", {}],
  ["PUT", "exchanges/%2f/bad", { type: "nope" }],
  ["PUT", "exchanges/%2f/bad", {}],
  ["PUT", "exchanges/%2f/shape.x", { type: "fanout", durable: true }],
  ["PUT", "exchanges/%2f/amq.bad", { type: "direct" }],
  ["DELETE", "exchanges/%2f/amq.topic"],
  ["DELETE", "exchanges/%2f/amq.default"],
  ["DELETE", "exchanges/%2f/shape.x?if-unused=true"],
  ["DELETE", "exchanges/%2f/nope"],
  ["DELETE", "queues/%2f/shape.q?if-unused=true"],
  ["DELETE", "queues/%2f/shape.quorum?if-empty=true"],
  ["DELETE", "queues/%2f/shape.taken"],
  ["DELETE", "queues/%2f/nope"],
  ["DELETE", "queues/%2f/nope/contents"],
  ["DELETE", "queues/%2f/shape.taken/contents"],
  ["POST", "queues/%2f/shape.q/actions", { action: "nope" }],
  ["POST", "bindings/%2f/e/shape.x/q/nope", { routing_key: "k" }],
  ["POST", "bindings/%2f/e/nope/q/shape.q", { routing_key: "k" }],
  ["POST", "bindings/%2f/e/amq.default/q/shape.q", { routing_key: "k" }],
  ["DELETE", "bindings/%2f/e/shape.x/q/shape.q/nope"],
  ["POST", "exchanges/%2f/shape.x/publish", { routing_key: "a" }],
  ["POST", "exchanges/%2f/nope/publish", {
    properties: {},
    routing_key: "k",
    payload: "p",
    payload_encoding: "string",
  }],
  ["POST", "exchanges/%2f/shape.x/publish", {
    properties: {},
    routing_key: "k",
    payload: "p",
    payload_encoding: "nope",
  }],
  ["POST", "queues/%2f/shape.q2/get", { count: 1 }],
  ["POST", "queues/%2f/shape.q2/get", { count: 1, ackmode: "nope", encoding: "auto" }],
  ["POST", "queues/%2f/nope/get", { count: 1, ackmode: "ack_requeue_true", encoding: "auto" }],
  ["POST", "queues/%2f/shape.stream/get", { count: 1, ackmode: "ack_requeue_true", encoding: "auto" }],
  ["PUT", "users/bad", {}],
  ["PUT", "users/bad", { tags: "", password: "a", password_hash: "b" }],
  ["PUT", "users/bad", { tags: "", password_hash: "!" }],
  ["PUT", "users/bad", { tags: "", password: "" }],
  ["DELETE", "users/nope"],
  ["PUT", "vhosts/bad", "not json"],
  ["DELETE", "vhosts/nope"],
  ["PUT", "permissions/%2f/guest", {}],
  ["PUT", "permissions/%2f/guest", { configure: "(", write: "", read: "" }],
  ["PUT", "permissions/%2f/nope", { configure: "", write: "", read: "" }],
  ["PUT", "permissions/nope/guest", { configure: "", write: "", read: "" }],
  ["DELETE", "permissions/%2f/nope"],
  ["DELETE", "permissions/%2f/shape"],
  ["PUT", "topic-permissions/%2f/guest", {}],
  ["PUT", "policies/%2f/bad", { pattern: "(", definition: { "message-ttl": 1 } }],
  ["PUT", "policies/%2f/bad", { pattern: ".*", definition: {} }],
  ["PUT", "policies/%2f/bad", { pattern: ".*", definition: { nope: 1 } }],
  ["PUT", "policies/%2f/bad", { pattern: ".*", definition: { "message-ttl": "x" } }],
  ["PUT", "policies/%2f/bad", { pattern: ".*", definition: { "message-ttl": 1 }, "apply-to": "nope" }],
  ["PUT", "policies/%2f/bad", { pattern: ".*", definition: { "message-ttl": 1 }, priority: "x" }],
  ["PUT", "policies/%2f/bad", {}],
  ["PUT", "operator-policies/%2f/bad", { pattern: ".*", definition: { "alternate-exchange": "x" } }],
  ["DELETE", "policies/%2f/nope"],
  ["DELETE", "operator-policies/%2f/nope"],
  ["PUT", "parameters/vhost-limits/shape/limits", {}],
  ["DELETE", "parameters/nope/%2f/nope"],
  ["PUT", "global-parameters/bad", {}],
  ["DELETE", "global-parameters/nope"],
  ["PUT", "vhost-limits/shape/nope", { value: 1 }],
  ["PUT", "vhost-limits/shape/max-queues", { value: "x" }],
  ["PUT", "vhost-limits/shape/max-queues", {}],
  ["PUT", "vhost-limits/nope/max-queues", { value: 1 }],
  ["PUT", "user-limits/shape/nope", { value: 1 }],
  ["PUT", "user-limits/nope/max-channels", { value: 1 }],
  ["DELETE", "connections/nope"],
  ["POST", "definitions", "not json"],
  ["POST", "definitions", { queues: [{ name: "q", vhost: "nope", durable: true, auto_delete: false, arguments: {} }] }],
  ["POST", "definitions/nope", {}],
  ["DELETE", "reset/nope"],
  ["PUT", "policies/nope/p", { pattern: ".*", definition: { "message-ttl": 1 } }],
  ["PUT", "parameters/vhost-limits/nope/limits", { value: {} }],
  ["DELETE", "queues/nope/q"],
  ["POST", "bindings/nope/e/x/q/q", { routing_key: "k" }],
  ["POST", "exchanges/nope/x/publish", { properties: {}, routing_key: "k", payload: "p", payload_encoding: "string" }],
  ["POST", "queues/nope/q/get", { count: 1, ackmode: "ack_requeue_true", encoding: "auto" }],
  ["PUT", "topic-permissions/%2f/nope", { exchange: "x", write: "", read: "" }],
  ["PATCH", "queues"],
  ["POST", "overview"],
];

/** Answered with another status, each as docs/management.md says. */
const OTHERWISE: readonly RegExp[] = [
  // 500 at 3.10.
  /^GET (nodes|connections|channels)\/nope as /,
  /^GET connections\/username\/guest as manager/,
  /^POST .*"ackmode":"nope"/,
  // Who may look at what.
  /^GET vhosts\/(%2f|shape|nope) as /,
  /^GET (user-limits.*|feature-flags|consumers\/%2f) as /,
  /^GET auth\/hash_password/,
  // What there is no virtual host or user for.
  /^POST (exchanges|queues)\/nope\//,
  /^PUT user-limits\/nope\//,
  // What is refused.
  /^POST exchanges\/.*\/publish .* as manager/,
  /^PUT users\/bad .*"password":""/,
];

/** Said in other words: those of 4.x, or a text where RabbitMQ's reason is a term of Erlang's. */
const WORDED: readonly RegExp[] = [
  /^GET aliveness-test\/%2f as manager/,
  /^POST queues\/%2f\/shape\.q\/get .* as manager/,
  /^PUT queues\/%2f\/shape\.q .*"x-max-length":101/,
  /^PUT queues\/%2f\/bad (\[\]|.*"durable":"yes")/,
  /^PUT exchanges\/%2f\/bad .*"type":"nope"/,
  /^DELETE queues\/%2f\/shape\.quorum\?if-empty/,
  /^POST queues\/%2f\/shape\.q\/actions/,
  /^POST exchanges\/%2f\/shape\.x\/publish .*"nope"/,
  /^POST queues\/%2f\/shape\.stream\/get/,
  /^PUT users\/bad .*"password_hash":"!"/,
  /^PUT permissions\/%2f\/guest .*"\("/,
  /^PUT policies\/%2f\/bad .*("\("|"nope"|"x")/,
  /^POST definitions .*"nope"/,
];

interface Peer {
  readonly port: number;
  readonly httpPort: number;
  dispose(): Promise<void>;
}

interface Asked {
  readonly body?: unknown;
  readonly as?: string;
}

class Side {
  readonly peer: Peer;
  readonly scene: Scene;

  constructor(peer: Peer, scene: Scene) {
    this.peer = peer;
    this.scene = scene;
  }

  static async start(start: Promise<Peer>): Promise<Side> {
    const peer = await start;
    return new Side(peer, await setScene(peer.port, peer.httpPort));
  }

  async ask(method: string, path: string, options: Asked): Promise<Answer> {
    const { node, connection } = this.scene;
    const asked = path.replace("{node}", node).replace("{connection}", encodeURIComponent(connection))
      .replace("{port}", `${this.peer.port}`);
    return await ask(this.peer.httpPort, method, asked, options);
  }

  async dispose(): Promise<void> {
    this.scene.close();
    await this.peer.dispose();
  }
}

describe("the HTTP API beside RabbitMQ 3.10", { skip: rabbitMissing ?? false }, () => {
  let rabbit: Side;
  let leveret: Side;
  const names = new Map<string, string>();

  before(async () => {
    [rabbit, leveret] = await Promise.all([
      Side.start(RabbitMq.start()),
      Side.start(BrokerProcess.start(testTargets()[0]!, { http: true })),
    ]);
    names.set(rabbit.scene.node, leveret.scene.node);
  }, { timeout: START_TIMEOUT_MS });

  after(async () => {
    await rabbit?.dispose();
    await leveret?.dispose();
  });

  for (const path of GETS) {
    it(`GET ${path}`, async () => {
      const [theirs, ours] = await both("GET", path);
      const isKnown = KNOWN.some((known) => known.test(path));
      if (!isKnown) {
        assert.equal(ours.status, theirs.status, `${theirs.text.slice(0, 500)}\n${ours.text.slice(0, 500)}`);
      }
      if (isKnown || theirs.text === "") return;
      assert.deepEqual(differences(shapeOf(theirs.json), ours.json, path, { known: KNOWN, names }), []);
    });
  }

  for (const path of GETS.filter((path) => !path.includes("?"))) {
    it(`GET ${path}: who may`, async () => {
      for (const as of [MANAGER, "shape:p", "none:p"]) {
        const [theirs, ours] = await both("GET", path, { as });
        const shown = (answer: Answer) => answer.status === 401 ? problemOf(answer) : { status: answer.status };
        compare(`GET ${path} as ${as}`, shown(ours), shown(theirs));
      }
    });
  }

  for (const [method, path, body, as = "guest:guest"] of REFUSED) {
    const text = body === undefined ? "" : ` ${JSON.stringify(body)}`;
    const name = `${method} ${path}${text.slice(0, 100)}${as === "guest:guest" ? "" : ` as ${as}`}`;
    it(name, async () => {
      const [theirs, ours] = await both(method, path, { body, as });
      compare(name, problemOf(ours), problemOf(theirs));
    });
  }

  async function both(method: string, path: string, options: Asked = {}): Promise<[theirs: Answer, ours: Answer]> {
    return [await rabbit.ask(method, path, options), await leveret.ask(method, path, options)];
  }
});

interface ShownProblem {
  readonly status: number;
  readonly error?: unknown;
  readonly reason?: unknown;
}

function problemOf({ status, text }: Answer): ShownProblem {
  return { status, ...(text.startsWith("{") ? JSON.parse(text) : {}) };
}

function compare(name: string, ours: ShownProblem, theirs: ShownProblem): void {
  if (OTHERWISE.some((known) => known.test(name))) return;
  const isWorded = WORDED.some((known) => known.test(name));
  const shown = ({ reason, ...rest }: ShownProblem) => isWorded ? rest : { reason, ...rest };
  assert.deepEqual(shown(ours), shown(theirs), name);
}
