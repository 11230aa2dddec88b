// Definitions of a broker that does not run: out of its data directory and into it, as `leveret ctl --data-dir` does it.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { BrokerProcess, temporaryDirectory, testTargets } from "../support/broker_process.ts";
import { Ctl, type Ended } from "../support/ctl.ts";
import { ask } from "../support/http_api.ts";

const TEST_TIMEOUT_MS = 180_000;

const DECLARED: readonly (readonly [string, object])[] = [
  ["vhosts/tenant", { description: "of the tenant", tags: "a,b", default_queue_type: "quorum" }],
  ["permissions/tenant/guest", { configure: ".*", write: ".*", read: ".*" }],
  ["users/ann", { password: "secret", tags: "monitoring" }],
  ["permissions/tenant/ann", { configure: ".*", write: ".*", read: ".*" }],
  ["topic-permissions/tenant/ann", { exchange: "amq.topic", write: "^a", read: ".*" }],
  ["vhost-limits/tenant/max-queues", { value: 10 }],
  ["user-limits/ann/max-channels", { value: 7 }],
  ["policies/tenant/short", { pattern: "^own", definition: { "max-length": 5 }, "apply-to": "queues", priority: 3 }],
  ["operator-policies/tenant/kept", { pattern: ".*", definition: { "message-ttl": 60000 } }],
  ["parameters/shovel/tenant/s", { value: { "src-uri": "amqp://a:b@c", "src-queue": "q", "dest-uri": "amqp://" } }],
  ["global-parameters/cluster_tags", { value: { region: "here" } }],
  ["exchanges/tenant/topics", { type: "topic", durable: true, arguments: { "alternate-exchange": "amq.fanout" } }],
  ["exchanges/tenant/later", { type: "x-delayed-message", arguments: { "x-delayed-type": "direct" } }],
  ["queues/tenant/own.q", { durable: true, arguments: { "x-max-priority": 4, "x-expires": 3600000 } }],
  ["queues/tenant/log", { durable: true, arguments: { "x-queue-type": "stream", "x-max-age": "1h" } }],
  ["queues/%2f/gone", { durable: false }],
];

for (const target of testTargets().filter((name) => name !== "command")) {
  describe(`definitions without a broker, ${target}`, { timeout: TEST_TIMEOUT_MS }, () => {
    const ctl = new Ctl(target);
    const run = (directory: string, ...words: string[]): Promise<Ended> => {
      return ctl.try(["--data-dir", directory, ...words], { uri: "http://not.asked:1" });
    };
    const write = (content: unknown): string => {
      const path = join(temporaryDirectory(), "definitions.json");
      writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
      return path;
    };

    async function withDirectory(act: (broker: BrokerProcess) => Promise<void>): Promise<void> {
      const broker = await BrokerProcess.start(target, { http: true });
      try {
        await act(broker);
      } finally {
        await broker.dispose();
      }
    }

    it("are those that the API tells after the next start, also behind kill -9", () =>
      withDirectory(async (broker) => {
        const { dataDir } = broker;
        const api = (method: string, path: string, body?: unknown) => ask(broker.httpPort, method, path, { body });
        for (const [path, body] of DECLARED) assert.ok((await api("PUT", path, body)).status < 300, path);
        for (const key of ["a.#", "b.*"]) {
          const made = await api("POST", "bindings/tenant/e/topics/q/own.q", { routing_key: key, arguments: { n: 1 } });
          assert.equal(made.status, 201);
        }
        assert.equal((await api("PUT", "queues/%2f/deleted", { durable: true })).status, 201);
        assert.equal((await api("DELETE", "queues/%2f/deleted")).status, 204);
        const message = {
          properties: { delivery_mode: 2 },
          routing_key: "own.q",
          payload: "m",
          payload_encoding: "string",
        };
        const published = await ask(broker.httpPort, "POST", "exchanges/tenant/amq.default/publish", {
          body: message,
          as: "ann:secret",
        });
        assert.deepEqual(published.json, { routed: true });

        // While it runs it is asked itself.
        const asked = await run(dataDir, "export_definitions");
        assert.deepEqual([asked.code, asked.stderr], [0, ""]);
        assert.deepEqual(JSON.parse(asked.stdout), (await api("GET", "definitions")).json);

        await broker.kill9();
        const log = readFileSync(join(dataDir, "definitions.log"));
        const whole = await run(dataDir, "export_definitions");
        const one = await run(dataDir, "-p", "tenant", "export_definitions");
        assert.deepEqual([whole.code, whole.stderr, one.code, one.stderr], [0, "", 0, ""]);
        const none = await run(dataDir, "-p", "none", "export_definitions");
        assert.deepEqual([none.code, none.stderr], [1, "leveret ctl: definitions: vhost 'none' does not exist\n"]);
        assert.ok(log.equals(readFileSync(join(dataDir, "definitions.log"))));

        await broker.restart();
        const expected = (await api("GET", "definitions")).json;
        assert.deepEqual(JSON.parse(whole.stdout), expected);
        assert.deepEqual(JSON.parse(one.stdout), (await api("GET", "definitions/tenant")).json);
        assert.equal(expected.queues.length, 2);
        assert.equal(expected.bindings.length, 2);
      }));

    it("are added to, all of a file or nothing, and what is there stays", () =>
      withDirectory(async (broker) => {
        const { dataDir } = broker;
        const api = (method: string, path: string, body?: unknown) => ask(broker.httpPort, method, path, { body });
        const message = {
          properties: { delivery_mode: 2 },
          routing_key: "kept",
          payload: "m",
          payload_encoding: "string",
        };
        assert.equal((await api("PUT", "queues/%2f/kept", { durable: true })).status, 201);
        assert.deepEqual((await api("POST", "exchanges/%2f/amq.default/publish", message)).json, { routed: true });
        await broker.kill9();

        const added = {
          users: [{ name: "bob", password: "carrot", tags: ["administrator"] }],
          vhosts: [{ name: "v" }],
          permissions: [{ user: "bob", vhost: "v", configure: ".*", write: ".*", read: ".*" }],
          queues: [
            { vhost: "v", name: "new", durable: true, auto_delete: false, arguments: {} },
            { vhost: "/", name: "kept", durable: true, auto_delete: false, arguments: {} },
          ],
          policies: [{ vhost: "v", name: "p", pattern: "^n", definition: { "max-length": 2 } }],
        };
        const wrong = write({ ...added, queues: [{ vhost: "nowhere", name: "q", durable: true }] });
        const refused = await run(dataDir, "import_definitions", wrong);
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /^leveret ctl: definitions: [^\n]*nowhere[^\n]*\n$/);
        const before = await run(dataDir, "export_definitions");
        assert.deepEqual(JSON.parse(before.stdout).users.map(({ name }: { name: string }) => name), ["guest"]);

        const done = await run(dataDir, "import_definitions", write(added));
        assert.deepEqual([done.code, done.stdout, done.stderr], [0, "", ""]);
        const again = await run(dataDir, "import_definitions", write(added));
        assert.deepEqual([again.code, again.stdout, again.stderr], [0, "", ""]);
        const scoped = { queues: [{ name: "scoped", durable: true, auto_delete: false, arguments: {} }] };
        assert.equal((await run(dataDir, "-p", "v", "import_definitions", write(scoped))).code, 0);
        const offline = await run(dataDir, "export_definitions");

        await broker.restart();
        assert.deepEqual(JSON.parse(offline.stdout), (await api("GET", "definitions")).json);
        assert.equal((await ask(broker.httpPort, "GET", "whoami", { as: "bob:carrot" })).json.name, "bob");
        assert.equal((await api("GET", "queues/%2f/kept")).json.messages, 1);
        const made = (await api("GET", "queues/v?sort=name")).json;
        assert.deepEqual(made.map(({ name, policy }: { name: string; policy: string }) => [name, policy]), [
          ["new", "p"],
          ["scoped", null],
        ]);
        const into = { ...message, routing_key: "new" };
        const published = await ask(broker.httpPort, "POST", "exchanges/v/amq.default/publish", {
          body: into,
          as: "bob:carrot",
        });
        assert.deepEqual(published.json, { routed: true });
        assert.equal(await broker.terminate(), 0, broker.stderr);
      }));

    it("are left alone while a broker runs that cannot be asked, and where there are none", async () => {
      const broker = await BrokerProcess.start(target);
      const file = write({ vhosts: [{ name: "v" }] });
      try {
        for (const words of [["export_definitions"], ["import_definitions", file]]) {
          const { code, stdout, stderr } = await run(broker.dataDir, ...words);
          assert.deepEqual([code, stdout], [1, ""]);
          assert.equal(
            stderr,
            `leveret ctl: definitions: data directory ${broker.dataDir} is in use by another process\n`,
          );
        }
        await broker.kill9();
        assert.equal((await run(broker.dataDir, "import_definitions", file)).code, 0);
      } finally {
        await broker.dispose();
      }
      const empty = temporaryDirectory();
      const nothing = await run(empty, "import_definitions", file);
      assert.equal(nothing.code, 1);
      assert.match(nothing.stderr, /is no data directory: neither queues\/ nor definitions\.log is in it/);
    });
  });
}
