// Retained messages.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";

const broker = new MqttBroker();
const disk = new MqttBroker({ onDisk: true });
after(() => broker.stop());
after(() => disk.stop());

test("a new subscription gets what is retained, flagged; one that is there does not [MQTT-3.3.1-5, MQTT-3.3.1-12]", async () => {
  const publisher = await broker.open();
  await publisher.store("keep/1", "old", { retain: true });
  await publisher.store("keep/1", "one", { retain: true });
  await publisher.store("keep/2", "two", { retain: true, qos: 2 });
  publisher.publish("keep/3", "three", { retain: true });
  await publisher.store("keep/4", "not retained");
  const subscriber = await broker.open();
  await subscriber.subscribe("keep/+", 1);
  const got = await subscriber.take(3);
  const seen = got.map(({ topic, payload, qos, retain }) => [topic, String(payload), qos, retain]);
  assert.deepEqual(seen.sort(), [
    ["keep/1", "one", 1, true],
    ["keep/2", "two", 1, true],
    ["keep/3", "three", 0, true],
  ]);
  for (const { messageId, qos } of got) if (qos === 1) subscriber.ack("puback", messageId);
  await publisher.store("keep/1", "newer", { retain: true });
  const { payload, retain } = await subscriber.next("publish");
  assert.deepEqual([String(payload), retain], ["newer", false]);
});

test("an empty payload takes it away, and is passed on [MQTT-3.3.1-6, MQTT-3.3.1-7]", async () => {
  const publisher = await broker.open();
  const there = await broker.open();
  await there.subscribe("empty", 0);
  await publisher.store("empty", "x", { retain: true });
  await publisher.store("empty", "", { retain: true });
  assert.deepEqual(await there.payloads(2), ["x", ""]);
  const late = await broker.open();
  await late.subscribe("empty", 1);
  await late.expectSilence();
});

test("what is not flagged leaves the retained message alone [MQTT-3.3.1-8]", async () => {
  const publisher = await broker.open();
  await publisher.store("alone", "retained", { retain: true });
  await publisher.store("alone", "passing");
  await publisher.store("alone", "");
  const late = await broker.open();
  await late.subscribe("alone", 0);
  assert.deepEqual(await late.payloads(1), ["retained"]);
});

test("subscribing again brings it again; retain handling 1 and 2 do not [MQTT-3.3.1-9 to MQTT-3.3.1-11]", async () => {
  await (await broker.open()).store("handling", "x", { retain: true });
  const client = await broker.open({ version: 5 });
  await client.subscribe("handling", 0, { rh: 2 });
  await client.expectSilence();
  await client.subscribe("handling", 0, { rh: 1 });
  await client.expectSilence();
  await client.subscribe("handling", 0, { rh: 0 });
  await client.payloads(1);
  await client.subscribe("handling", 0, { rh: 0 });
  await client.payloads(1);
  await client.unsubscribe("handling");
  await client.subscribe("handling", 0, { rh: 1 });
  await client.payloads(1);
  await client.expectSilence();
});

test("retain as published keeps the flag of what passes by [MQTT-3.3.1-13]", async () => {
  const client = await broker.open({ version: 5 });
  await client.subscribe("rap/yes", 1, { rap: true });
  await client.subscribe("rap/no", 1);
  const publisher = await broker.open();
  for (const topic of ["rap/yes", "rap/no"]) {
    await publisher.store(topic, "1", { retain: true });
    await publisher.store(topic, "2");
  }
  const got = await client.take(4);
  assert.deepEqual(got.map(({ topic, retain }) => [topic, retain]), [
    ["rap/yes", true],
    ["rap/yes", false],
    ["rap/no", false],
    ["rap/no", false],
  ]);
});

test("what is retained outlives the session that published it [3.1.1: MQTT-3.1.2-7]", async () => {
  const publisher = await broker.open({ clientId: "gone" });
  await publisher.store("outlives", "x", { retain: true });
  await publisher.leave();
  await (await broker.open({ clientId: "gone" })).leave();
  const late = await broker.open();
  await late.subscribe("outlives", 0);
  assert.deepEqual(await late.payloads(1), ["x"]);
});

test("shared subscriptions get none", async () => {
  await (await broker.open()).store("shared/kept", "x", { retain: true });
  const client = await broker.open({ version: 5 });
  await client.subscribe("$share/g/shared/kept", 0);
  await client.expectSilence();
});

test("a retained message comes with its properties and its subscription's identifier", async () => {
  const publisher = await broker.open({ version: 5 });
  const properties = { contentType: "a/b", userProperties: { k: "v" }, messageExpiryInterval: 100 };
  publisher.publish("kept/props", "x", { retain: true, properties });
  await publisher.expectSilence();
  const client = await broker.open({ version: 5 });
  await client.subscribe("kept/other", 0, {}, { subscriptionIdentifier: 1 });
  await client.subscribe("kept/#", 0, {}, { subscriptionIdentifier: 2 });
  const got = (await client.next("publish")).properties!;
  assert.equal(got.contentType, "a/b");
  assert.equal({ ...got.userProperties as object as { k: string } }.k, "v");
  assert.ok(Number(got.messageExpiryInterval) <= 100 && Number(got.messageExpiryInterval) > 60);
  assert.equal(got.subscriptionIdentifier, 2);
});

test("one whose time is over is not sent [MQTT-3.3.2-5]", async () => {
  const publisher = await broker.open({ version: 5 });
  publisher.publish("soon/gone", "x", { retain: true, properties: { messageExpiryInterval: 1 } });
  publisher.publish("soon/there", "y", { retain: true, properties: { messageExpiryInterval: 1000 } });
  await publisher.expectSilence();
  await broker.elapse(1);
  const client = await broker.open({ version: 5 });
  await client.subscribe("soon/#", 1);
  assert.deepEqual(await client.payloads(1), ["y"]);
  await client.expectSilence();
});

test("wildcards find all that is retained, many of them, at the client's pace", async () => {
  const publisher = await broker.open();
  const count = 5000;
  for (let index = 0; index < count; index++) {
    publisher.publish(`many/${index}/x`, Buffer.alloc(1000), { qos: 1, retain: true });
  }
  for (let index = 0; index < count; index++) await publisher.next("puback");
  await publisher.expectSilence();
  for (const qos of [0, 1] as const) {
    const client = await broker.open();
    await client.subscribe("many/+/x", qos);
    const topics = new Set<string>();
    for (let index = 0; index < count; index++) {
      const { topic, messageId } = await client.next("publish");
      topics.add(topic);
      if (messageId !== undefined) client.ack("puback", messageId);
    }
    assert.equal(topics.size, count);
    await client.expectSilence();
  }
});

test("a retained message with QoS 1 waits for a client that breaks off", async () => {
  await (await broker.open()).store("waits", "x", { retain: true });
  const options = { clientId: "retained-waits", clean: false };
  const first = await broker.open(options);
  await first.subscribe("waits", 1);
  await first.next("publish");
  await first.drop();
  const { dup, retain, payload } = await (await broker.open(options)).next("publish");
  assert.deepEqual([dup, retain, String(payload)], [true, true, "x"]);
});

for (const how of ["restart", "kill"] as const) {
  test(`what is retained and acknowledged is there after a ${how}; what was taken away is not`, async () => {
    const publisher = await disk.open();
    for (let index = 0; index < 100; index++) {
      await publisher.store(`${how}/${index % 10}`, String(index), { retain: true });
    }
    await publisher.store(`${how}/0`, "", { retain: true });
    await publisher.store(`${how}/zero`, "replaced", { retain: true });
    publisher.publish(`${how}/zero`, "QoS 0", { retain: true });
    await publisher.store(`${how}/1`, "last", { retain: true, qos: 2 });
    await disk[how]();
    const client = await disk.open();
    await client.subscribe(`${how}/#`, 2);
    const seen = new Map((await client.take(10)).map(({ topic, payload, qos }) => [topic, `${payload} ${qos}`]));
    assert.equal(seen.get(`${how}/0`), undefined);
    assert.equal(seen.get(`${how}/1`), "last 2");
    assert.equal(seen.get(`${how}/9`), "99 1");
    assert.equal(seen.get(`${how}/zero`), "QoS 0 0");
    await client.leave();
  });
}

test("replacing again and again does not fill the disk: old segments go, whoever stays behind is moved", async () => {
  const publisher = await disk.open();
  await publisher.store("old/stays", "x", { retain: true });
  const payload = Buffer.alloc(500_000, "z");
  for (let index = 0; index < 200; index++) await publisher.store("new/replaced", payload, { retain: true });
  const client = await disk.open();
  await client.subscribe("old/stays", 1);
  assert.deepEqual(await client.payloads(1), ["x"]);
  const { readdirSync, statSync } = await import("node:fs");
  const queues = `${disk.dataDir}/queues`;
  let bytes = 0;
  for (const file of readdirSync(queues, { recursive: true, withFileTypes: true })) {
    if (file.isFile()) bytes += statSync(`${file.parentPath}/${file.name}`).size;
  }
  assert.ok(bytes < 70_000_000, `${bytes} bytes for 100 MB that went through`);
});
