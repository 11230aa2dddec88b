// The HTTP API from outside, of every way to run the broker: the ready line, a definition that survives a restart, the
// log as it is written, and RabbitMQ's own command-line tool where it is installed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { BrokerProcess, testTargets } from "../support/broker_process.ts";
import { ask, type RequestOptions } from "../support/http_api.ts";
import { waitFor } from "../support/wait.ts";

const TEST_TIMEOUT_MS = 120_000;
const RABBITMQADMIN = globSync("/usr/lib/rabbitmq/lib/*/plugins/rabbitmq_management-*/priv/www/cli/rabbitmqadmin")[0] ??
  null;
const hasPython = spawnSync("python3", ["--version"]).status === 0;
const missing = RABBITMQADMIN === null || !existsSync(RABBITMQADMIN)
  ? "rabbitmqadmin not found"
  : hasPython
  ? null
  : "python3 not found";
if (missing !== null) console.warn(`${missing}: rabbitmqadmin test skipped`);

for (const target of testTargets().filter((name) => name !== "command")) {
  describe(`HTTP of ${target}`, { timeout: TEST_TIMEOUT_MS }, () => {
    async function withBroker(act: (broker: BrokerProcess) => Promise<void>): Promise<void> {
      const broker = await BrokerProcess.start(target, { http: true });
      try {
        await act(broker);
      } finally {
        await broker.dispose();
      }
    }

    it("is named in the ready line, and keeps what it is told over a restart", () =>
      withBroker(async (broker) => {
        assert.ok(broker.httpPort > 0 && broker.metricsPort > 0);
        const go = (method: string, path: string, options: RequestOptions = {}) =>
          ask(broker.httpPort, method, path, options);
        assert.equal((await go("PUT", "queues/%2f/kept", { body: { durable: true } })).status, 201);
        const message = {
          properties: { delivery_mode: 2 },
          routing_key: "kept",
          payload: "m",
          payload_encoding: "string",
        };
        const published = await go("POST", "exchanges/%2f/amq.default/publish", { body: message });
        assert.deepEqual(published.json, { routed: true });
        assert.equal((await go("PUT", "users/kept", { body: { password: "p", tags: "monitoring" } })).status, 201);
        await broker.kill9();
        await broker.restart();
        assert.equal((await go("GET", "queues/%2f/kept")).json.messages, 1);
        assert.equal((await go("GET", "overview", { as: "kept:p" })).status, 200);
        const metrics = await ask(broker.metricsPort, "GET", "/metrics", { as: null });
        assert.match(metrics.text, /^rabbitmq_queue_messages_ready 1$/m);
        assert.equal((await go("GET", "openapi.json")).json.openapi, "3.1.0");
        assert.equal(await broker.terminate(), 0, broker.stderr);
      }));

    it("keeps a queue paused over kill -9, until it is resumed", () =>
      withBroker(async (broker) => {
        const go = (method: string, path: string, body?: unknown) => ask(broker.httpPort, method, path, { body });
        const state = async () => (await go("GET", "queues/%2f/held")).json.state;
        const get = async () => {
          const asked = { count: 1, ackmode: "ack_requeue_true", encoding: "auto" };
          return (await go("POST", "queues/%2f/held/get", asked)).json.length;
        };
        assert.equal((await go("PUT", "queues/%2f/held", { durable: true })).status, 201);
        const message = {
          properties: { delivery_mode: 2 },
          routing_key: "held",
          payload: "m",
          payload_encoding: "string",
        };
        assert.deepEqual((await go("POST", "exchanges/%2f/amq.default/publish", message)).json, { routed: true });
        assert.equal((await go("PUT", "queues/%2f/held/pause")).status, 204);
        await broker.kill9();
        await broker.restart();
        assert.deepEqual([await state(), await get()], ["paused", 0]);
        assert.equal((await go("PUT", "queues/%2f/held/resume")).status, 204);
        await broker.kill9();
        await broker.restart();
        assert.deepEqual([await state(), await get()], ["running", 1]);
      }));

    it("shows the log as it is written, without secrets", () =>
      withBroker(async (broker) => {
        const controller = new AbortController();
        const response = await fetch(`http://127.0.0.1:${broker.httpPort}/api/livelog`, {
          headers: { authorization: `Basic ${btoa("guest:guest")}` },
          signal: controller.signal,
        });
        assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
        const reader = response.body!.getReader();
        let text = "";
        const reading = (async () => {
          for (;;) {
            const { done, value } = await reader.read();
            if (done) return;
            text += new TextDecoder().decode(value);
          }
        })().catch(() => {});
        await waitFor("what was logged before", () => text.includes("has the password that everybody knows"));
        broker.program.kill("SIGHUP");
        await waitFor("what is logged now", () => text.includes("SIGHUP: no setting has changed"));
        assert.match(text, /^id: \d+\ndata: \[\d+,"warn","broker","/m);
        controller.abort();
        await reading;
        assert.equal(await broker.terminate(), 0, broker.stderr);
      }));

    it(
      "serves rabbitmqadmin",
      { skip: missing ?? (process.versions.bun === undefined ? "run from Bun alone" : false) },
      () =>
        withBroker((broker) => {
          const run = (...words: string[]): string => {
            const { status, stdout, stderr } = spawnSync(
              "python3",
              [RABBITMQADMIN!, "-P", `${broker.httpPort}`, "-f", "tsv", ...words],
              { encoding: "utf8", env: { ...process.env, PYTHONWARNINGS: "ignore" }, timeout: TEST_TIMEOUT_MS },
            );
            assert.equal(status, 0, `${words.join(" ")}: ${stdout}${stderr}`);
            return stdout;
          };
          const file = `${broker.dataDir}/exported.json`;
          run("declare", "vhost", "name=v");
          run("declare", "user", "name=u", "password=p", "tags=management");
          run("declare", "permission", "vhost=v", "user=u", "configure=.*", "write=.*", "read=.*");
          run("declare", "exchange", "name=x", "type=topic");
          run("declare", "queue", "name=q", "durable=true", 'arguments={"x-max-length": 9}');
          run("declare", "binding", "source=x", "destination=q", "routing_key=a.#");
          run("declare", "policy", "name=p", "pattern=^q$", 'definition={"message-ttl":600000}', "apply-to=queues");
          assert.match(run("publish", "exchange=x", "routing_key=a.b", "payload=hello"), /Message published/);
          assert.match(run("list", "queues", "name", "messages", "policy"), /^q\t1\tp$/m);
          assert.match(run("list", "bindings"), /^x\tq\ta\.#/m);
          assert.match(run("list", "users"), /^u\t/m);
          assert.match(run("list", "permissions"), /u/);
          assert.match(run("list", "policies"), /p/);
          assert.match(run("list", "vhosts"), /^v/m);
          for (const what of ["nodes", "connections", "channels", "consumers", "exchanges", "parameters"]) {
            run("list", what);
          }
          assert.match(run("show", "overview"), /queue_totals/);
          assert.match(run("get", "queue=q", "ackmode=ack_requeue_true"), /hello/);
          run("export", file);
          run("purge", "queue", "name=q");
          run("delete", "queue", "name=q");
          run("import", file);
          assert.match(run("list", "queues", "name", "messages"), /^q\t0$/m);
          run("delete", "binding", "source=x", "destination_type=queue", "destination=q", "properties_key=a.%23");
          run("delete", "policy", "name=p");
          run("delete", "exchange", "name=x");
          run("delete", "user", "name=u");
          run("delete", "vhost", "name=v");
          return Promise.resolve();
        }),
    );
  });
}
