// Who may do what over HTTP: every operation, with everything it needs and without each of those in turn.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Answer, HttpApi } from "../support/http_api.ts";

const api = new HttpApi();
after(() => api.stop());

type Permission = "configure" | "write" | "read";

interface Operation {
  readonly what: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** For each permission what has to match. */
  readonly needs: Partial<Record<Permission, readonly string[]>>;
}

const PUBLICATION = { properties: {}, routing_key: "k", payload: "x", payload_encoding: "string" };
const GET = { count: 1, ackmode: "ack_requeue_true", encoding: "auto" };

const OPERATIONS: readonly Operation[] = [
  { what: "declare a queue", method: "PUT", path: "queues/v/new", body: {}, needs: { configure: ["new"] } },
  {
    what: "declare a queue that dead-letters",
    method: "PUT",
    path: "queues/v/dead",
    body: { arguments: { "x-dead-letter-exchange": "dlx" } },
    needs: { configure: ["dead"], read: ["dead"], write: ["dlx"] },
  },
  { what: "delete a queue", method: "DELETE", path: "queues/v/q", needs: { configure: ["q"] } },
  { what: "purge a queue", method: "DELETE", path: "queues/v/q/contents", needs: { read: ["q"] } },
  { what: "pause a queue", method: "PUT", path: "queues/v/q/pause", needs: { configure: ["q"] } },
  {
    what: "act on a queue",
    method: "POST",
    path: "queues/v/q/actions",
    body: { action: "resume" },
    needs: { configure: ["q"] },
  },
  { what: "get from a queue", method: "POST", path: "queues/v/q/get", body: GET, needs: { read: ["q"] } },
  {
    what: "declare an exchange",
    method: "PUT",
    path: "exchanges/v/newx",
    body: { type: "topic" },
    needs: { configure: ["newx"] },
  },
  {
    what: "declare an exchange with an alternate one",
    method: "PUT",
    path: "exchanges/v/altx",
    body: { type: "topic", arguments: { "alternate-exchange": "other" } },
    needs: { configure: ["altx"], read: ["altx"], write: ["other"] },
  },
  { what: "delete an exchange", method: "DELETE", path: "exchanges/v/x", needs: { configure: ["x"] } },
  { what: "publish", method: "POST", path: "exchanges/v/x/publish", body: PUBLICATION, needs: { write: ["x"] } },
  {
    what: "publish to the default exchange",
    method: "POST",
    path: "exchanges/v/amq.default/publish",
    body: PUBLICATION,
    needs: { write: ["amq\\.default"] },
  },
  {
    what: "bind a queue",
    method: "POST",
    path: "bindings/v/e/x/q/q",
    body: { routing_key: "k" },
    needs: { write: ["q"], read: ["x"] },
  },
  {
    what: "bind an exchange",
    method: "POST",
    path: "bindings/v/e/x/e/y",
    body: { routing_key: "k" },
    needs: { write: ["y"], read: ["x"] },
  },
  { what: "unbind a queue", method: "DELETE", path: "bindings/v/e/x/q/q/bound", needs: { write: ["q"], read: ["x"] } },
];

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  return await api.ask(method, path, { as: "limited:pw", ...(body === undefined ? {} : { body }) });
}

async function permit(patterns: Partial<Record<Permission, readonly string[]>>): Promise<void> {
  const of = (permission: Permission) => (patterns[permission] ?? []).map((name) => `^${name}$`).join("|");
  const body = { configure: of("configure"), write: of("write"), read: of("read") };
  assert.ok((await api.ask("PUT", "permissions/v/limited", { body })).status < 300);
}

/** As it was before the operation. */
async function reset(): Promise<void> {
  for (const path of ["queues/v/new", "queues/v/dead", "exchanges/v/newx", "exchanges/v/altx"]) {
    await api.ask("DELETE", path);
  }
  await api.ask("PUT", "queues/v/q", { body: {} });
  for (const name of ["x", "y"]) await api.ask("PUT", `exchanges/v/${name}`, { body: { type: "topic" } });
  await api.ask("POST", "bindings/v/e/x/q/q", { body: { routing_key: "bound" } });
}

before(async () => {
  await api.expect(201, "PUT", "vhosts/v", {});
  await api.expect(201, "PUT", "users/limited", { password: "pw", tags: "management" });
});

describe("operations on queues and exchanges", () => {
  for (const { what, method, path, body, needs } of OPERATIONS) {
    test(`to ${what} takes just what it takes`, async () => {
      await reset();
      await permit(needs);
      const allowed = await ask(method, path, body);
      assert.ok(allowed.status < 300, `${allowed.status} ${allowed.text}`);
      for (const permission of Object.keys(needs) as Permission[]) {
        for (const name of needs[permission]!) {
          await reset();
          await permit({ ...needs, [permission]: needs[permission]!.filter((other) => other !== name) });
          const refused = await ask(method, path, body);
          assert.equal(refused.status, 401, `without ${permission} on ${name}: ${refused.text}`);
          assert.equal(refused.json.error, "not_authorised");
        }
      }
    });
  }
});

test("routing keys of topic exchanges are looked at, too", async () => {
  await reset();
  await permit({ write: ["x", "q"], read: ["x"] });
  await api.expect(201, "PUT", "topic-permissions/v/limited", { exchange: "x", write: "^a", read: "^b" });
  assert.equal((await ask("POST", "exchanges/v/x/publish", { ...PUBLICATION, routing_key: "a" })).status, 200);
  assert.equal((await ask("POST", "exchanges/v/x/publish", PUBLICATION)).status, 401);
  const copied = { ...PUBLICATION, routing_key: "a", properties: { headers: { CC: ["k"] } } };
  assert.equal((await ask("POST", "exchanges/v/x/publish", copied)).status, 401);
  assert.equal((await ask("POST", "bindings/v/e/x/q/q", { routing_key: "b" })).status, 201);
  assert.equal((await ask("POST", "bindings/v/e/x/q/q", { routing_key: "k" })).status, 401);
  await api.expect(204, "DELETE", "topic-permissions/v/limited");
});

test("a virtual host that one may not enter is not seen, nor what is in it", async () => {
  await reset();
  await api.ask("DELETE", "permissions/v/limited");
  for (
    const path of ["queues/v", "queues/v/q", "exchanges/v/x", "bindings/v", "vhosts/v", "consumers/v", "vhost-limits/v"]
  ) {
    assert.equal((await ask("GET", path)).status, 401, path);
  }
  for (const path of ["queues", "exchanges", "bindings", "vhosts", "consumers", "connections", "channels"]) {
    assert.deepEqual((await ask("GET", path)).json, [], path);
  }
  const { object_totals, queue_totals, listeners } = (await ask("GET", "overview")).json;
  assert.deepEqual([object_totals.queues, queue_totals.messages, listeners], [0, 0, undefined]);
});

test("who watches over the broker knows of every virtual host and its numbers, and sees none from within", async () => {
  await api.expect(201, "PUT", "users/monitor", { password: "pw", tags: "monitoring" });
  const look = async (path: string) => await api.ask("GET", path, { as: "monitor:pw" });
  const vhosts = await api.get("vhosts?columns=name");
  assert.deepEqual((await look("vhosts?columns=name")).json, vhosts);
  assert.equal((await look("vhosts/%2f")).status, 200);
  const { object_totals } = (await look("overview")).json;
  assert.ok(object_totals.exchanges > 0);
  for (const path of ["queues", "exchanges", "bindings", "consumers", "policies"]) {
    assert.deepEqual((await look(path)).json, [], path);
  }
  for (const path of ["queues/%2f", "exchanges/%2f", "bindings/%2f", "exchanges/%2f/amq.topic", "policies/%2f"]) {
    assert.equal((await look(path)).status, 401, path);
  }
  await api.expect(201, "PUT", "permissions/%2f/monitor", { configure: "", write: "", read: "" });
  assert.equal((await look("exchanges/%2f/amq.topic")).status, 200);
});

/** What each tag opens; what it does not is 401. */
const TAGS: readonly (readonly [path: string, tags: readonly string[]])[] = [
  ["overview", ["management", "policymaker", "monitoring", "administrator"]],
  ["nodes", ["monitoring", "administrator"]],
  ["policies", ["management", "policymaker", "monitoring", "administrator"]],
  ["parameters", ["policymaker", "administrator"]],
  ["global-parameters", ["policymaker", "administrator"]],
  ["operator-policies", ["management", "policymaker", "monitoring", "administrator"]],
  ["auth/attempts/{node}", ["monitoring", "administrator"]],
  ["users", ["administrator"]],
  ["permissions", ["administrator"]],
  ["topic-permissions", ["administrator"]],
  ["user-limits", ["administrator"]],
  ["definitions", ["administrator"]],
  ["auth/hash_password/x", ["administrator"]],
  ["/metrics", ["monitoring", "administrator"]],
];

for (const tag of ["", "management", "policymaker", "monitoring", "administrator", "impersonator"]) {
  test(`the tag "${tag}" opens what it should and nothing else`, async () => {
    await api.ask("PUT", "users/tagged", { body: { password: "pw", tags: tag } });
    for (const [path, tags] of TAGS) {
      const asked = path.replace("{node}", (await api.get("overview")).node);
      const answer = await api.ask("GET", asked, { as: "tagged:pw" });
      assert.equal(answer.status, tags.includes(tag) ? 200 : 401, `${path}: ${answer.text}`);
    }
    const administers = tag === "administrator";
    for (
      const [method, path, body] of [
        ["PUT", "users/made", { password: "p", tags: "" }],
        ["PUT", "vhosts/made", {}],
        ["PUT", "permissions/%2f/guest", { configure: ".*", write: ".*", read: ".*" }],
        ["PUT", "vhost-limits/v/max-queues", { value: 1000 }],
        ["PUT", "parameters/vhost-limits/v/limits", { value: { "max-queues": 1000 } }],
        ["POST", "definitions", {}],
        ["DELETE", "users/made", undefined],
        ["DELETE", "vhosts/made", undefined],
        ["DELETE", "reset", undefined],
      ] as const
    ) {
      const answer = await api.ask(method, path, { as: "tagged:pw", ...(body === undefined ? {} : { body }) });
      assert.equal(answer.status < 300, administers, `${method} ${path}: ${answer.status} ${answer.text}`);
    }
  });
}

test("connections are their user's and the administrator's affair", async () => {
  const client = await api.amqp();
  const [connection] = await api.get("connections");
  const path = `connections/${encodeURIComponent(connection.name)}`;
  await permit({});
  assert.equal((await ask("GET", path)).status, 401);
  assert.equal((await ask("DELETE", path)).status, 401);
  await api.ask("PUT", "users/watcher", { body: { password: "pw", tags: "monitoring" } });
  assert.equal((await api.ask("GET", path, { as: "watcher:pw" })).status, 200);
  assert.equal((await api.ask("DELETE", path, { as: "watcher:pw" })).status, 401);
  assert.equal((await api.ask("DELETE", path, { headers: { "x-reason": "spring cleaning" } })).status, 204);
  const { code, text } = await client.refused();
  assert.equal(code, 320);
  assert.match(text, /spring cleaning/);
});
