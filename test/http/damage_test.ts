// What was found damaged is told to who looks after the broker.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Broker } from "../../src/mod.ts";
import { temporaryDirectory } from "../support/broker_process.ts";
import { ask } from "../support/http_api.ts";

const PAYLOAD = "spoiled carrot";

async function withBroker(dataDir: string, act: (port: number) => Promise<void>): Promise<void> {
  const broker = new Broker({ dataDir, amqp: { port: 0 }, http: { port: 0 } });
  await broker.start();
  try {
    await act(broker.listeners.find(({ protocol }) => protocol === "http")!.port);
  } finally {
    await broker.stop();
  }
}

/** Changes one byte of the message in its segment. */
function spoil(dataDir: string): void {
  for (const queue of readdirSync(join(dataDir, "queues"))) {
    const path = join(dataDir, "queues", queue, "msgs.0000000001");
    const bytes = readFileSync(path);
    const at = bytes.indexOf(PAYLOAD);
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  }
}

test("damage that a start finds is a failed check and a list", async () => {
  const dataDir = temporaryDirectory();
  await withBroker(dataDir, async (port) => {
    assert.equal((await ask(port, "GET", "health/checks/damage")).status, 200);
    assert.deepEqual((await ask(port, "GET", "damage")).json, []);
    await ask(port, "PUT", "queues/%2f/kept", { body: { durable: true } });
    const message = {
      properties: { delivery_mode: 2 },
      routing_key: "kept",
      payload: PAYLOAD,
      payload_encoding: "string",
    };
    assert.equal((await ask(port, "POST", "exchanges/%2f/amq.default/publish", { body: message })).json.routed, true);
  });
  spoil(dataDir);
  await withBroker(dataDir, async (port) => {
    const check = await ask(port, "GET", "health/checks/damage");
    assert.deepEqual([check.status, check.json.status, check.json.count], [503, "failed", 1]);
    const [damage] = (await ask(port, "GET", "damage")).json;
    assert.match(damage.path, /msgs\.0000000001$/);
    assert.ok(damage.offset > 0 && damage.bytes > 0 && damage.found_at > 0);
    await ask(port, "PUT", "users/looker", { body: { password: "p", tags: "monitoring" } });
    assert.equal((await ask(port, "GET", "damage", { as: "looker:p" })).status, 401);
    assert.equal((await ask(port, "GET", "queues/%2f/kept")).json.messages, 0);
    assert.equal((await ask(port, "GET", "health/checks/alarms")).status, 200);
  });
});
