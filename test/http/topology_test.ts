// Queues, exchanges and bindings over HTTP: declared, shown, and deleted, with RabbitMQ's status codes and words.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { HttpApi } from "../support/http_api.ts";
import { basic } from "../support/raw_methods.ts";

const api = new HttpApi();
after(() => api.stop());

test("who does not say who it is gets 401 with a challenge, whoever it is that is wrong", async () => {
  for (const as of [null, "guest:wrong", "nobody:guest", "guest:", ":"]) {
    const answer = await api.ask("GET", "queues", { as });
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get("www-authenticate") ?? "", /^Basic realm=/);
    assert.deepEqual(answer.json, { error: "not_authorized", reason: "Login failed" });
  }
  const garbled = await api.ask("GET", "queues", { as: null, headers: { authorization: "Basic ~~~" } });
  assert.equal(garbled.status, 401);
  assert.deepEqual(await api.get("whoami"), { name: "guest", tags: ["administrator"], is_internal_user: true });
});

test("a body is not read before the password is looked at", async () => {
  const answer = await api.ask("PUT", "queues/%2f/unread", { as: null, body: "x".repeat(300_000) });
  assert.equal(answer.status, 401);
});

test("a queue is created once, found again, and refused when it would be another", async () => {
  await api.expect(201, "PUT", "queues/%2f/q1", { durable: true, arguments: { "x-max-length": 5 } });
  await api.expect(204, "PUT", "queues/%2f/q1", { durable: true, arguments: { "x-max-length": 5 } });
  const refused = await api.expect(400, "PUT", "queues/%2f/q1", { durable: false, arguments: { "x-max-length": 5 } });
  assert.deepEqual(refused.json, {
    error: "bad_request",
    reason: "inequivalent arg 'durable' for queue 'q1' in vhost '/': received 'false' but current is 'true'",
  });
  const queue = await api.get("queues/%2f/q1");
  const { name, vhost, durable, auto_delete, exclusive, type, state, messages } = queue;
  assert.deepEqual({ name, vhost, durable, auto_delete, exclusive, type, state, messages, args: queue.arguments }, {
    name: "q1",
    vhost: "/",
    durable: true,
    auto_delete: false,
    exclusive: false,
    type: "classic",
    state: "running",
    messages: 0,
    args: { "x-max-length": 5 },
  });
  const bad = await api.expect(400, "PUT", "queues/%2f/bad", { durable: true, arguments: { "x-message-ttl": "x" } });
  assert.match(bad.json.reason, /^invalid arg 'x-message-ttl' for queue 'bad' in vhost '\/': /);
  await api.expect(404, "PUT", "queues/nowhere/q1", {});
  await api.expect(204, "DELETE", "queues/%2f/q1");
  assert.deepEqual((await api.expect(404, "DELETE", "queues/%2f/q1")).json, {
    error: "Object Not Found",
    reason: "Not Found",
  });
});

test("any name goes through an address", async () => {
  for (const name of ["a/b", "100%", "a%2fb", "ä ö+ü", "?#&=", '"><img src=x onerror=alert(1)>', "__proto__", ".."]) {
    const path = `queues/%2f/${encodeURIComponent(name)}`.replace(/\/\.\.$/, "/%2E%2E");
    if (name === "..") continue; // Clients resolve it before they ask.
    await api.expect(201, "PUT", path, {});
    assert.equal((await api.get(path)).name, name);
    assert.ok((await api.get("queues?columns=name")).some((queue: { name: string }) => queue.name === name));
    await api.expect(204, "DELETE", path);
  }
});

test("conditions of a delete are kept", async () => {
  await api.expect(201, "PUT", "queues/%2f/full", {});
  await api.expect(200, "POST", "exchanges/%2f/amq.default/publish", {
    properties: {},
    routing_key: "full",
    payload: "x",
    payload_encoding: "string",
  });
  const full = await api.expect(400, "DELETE", "queues/%2f/full?if-empty=true");
  assert.equal(full.json.reason, "queue 'full' in vhost '/' not empty");
  const client = await api.amqp();
  await client.call("basic.consume-ok", basic.consume(1, "full"));
  const used = await api.expect(400, "DELETE", "queues/%2f/full?if-unused=true");
  assert.equal(used.json.reason, "queue 'full' in vhost '/' in use");
  await api.expect(204, "DELETE", "queues/%2f/full");
});

test("an exchange is created, bound, and shows where its bindings lead", async () => {
  await api.expect(201, "PUT", "exchanges/%2f/x1", { type: "topic", durable: true });
  await api.expect(204, "PUT", "exchanges/%2f/x1", { type: "topic", durable: true });
  await api.expect(201, "PUT", "queues/%2f/bound", {});
  const unknown = await api.expect(400, "PUT", "exchanges/%2f/bad", { type: "nope" });
  assert.equal(unknown.json.reason, "unknown exchange type 'nope'");
  const bound = await api.expect(201, "POST", "bindings/%2f/e/x1/q/bound", { routing_key: "a.#", arguments: {} });
  assert.equal(bound.headers.get("location"), "bound/a.%2523");
  await api.expect(201, "POST", "bindings/%2f/e/x1/q/bound", { routing_key: "a.#", arguments: { k: 1 } });
  const bindings = await api.get("bindings/%2f/e/x1/q/bound");
  assert.equal(bindings.length, 2);
  assert.deepEqual(bindings[0], {
    source: "x1",
    vhost: "/",
    destination: "bound",
    destination_type: "queue",
    routing_key: "a.#",
    arguments: {},
    properties_key: "a.%23",
  });
  assert.match(bindings[1].properties_key, /^a\.%23~[A-Za-z0-9_-]+$/);
  const path = `bindings/%2f/e/x1/q/bound/${encodeURIComponent(bindings[1].properties_key)}`;
  assert.deepEqual(await api.get(path), bindings[1]);
  assert.equal((await api.get("queues/%2f/bound/bindings")).length, 3);
  assert.equal((await api.get("exchanges/%2f/x1/bindings/source")).length, 2);
  await api.expect(204, "DELETE", path);
  await api.expect(404, "DELETE", path);
  await api.expect(201, "POST", "bindings/%2f/e/amq.fanout/e/x1", { routing_key: "" });
  assert.equal((await api.get("bindings/%2f/e/amq.fanout/e/x1"))[0].properties_key, "~");
  assert.equal((await api.get("exchanges/%2f/x1/bindings/destination")).length, 1);
  await api.expect(204, "DELETE", "bindings/%2f/e/amq.fanout/e/x1/~");
  const inUse = await api.expect(400, "DELETE", "exchanges/%2f/x1?if-unused=true");
  assert.equal(inUse.json.reason, "exchange 'x1' in vhost '/' in use");
  await api.expect(204, "DELETE", "exchanges/%2f/x1");
  assert.equal((await api.expect(401, "DELETE", "exchanges/%2f/amq.topic")).json.error, "not_authorised");
});

test("a queue that is paused gives nothing until it is resumed", async () => {
  await api.expect(201, "PUT", "queues/%2f/paused", {});
  const client = await api.amqp();
  await client.call("basic.consume-ok", basic.consume(1, "paused"));
  await api.expect(204, "PUT", "queues/%2f/paused/pause");
  assert.equal((await api.get("queues/%2f/paused")).state, "paused");
  const message = { properties: {}, routing_key: "paused", payload: "later", payload_encoding: "string" };
  assert.deepEqual((await api.expect(200, "POST", "exchanges/%2f/amq.default/publish", message)).json, {
    routed: true,
  });
  assert.equal((await api.get("queues/%2f/paused")).messages_ready, 1);
  await api.expect(204, "POST", "queues/%2f/paused/actions", { action: "resume" });
  assert.equal((await client.message()).body.toString(), "later");
  await api.expect(204, "PUT", "queues/%2f/paused/restart");
  assert.equal((await api.get("queues/%2f/paused")).state, "running");
  const unknown = await api.expect(400, "POST", "queues/%2f/paused/actions", { action: "dance" });
  assert.equal(unknown.json.reason, "unknown action 'dance'");
});

test("a purge takes what is ready and leaves what is delivered", async () => {
  await api.expect(201, "PUT", "queues/%2f/purged", {});
  const message = { properties: {}, routing_key: "purged", payload: "x", payload_encoding: "string" };
  for (let i = 0; i < 3; i++) await api.expect(200, "POST", "exchanges/%2f/amq.default/publish", message);
  const client = await api.amqp();
  await client.call("basic.qos-ok", basic.qos(1, 1));
  await client.call("basic.consume-ok", basic.consume(1, "purged"));
  await client.message();
  await api.expect(204, "DELETE", "queues/%2f/purged/contents");
  const queue = await api.get("queues/%2f/purged");
  assert.deepEqual([queue.messages_ready, queue.messages_unacknowledged, queue.messages], [0, 1, 1]);
});

test("other methods are refused with 405 and what there is instead, other paths with 404", async () => {
  const answer = await api.ask("POST", "queues");
  assert.equal(answer.status, 405);
  assert.equal(answer.headers.get("allow"), "HEAD, GET, OPTIONS");
  assert.equal((await api.ask("OPTIONS", "queues")).status, 200);
  assert.equal((await api.ask("GET", "nope")).status, 404);
  assert.equal((await api.ask("GET", "/etc/passwd")).status, 404);
});

test("a body that is no object of JSON is refused in RabbitMQ's words", async () => {
  const twice = await api.expect(400, "PUT", "queues/%2f/json", '"notjson"');
  assert.equal(
    twice.json.reason,
    "invalid payload: the request body JSON-decoded to a string. Is the input doubly-JSON-encoded?",
  );
  await api.expect(400, "PUT", "queues/%2f/json", "{");
  await api.expect(400, "PUT", "queues/%2f/json", "[1]");
  await api.expect(400, "PUT", "queues/%2f/json", `{"arguments": ${'{"a":'.repeat(50)}1${"}".repeat(50)}}`);
  const large = await api.expect(400, "PUT", "queues/%2f/json", JSON.stringify({ x: "y".repeat(2 * 1024 * 1024) }));
  assert.match(large.json.reason, /longer than/);
});

test("a page of another site changes nothing, whatever password its browser knows", async () => {
  const host = `127.0.0.1:${await api.port("http")}`;
  const declare = async (name: string, headers: Record<string, string>) => {
    return (await api.ask("PUT", `queues/%2f/${name}`, { body: {}, headers })).status;
  };
  assert.equal(await declare("foreign", { origin: "https://evil.example" }), 403);
  assert.equal(await declare("foreign", { origin: "null" }), 403);
  assert.equal(await declare("foreign", { "sec-fetch-site": "cross-site" }), 403);
  assert.equal(await declare("foreign", { "sec-fetch-site": "same-site", origin: `http://${host}` }), 403);
  assert.equal(await declare("own", { origin: `http://${host}` }), 201);
  assert.equal(await declare("own", { "sec-fetch-site": "same-origin", origin: `http://${host}` }), 204);
  assert.equal((await api.ask("GET", "queues", { headers: { origin: "https://evil.example" } })).status, 200);
  await api.expect(404, "GET", "queues/%2f/foreign");
});

test("every answer has headers that a browser keeps to, and none that opens it to others", async () => {
  for (const path of ["overview", "nope", "index.html"]) {
    const { headers } = await api.ask("GET", path);
    assert.match(headers.get("content-security-policy")!, /default-src 'none'.*frame-ancestors 'none'/);
    assert.ok(!headers.get("content-security-policy")!.includes("unsafe"));
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("access-control-allow-origin"), null);
  }
});

test("paths are taken as tools send them: with a slash at the end, and without the empty name of the default exchange", async () => {
  await api.expect(201, "PUT", "queues/%2f/plain", {});
  assert.deepEqual(await api.get("queues/"), await api.get("queues"));
  assert.deepEqual(await api.get("exchanges/%2f/"), await api.get("exchanges/%2f"));
  const message = { properties: {}, routing_key: "plain", payload: "m", payload_encoding: "string" };
  assert.deepEqual((await api.expect(200, "POST", "exchanges/%2f//publish", message)).json, { routed: true });
  assert.ok((await api.get("exchanges/%2f//bindings/source")).length > 0);
  assert.equal((await api.get("bindings/%2f/e//q/plain")).length, 1);
  await api.expect(404, "GET", "queues//plain");
});

test("the broker has its node's name until it is given another, which definitions hold", async () => {
  const node = (await api.get("overview")).node;
  assert.deepEqual(await api.get("cluster-name"), { name: node });
  await api.expect(204, "PUT", "cluster-name", { name: "hutch" });
  assert.deepEqual(await api.get("cluster-name"), { name: "hutch" });
  assert.equal((await api.get("overview")).cluster_name, "hutch");
  const { global_parameters } = await api.get("definitions");
  assert.deepEqual(global_parameters, [{ name: "cluster_name", value: "hutch" }]);
  await api.expect(400, "PUT", "cluster-name", {});
  await api.expect(204, "DELETE", "global-parameters/cluster_name");
  assert.deepEqual(await api.get("cluster-name"), { name: node });
});

test("small things that tools ask for before anything else", async () => {
  const { node } = await api.get("overview");
  for (const path of ["healthchecks/node", `healthchecks/node/${node}`]) {
    assert.deepEqual(await api.get(path), { status: "ok" });
  }
  await api.expect(404, "GET", "healthchecks/node/other");
  await api.expect(204, "PUT", "feature-flags/quorum_queue/enable", { name: "quorum_queue" });
  await api.expect(400, "PUT", "feature-flags/nope/enable", { name: "nope" });
  const unknown = { error: "bad_request", reason: "vhost_not_found" };
  assert.deepEqual((await api.expect(400, "GET", "definitions/nope")).json, unknown);
  const nowhere = { error: "not_found", reason: "vhost_not_found" };
  assert.deepEqual((await api.expect(404, "POST", "definitions/nope", {})).json, nowhere);
  assert.deepEqual((await api.expect(404, "PUT", "queues/nope/q", {})).json, nowhere);
  const { memory } = await api.get(`nodes/${node}/memory`);
  assert.ok(memory.total.rss > 0 && memory.other_proc > 0);
});
