// MQTT and AMQP clients exchange messages over amq.topic.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { tableOf } from "../../src/wire/amqp_table.ts";
import { decodeHeader, type Properties, writeHeader } from "../../src/wire/amqp_properties.ts";
import { BufferPool, OutBuffer } from "../../src/lib/out_buffer.ts";
import { MqttBroker } from "../support/mqtt_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import type { ContentOptions } from "../support/raw_bytes.ts";
import { basic, confirm, queue } from "../support/raw_methods.ts";

const broker = new MqttBroker();
after(() => broker.stop());

/** An AMQP client with a queue bound to amq.topic. */
async function bound(...patterns: string[]): Promise<{ client: RawAmqp; name: string }> {
  const client = await broker.amqp();
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  for (const pattern of patterns) {
    await client.call("queue.bind-ok", queue.bind(1, name, "amq.topic", pattern));
  }
  return { client, name };
}

/** Properties as `basic.publish` of the test client takes them. */
function propertyList(properties: Properties): ContentOptions {
  const out = new OutBuffer(new BufferPool());
  writeHeader(out, 1, 0, properties);
  // Frame header, class, weight and body size in front, the frame's end behind.
  const list = Buffer.from(out.bytes.subarray(out.start + 7 + 12, out.end - 1));
  return { flags: list.readUInt16BE(0), properties: list.subarray(2) };
}

function read(list: Buffer): Properties {
  const header = Buffer.concat([Buffer.alloc(8), list]);
  return decodeHeader(header, 0, header.length);
}

test("a topic is a routing key, its levels are words, QoS 1 and 2 are persistent", async () => {
  const { client, name } = await bound("home.*.temp", "deep.#");
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "c", noAck: true }));
  const publisher = await broker.open();
  for (const [qos, mode] of [[0, 1], [1, 2], [2, 2]] as const) {
    await publisher.store("home/kitchen/temp", `q${qos}`, { qos });
    const message = await client.message();
    assert.equal(message.exchange, "amq.topic");
    assert.equal(message.routingKey, "home.kitchen.temp");
    assert.equal(String(message.body), `q${qos}`);
    assert.deepEqual(read(message.properties), { bodySize: 0, deliveryMode: mode });
  }
  await publisher.store("deep/a/b", "x");
  assert.equal((await client.message()).routingKey, "deep.a.b");
});

test("MQTT 5's properties are AMQP's, as RabbitMQ maps them", async () => {
  const { client, name } = await bound("props");
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: "c", noAck: true }));
  const publisher = await broker.open({ version: 5 });
  await publisher.store("props", "x", {
    properties: {
      payloadFormatIndicator: true,
      messageExpiryInterval: 7,
      contentType: "text/plain",
      responseTopic: "answer/to/me",
      correlationData: Buffer.from("c-1"),
      userProperties: { k: "v" },
    },
  });
  const { headers, ...rest } = read((await client.message()).properties);
  assert.deepEqual(rest, {
    bodySize: 0,
    deliveryMode: 2,
    contentType: "text/plain",
    correlationId: "c-1",
    expiration: "7000",
  });
  assert.deepEqual(Object.fromEntries([...headers!].map(([key, { value }]) => [key, value])), {
    k: "v",
    "x-reply-to-topic": "answer.to.me",
  });
});

test("an AMQP message comes to MQTT subscribers: QoS by its delivery mode, properties as RabbitMQ maps them", async () => {
  const five = await broker.open({ version: 5 });
  await five.subscribe("from/amqp/+", 2);
  const four = await broker.open();
  await four.subscribe("from/#", 0);
  const client = await broker.amqp();
  await client.call("confirm.select-ok", confirm.select(1));
  const properties = propertyList({
    contentType: "a/b",
    deliveryMode: 2,
    correlationId: "corr",
    expiration: "60000",
    headers: tableOf({ text: "t", number: 5, yes: true, "x-reply-to-topic": "back.here", list: [1] }),
  });
  client.send(basic.publish(1, "from.amqp.x", "body", { ...properties, exchange: "amq.topic" }));
  const got = await five.next("publish");
  assert.deepEqual([got.topic, got.qos, String(got.payload), got.retain], ["from/amqp/x", 1, "body", false]);
  assert.equal(got.properties?.contentType, "a/b");
  assert.equal(String(got.properties?.correlationData), "corr");
  assert.equal(got.properties?.responseTopic, "back/here");
  assert.ok(Number(got.properties?.messageExpiryInterval) <= 60);
  assert.deepEqual({ ...got.properties?.userProperties as object }, { text: "t", number: "5", yes: "true" });
  const old = await four.next("publish");
  assert.deepEqual([old.topic, old.qos, String(old.payload)], ["from/amqp/x", 0, "body"]);
  client.send(basic.publish(1, "from.amqp.y", "transient", { exchange: "amq.topic" }));
  assert.equal((await five.next("publish")).qos, 0);
});

test("a routing key that MQTT cannot say is not delivered", async () => {
  const subscriber = await broker.open();
  await subscriber.subscribe("#", 1);
  const client = await broker.amqp();
  await client.call("confirm.select-ok", confirm.select(1));
  for (const key of ["", "a.#", "a+b", "nul\0"]) client.send(basic.publish(1, key, "no", { exchange: "amq.topic" }));
  client.send(basic.publish(1, "yes", "yes", { exchange: "amq.topic" }));
  assert.deepEqual(await subscriber.payloads(1), ["yes"]);
});

test("a session's queue takes what AMQP clients send to it directly, and its deletion ends the connection", async () => {
  const session = await broker.open({
    version: 5,
    clientId: "direct",
    clean: false,
    properties: { sessionExpiryInterval: 9 },
  });
  await session.subscribe("x", 1);
  const client = await broker.amqp();
  client.send(basic.publish(1, "mqtt-subscription-directqos1", "hello"));
  const { topic, payload } = await session.next("publish");
  assert.deepEqual([topic, String(payload)], ["mqtt-subscription-directqos1", "hello"]);
  client.send(queue.delete(1, "mqtt-subscription-directqos1"));
  await session.expectEnd(0x83);
});

test("a queue that takes no more: MQTT 5 is told, before it the connection ends [3.1.1: MQTT-4.8.0-2]", async () => {
  const client = await broker.amqp();
  const args = { "x-max-length": 1, "x-overflow": "reject-publish" };
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true, args }))).shortString();
  await client.call("queue.bind-ok", queue.bind(1, name, "amq.topic", "full"));
  const five = await broker.open({ version: 5 });
  await five.store("full", "taken");
  for (const [qos, answer] of [[1, "puback"], [2, "pubrec"]] as const) {
    five.publish("full", "refused", { qos });
    assert.equal((await five.next(answer)).reasonCode, 0x97);
    const four = await broker.open();
    four.publish("full", "refused", { qos });
    await four.expectEnd();
  }
});
