// Sessions that came with definitions: queues named as RabbitMQ names those of MQTT clients, bound to amq.topic.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ManagedBroker } from "../support/managed_broker.ts";

const dataDir = mkdtempSync(join(tmpdir(), "leveret-take-up-"));
let broker = new ManagedBroker({ dataDir });
after(async () => {
  await broker.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

type Queue = { name: string; durable?: boolean; auto_delete?: boolean };
type Bound = readonly [queue: string, key: string, args?: Record<string, unknown>];

/** As RabbitMQ 3.10.8 exports them. */
async function load(queues: Queue[], bindings: Bound[]): Promise<void> {
  const management = await broker.management();
  await management.importDefinitions({
    rabbit_version: "3.10.8",
    queues: queues.map((one) => ({
      vhost: "/",
      durable: true,
      auto_delete: false,
      arguments: { "x-expires": 86_400_000 },
      ...one,
    })),
    bindings: bindings.map(([destination, routing_key, args = {}]) => ({
      source: "amq.topic",
      vhost: "/",
      destination,
      destination_type: "queue",
      routing_key,
      arguments: args,
    })),
  });
}

const open = (clientId: string, clean = false, more = {}) => broker.mqtt({ clientId, clean, ...more });

async function publish(...topics: string[]): Promise<void> {
  const { client } = await open("publisher", true);
  for (const topic of topics) await client.store(topic, `to ${topic}`);
  await client.leave();
}

async function queueNames(): Promise<string[]> {
  const management = await broker.management();
  return management.exportDefinitions("/").queues.map(({ name }) => name).filter((name) => name.startsWith("mqtt-"));
}

test("a client finds its session, with what has come for it, and goes on with it over a restart", async () => {
  const name = "mqtt-subscription-saltqos1";
  await load([{ name }], [[name, "sea.*"], [name, "land.#", { "x-other": 1 }]]);
  await publish("sea/1", "land/a/b", "air");
  const { client, connack } = await open("salt");
  assert.equal(connack.sessionPresent, true);
  const waiting = await client.take(2);
  assert.deepEqual(waiting.map(({ topic, qos }) => [topic, qos]), [["sea/1", 1], ["land/a/b", 1]]);
  for (const { messageId } of waiting) client.ack("puback", messageId);
  // What it had subscribed to is its own, and goes when it says so.
  await client.unsubscribe("land/#");
  await client.subscribe("air", 1);
  await client.leave();
  await publish("land/c", "air", "sea/2");
  await broker.stop();
  broker = new ManagedBroker({ dataDir });
  const again = await open("salt");
  assert.equal(again.connack.sessionPresent, true);
  assert.deepEqual(await again.client.payloads(2), ["to air", "to sea/2"]);
  await again.client.expectSilence();
  await again.client.leave();
});

test("what is for QoS 0 becomes a queue that keeps nothing", async () => {
  const names = ["mqtt-subscription-bothqos1", "mqtt-subscription-bothqos0"] as const;
  await load([{ name: names[0] }, { name: names[1], durable: false, auto_delete: true }], [
    [names[0], "both.1"],
    [names[1], "both.0"],
    [names[1], "both.1"],
  ]);
  await publish("both/0", "both/1");
  const { client, connack } = await open("both");
  assert.equal(connack.sessionPresent, true);
  assert.deepEqual(await client.payloads(1), ["to both/1"]);
  await publish("both/0");
  assert.deepEqual(await client.payloads(1), ["to both/0"]);
  assert.deepEqual(await client.subscribe("more", 0), [0]);
  await client.leave();
});

test("a clean start throws it away; so does the end of a session that is taken up for a while", async () => {
  for (const clientId of ["clean", "brief"]) {
    const name = `mqtt-subscription-${clientId}qos1`;
    await load([{ name }], [[name, clientId]]);
    await publish(clientId);
    const isClean = clientId === "clean";
    const { client, connack } = await open(clientId, isClean, { version: 5 });
    assert.equal(connack.sessionPresent, !isClean);
    if (isClean) await client.expectSilence();
    else assert.deepEqual(await client.payloads(1), ["to brief"]);
    await client.leave();
    assert.ok(!(await queueNames()).includes(name));
  }
});

test("what a clean session has left behind is none: it goes", async () => {
  const name = "mqtt-subscription-leftqos1";
  await load([{ name, auto_delete: true }], [[name, "left"]]);
  await publish("left");
  const { client, connack } = await open("left");
  assert.equal(connack.sessionPresent, false);
  assert.deepEqual(await client.subscribe("left", 1), [1]);
  await client.expectSilence();
  await publish("left");
  assert.deepEqual(await client.payloads(1), ["to left"]);
  await client.leave();
});

test("nobody takes up a session without a right to its queue", async () => {
  const management = await broker.management();
  const name = "mqtt-subscription-wantedqos1";
  await load([{ name }], [[name, "wanted"]]);
  await management.putUser("thief", { password: "thief" });
  await management.putPermission({ user: "thief", vhost: "/", configure: "thief", write: ".*", read: "thief" });
  for (const clean of [true, false]) {
    assert.equal((await open("wanted", clean, { username: "thief", version: 5 })).connack.reasonCode, 0x87);
  }
  assert.ok((await queueNames()).includes(name));
  assert.equal((await open("wanted")).connack.sessionPresent, true);
});
