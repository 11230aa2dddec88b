// Users, permissions, virtual hosts, policies, parameters, limits and definitions over HTTP.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { HttpApi } from "../support/http_api.ts";

const api = new HttpApi();
after(() => api.stop());

test("users are made, changed, shown and deleted", async () => {
  await api.expect(201, "PUT", "users/ann", { password: "carrot", tags: "management,policymaker" });
  await api.expect(204, "PUT", "users/ann", { password: "carrot", tags: ["management"] });
  const ann = await api.get("users/ann");
  assert.deepEqual(ann.tags, ["management"]);
  assert.equal(ann.hashing_algorithm, "rabbit_password_hashing_sha256");
  assert.ok(!JSON.stringify(ann).includes("carrot"));
  assert.equal((await api.ask("GET", "whoami", { as: "ann:carrot" })).status, 200);
  assert.equal((await api.expect(400, "PUT", "users/bob", {})).json.reason, "tags_not_present");
  await api.expect(201, "PUT", "users/bob", { password_hash: ann.password_hash, tags: "management" });
  assert.equal((await api.ask("GET", "whoami", { as: "bob:carrot" })).json.name, "bob");
  await api.expect(204, "PUT", "users/bob", { tags: "" });
  assert.equal((await api.ask("GET", "whoami", { as: "bob:carrot" })).status, 401, "without a password nobody logs in");
  assert.ok((await api.get("users")).some(({ name }: { name: string }) => name === "bob"));
  assert.deepEqual((await api.get("users/without-permissions")).map(({ name }: { name: string }) => name), [
    "ann",
    "bob",
  ]);
  await api.expect(204, "POST", "users/bulk-delete", { users: ["bob", "nobody"] });
  await api.expect(204, "DELETE", "users/ann");
  await api.expect(404, "DELETE", "users/ann");
  await api.expect(400, "PUT", "users/x", { password: "", tags: "" });
});

test("permissions and topic permissions", async () => {
  await api.expect(201, "PUT", "users/per", { password: "p", tags: "management" });
  const all = { configure: ".*", write: ".*", read: ".*" };
  await api.expect(201, "PUT", "permissions/%2f/per", all);
  await api.expect(204, "PUT", "permissions/%2f/per", { ...all, read: "^$" });
  assert.deepEqual(await api.get("permissions/%2f/per"), { user: "per", vhost: "/", ...all, read: "^$" });
  assert.equal((await api.get("users/per/permissions")).length, 1);
  assert.equal((await api.get("vhosts/%2f/permissions")).length, 2);
  await api.expect(400, "PUT", "permissions/%2f/per", { ...all, read: "(" });
  assert.equal(
    (await api.expect(400, "PUT", "permissions/%2f/per", { read: "" })).json.reason,
    "[{key_missing,configure},{key_missing,write}]",
  );
  const both = await api.expect(400, "PUT", "permissions/%2f/nobody", all);
  assert.equal(both.json.reason, "vhost_or_user_not_found");
  await api.expect(400, "PUT", "permissions/nowhere/per", all);
  const topic = { exchange: "amq.topic", write: "^a", read: "^b" };
  await api.expect(201, "PUT", "topic-permissions/%2f/per", topic);
  await api.expect(204, "PUT", "topic-permissions/%2f/per", topic);
  assert.deepEqual(await api.get("topic-permissions/%2f/per"), [{ user: "per", vhost: "/", ...topic }]);
  await api.expect(201, "PUT", "topic-permissions/%2f/per", { ...topic, exchange: "another" });
  await api.expect(204, "DELETE", "topic-permissions/%2f/per/another");
  await api.expect(404, "DELETE", "topic-permissions/%2f/per/another");
  assert.equal((await api.get("topic-permissions/%2f/per")).length, 1);
  await api.expect(204, "DELETE", "topic-permissions/%2f/per");
  await api.expect(204, "DELETE", "permissions/%2f/per");
  await api.expect(404, "DELETE", "permissions/%2f/per");
  await api.expect(204, "DELETE", "users/per");
});

test("virtual hosts with what is said of them", async () => {
  await api.expect(201, "PUT", "vhosts/burrow", { description: "d", tags: "a,b", default_queue_type: "quorum" });
  await api.expect(204, "PUT", "vhosts/burrow", { description: "e" });
  const vhost = await api.get("vhosts/burrow");
  assert.deepEqual([vhost.description, vhost.tags, vhost.default_queue_type], ["e", ["a", "b"], "quorum"]);
  // Who made it may use it.
  await api.expect(201, "PUT", "queues/burrow/q", { durable: true });
  assert.equal((await api.get("queues/burrow/q")).type, "quorum");
  assert.deepEqual((await api.get("queues/burrow")).map(({ name }: { name: string }) => name), ["q"]);
  await api.expect(204, "PUT", "vhost-limits/burrow/max-queues", { value: 1 });
  assert.deepEqual(await api.get("vhost-limits/burrow"), [{ vhost: "burrow", value: { "max-queues": 1 } }]);
  await api.expect(400, "PUT", "queues/burrow/q2", { durable: true });
  await api.expect(204, "DELETE", "vhost-limits/burrow/max-queues");
  await api.expect(201, "PUT", "queues/burrow/q2", { durable: true });
  await api.expect(400, "PUT", "vhost-limits/burrow/max-carrots", { value: 1 });
  await api.expect(204, "DELETE", "vhosts/burrow");
  await api.expect(404, "GET", "queues/burrow");
  await api.expect(404, "DELETE", "vhosts/burrow");
});

test("policies hold at once and are shown with what they hold for", async () => {
  await api.expect(201, "PUT", "queues/%2f/ruled", {});
  await api.expect(201, "PUT", "policies/%2f/p", {
    pattern: "^ruled",
    definition: { "max-length": 2 },
    "apply-to": "queues",
  });
  await api.expect(204, "PUT", "policies/%2f/p", { pattern: "^ruled", definition: { "max-length": 1 }, priority: 5 });
  await api.expect(201, "PUT", "operator-policies/%2f/o", { pattern: "^ruled", definition: { "max-length": 3 } });
  const queue = await api.get("queues/%2f/ruled");
  assert.deepEqual([queue.policy, queue.operator_policy, queue.effective_policy_definition], ["p", "o", {
    "max-length": 1,
  }]);
  assert.deepEqual(await api.get("policies/%2f/p"), {
    vhost: "/",
    name: "p",
    pattern: "^ruled",
    "apply-to": "all",
    priority: 5,
    definition: { "max-length": 1 },
  });
  for (let i = 0; i < 3; i++) {
    await api.expect(200, "POST", "exchanges/%2f/amq.default/publish", {
      properties: {},
      routing_key: "ruled",
      payload: "x",
      payload_encoding: "string",
    });
  }
  assert.equal((await api.get("queues/%2f/ruled")).messages, 1);
  const bad = await api.expect(400, "PUT", "policies/%2f/bad", { pattern: ".*", definition: {} });
  assert.equal(bad.json.reason, "Validation failed\n\nno policy provided\n");
  await api.expect(400, "PUT", "policies/%2f/bad", { pattern: "(", definition: { "message-ttl": 1 } });
  await api.expect(204, "DELETE", "operator-policies/%2f/o");
  await api.expect(204, "DELETE", "policies/%2f/p");
  await api.expect(404, "DELETE", "policies/%2f/p");
  assert.equal((await api.get("queues/%2f/ruled")).policy, null);
});

test("parameters of components, and global ones", async () => {
  await api.expect(201, "PUT", "global-parameters/g", { value: { a: 1 } });
  await api.expect(204, "PUT", "global-parameters/g", { value: [2] });
  assert.deepEqual(await api.get("global-parameters/g"), { name: "g", value: [2] });
  await api.expect(204, "DELETE", "global-parameters/g");
  await api.expect(404, "GET", "global-parameters/g");
  await api.expect(201, "PUT", "parameters/shovel/%2f/s", { value: { "src-uri": "amqp://" } });
  assert.equal((await api.get("parameters/shovel/%2f")).length, 1);
  assert.deepEqual(await api.get("parameters/shovel/%2f/s"), {
    vhost: "/",
    component: "shovel",
    name: "s",
    value: { "src-uri": "amqp://" },
  });
  await api.expect(204, "DELETE", "parameters/shovel/%2f/s");
  await api.expect(204, "PUT", "user-limits/guest/max-connections", { value: 1000 });
  assert.deepEqual(await api.get("user-limits"), [{ user: "guest", value: { "max-connections": 1000 } }]);
  await api.expect(204, "DELETE", "user-limits/guest/max-connections");
});

test("definitions go out and come in, whole and of one virtual host, also as a browser uploads them", async () => {
  await api.expect(201, "PUT", "queues/%2f/defined", { durable: true, arguments: { "x-max-length": 7 } });
  await api.expect(201, "POST", "bindings/%2f/e/amq.topic/q/defined", { routing_key: "k" });
  const exported = await api.ask("GET", "definitions?download=all.json");
  assert.match(exported.headers.get("content-disposition")!, /^attachment; filename="all.json"$/);
  const ofVhost = await api.get("definitions/%2f");
  assert.equal(ofVhost.users, undefined);
  await api.expect(204, "DELETE", "queues/%2f/defined");
  await api.expect(204, "POST", "definitions", exported.text);
  assert.deepEqual((await api.get("queues/%2f/defined")).arguments, { "x-max-length": 7 });
  assert.equal((await api.get("bindings/%2f/e/amq.topic/q/defined")).length, 1);
  await api.expect(204, "DELETE", "queues/%2f/defined");
  const boundary = "xxBOUNDARYxx";
  const form = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="d.json"\r\n` +
    `content-type: application/json\r\n\r\n${JSON.stringify(ofVhost)}\r\n--${boundary}--\r\n`;
  const uploaded = await api.ask("POST", "definitions/%2f", {
    body: form,
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
  });
  assert.equal(uploaded.status, 204, uploaded.text);
  await api.get("queues/%2f/defined");
  await api.expect(400, "POST", "definitions", { queues: [{ name: "half", vhost: "nowhere" }] });
  await api.expect(400, "POST", "definitions", "{");
  await api.expect(404, "GET", "queues/%2f/half");
});

test("feature flags, hashes of passwords, attempts to log in, and a rebalance without meaning", async () => {
  assert.ok((await api.get("feature-flags")).every(({ state }: { state: string }) => state === "enabled"));
  assert.deepEqual(await api.get("deprecated-features"), []);
  assert.deepEqual(await api.get("extensions"), []);
  const { ok } = await api.get("auth/hash_password/carrot");
  await api.expect(201, "PUT", "users/hashed", { password_hash: ok, tags: "management" });
  assert.equal((await api.ask("GET", "whoami", { as: "hashed:carrot" })).status, 200);
  await api.expect(204, "DELETE", "users/hashed");
  const { node } = await api.get("overview");
  const [http] = await api.get(`auth/attempts/${node}`);
  assert.ok(http.auth_attempts > http.auth_attempts_failed);
  await api.expect(204, "POST", "rebalance/queues");
  await api.expect(204, "DELETE", "reset");
  assert.equal((await api.ask("GET", "auth", { as: null })).json.oauth_enabled, false);
});

test("health checks answer 200 or 503 with a reason", async () => {
  const amqp = await api.port("amqp");
  for (
    const check of [
      "alarms",
      "local-alarms",
      "virtual-hosts",
      "node-is-quorum-critical",
      "ready-to-serve-clients",
      "protocol-listener/amqp091",
      "certificate-expiration/1/months",
      `port-listener/${amqp}`,
    ]
  ) assert.equal((await api.get(`health/checks/${check}`)).status, "ok", check);
  const missing = await api.expect(503, "GET", "health/checks/port-listener/1");
  assert.equal(missing.json.status, "failed");
  assert.equal(missing.json.missing, 1);
  await api.expect(503, "GET", "health/checks/protocol-listener/carrot");
  await api.expect(400, "GET", "health/checks/port-listener/x");
  const broker = await api.broker;
  broker.alarms!.raise("disk");
  const alarm = await api.expect(503, "GET", "health/checks/alarms");
  assert.equal(alarm.json.alarms[0].resource, "disk");
  broker.alarms!.clear("disk");
});
