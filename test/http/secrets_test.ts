// Secrets that are given to the broker come out of it only where they have to: every answer and every line of the log is
// searched for them.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { commandOf, ONLY_AMQP, Program, temporaryDirectory } from "../support/broker_process.ts";
import { HttpApi } from "../support/http_api.ts";

const api = new HttpApi();
after(() => api.stop());

const SECRET = "carrot-7391";
const SHOVEL = {
  "src-uri": [`amqp://digger:${SECRET}@burrow:5672/v`, `amqps://h?password=${SECRET}`],
  "src-queue": "q",
  "dest-uri": `http://digger:${SECRET}@elsewhere/in`,
  nested: { deeper: [`amqp://x:${SECRET}@y`] },
};
const UPSTREAM = { uri: `amqp://digger:${SECRET}@burrow`, "ack-mode": "on-confirm" };

async function give(): Promise<void> {
  await api.ask("PUT", "users/maker", { body: { password: "p", tags: "policymaker" } });
  await api.ask("PUT", "users/watcher", { body: { password: "p", tags: "monitoring" } });
  for (const user of ["maker", "watcher"]) {
    await api.ask("PUT", `permissions/%2f/${user}`, { body: { configure: ".*", write: ".*", read: ".*" } });
  }
  await api.ask("PUT", "parameters/shovel/%2f/s", { body: { value: SHOVEL } });
  await api.ask("PUT", "parameters/federation-upstream/%2f/u", { body: { value: UPSTREAM } });
  await api.ask("PUT", "global-parameters/where", { body: { value: { uri: `amqp://a:${SECRET}@b` } } });
}

test("passwords in URIs of parameters are shown to administrators alone, and go out whole with definitions", async () => {
  await give();
  const hidden = {
    "src-uri": ["amqp://***@burrow:5672/v", "amqps://h?password=***"],
    "src-queue": "q",
    "dest-uri": "http://***@elsewhere/in",
    nested: { deeper: ["amqp://***@y"] },
  };
  const as = "maker:p";
  for (
    const [path, find] of [
      ["parameters?sort=name", 0],
      ["parameters/shovel", 0],
      ["parameters/shovel/%2f?page=1", 0],
      ["parameters/shovel/%2f/s", null],
    ] as const
  ) {
    const value = async (as: string) => {
      const { json } = await api.ask("GET", path, { as });
      const rows = json.items ?? json;
      return (find === null ? rows : rows[find]).value;
    };
    assert.deepEqual(await value(as), hidden, path);
    assert.deepEqual(await value("guest:guest"), SHOVEL, path);
  }
  assert.equal((await api.ask("GET", "global-parameters/where", { as })).json.value.uri, "amqp://***@b");
  assert.equal((await api.get("global-parameters/where")).value.uri, `amqp://a:${SECRET}@b`);
  const definitions = await api.get("definitions");
  assert.deepEqual(definitions.parameters.find(({ name }: { name: string }) => name === "s").value, SHOVEL);
});

test("what was read with hidden passwords is not taken for the real one", async () => {
  await give();
  const as = "maker:p";
  const { json: { value } } = await api.ask("GET", "parameters/shovel/%2f/s", { as });
  const refused = await api.ask("PUT", "parameters/shovel/%2f/s", { as, body: { value } });
  assert.equal(refused.status, 400);
  assert.equal(refused.json.reason, "a password is hidden in the value (***): it takes the whole URI");
  const global = { value: { uri: "amqp://***@b" } };
  assert.equal((await api.ask("PUT", "global-parameters/where", { as, body: global })).status, 400);
  assert.deepEqual((await api.get("parameters/shovel/%2f/s")).value, SHOVEL);
  const given = await api.ask("PUT", "parameters/shovel/%2f/s", { as, body: { value: SHOVEL } });
  assert.equal(given.status, 204);
});

test("a value of many levels is refused", async () => {
  for (const [levels, status] of [[100, 201], [102, 400], [50_000, 400]] as const) {
    const body = `{"value":${"[".repeat(levels)}${"]".repeat(levels)}}`;
    assert.equal((await api.ask("PUT", `parameters/deep/%2f/d${levels}`, { body })).status, status, `${levels}`);
  }
  assert.equal((await api.ask("GET", "parameters/deep", { as: "maker:p" })).status, 200);
});

test("no answer to anybody but an administrator holds a secret", async () => {
  await give();
  const { paths } = await api.get("openapi.json");
  const names: Record<string, string> = { vhost: "%2f", component: "shovel", name: "s", user: "maker" };
  const asked: string[] = [];
  for (const path of Object.keys(paths)) {
    if (paths[path].get === undefined || path === "/api/livelog" || path.endsWith("/tail")) continue;
    for (const component of ["shovel", "federation-upstream"]) {
      const own = component === "shovel" ? names : { ...names, component, name: "u" };
      const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => own[name] ?? "x");
      for (const user of ["maker", "watcher"]) {
        const answer = await api.ask("GET", url, { as: `${user}:p` });
        assert.ok(!answer.text.includes(SECRET), `${url} as ${user}: ${answer.text}`);
        if (answer.status === 200) asked.push(url);
      }
    }
  }
  assert.ok(asked.includes("/api/parameters") && asked.includes("/api/parameters/federation-upstream/%2f/u"));
});

test("a definitions file with a mistake is told of without what is secret in it", async () => {
  const { program, args } = commandOf("bun");
  const file = join(temporaryDirectory(), "definitions.json");
  const parameters = [{ vhost: "/", component: "shovel", name: "s", value: `amqp://a:${SECRET}@b` }];
  writeFileSync(file, JSON.stringify({ vhosts: [{ name: "/" }], parameters }));
  const words = [...args, "serve", "--memory", "--port", "0", "--load-definitions", file];
  const broker = new Program(program, words, ONLY_AMQP);
  assert.equal((await broker.waitForExit()).code, 1);
  assert.match(broker.stderr, /s should be a dictionary, actually was/);
  assert.ok(!(broker.stderr + broker.stdout).includes(SECRET), broker.stderr);
});
