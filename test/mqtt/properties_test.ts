// What MQTT 5 adds to messages: properties that pass unaltered, expiry, topic aliases, the client's maximum packet size.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";

const broker = new MqttBroker();
const disk = new MqttBroker({ onDisk: true });
after(() => broker.stop());
after(() => disk.stop());

const LONG = "l".repeat(300);
const PROPERTIES: Record<string, Record<string, unknown>> = {
  "all of them": {
    payloadFormatIndicator: true,
    messageExpiryInterval: 1000,
    contentType: "application/json",
    responseTopic: "answer/ü",
    correlationData: Buffer.from("id-1"),
    userProperties: { a: "1", b: "2" },
  },
  "names that come twice": { userProperties: { a: ["1", "2", "1"], b: "" } },
  "what AMQP has no room for": {
    contentType: LONG,
    responseTopic: "a.b/c",
    correlationData: Buffer.from([0, 255, 0, 128]),
    userProperties: { [LONG]: LONG, "x-reply-to-topic": "not this", CC: "no", "": "empty" },
  },
  "a long correlation": { correlationData: Buffer.alloc(60_000, 7) },
};

for (const qos of [0, 1] as const) {
  for (const [name, properties] of Object.entries(PROPERTIES)) {
    test(`properties pass unaltered: ${name}, QoS ${qos} [MQTT-3.3.2-4, 15, 16, 17, 18, 20]`, async () => {
      const subscriber = await broker.open({ version: 5 });
      await subscriber.subscribe("props", qos);
      const publisher = await broker.open({ version: 5 });
      publisher.publish("props", "{}", { qos, properties });
      const got = (await subscriber.next("publish")).properties ?? {};
      const { messageExpiryInterval, ...rest } = got;
      const { messageExpiryInterval: expected, ...others } = properties;
      if (expected !== undefined) {
        assert.ok(Number(messageExpiryInterval) <= 1000 && Number(messageExpiryInterval) > 900);
      }
      const plain = (value: unknown) => JSON.parse(JSON.stringify(value));
      assert.deepEqual(plain(rest), plain(others));
      await subscriber.leave();
    });
  }
}

test("clients of older versions get the message without its properties", async () => {
  const subscriber = await broker.open();
  await subscriber.subscribe("older", 1);
  const publisher = await broker.open({ version: 5 });
  await publisher.store("older", "x", { properties: PROPERTIES["all of them"]! });
  assert.deepEqual(await subscriber.payloads(1), ["x"]);
});

test("a message that has expired is not delivered; what is left of its time is told [MQTT-3.3.2-5, MQTT-3.3.2-6]", async () => {
  const options = {
    version: 5,
    clientId: "expiring",
    clean: false,
    properties: { sessionExpiryInterval: 60 },
  } as const;
  const first = await broker.open(options);
  await first.subscribe("expiring", 1);
  await first.leave();
  const publisher = await broker.open({ version: 5 });
  await publisher.store("expiring", "short", { properties: { messageExpiryInterval: 1 } });
  await publisher.store("expiring", "long", { properties: { messageExpiryInterval: 100 } });
  await broker.elapse(2);
  const { payload, properties } = await (await broker.open(options)).next("publish");
  assert.equal(String(payload), "long");
  assert.ok(Number(properties?.messageExpiryInterval) <= 98);
});

test("topic aliases of a client: set, used, set anew [MQTT-3.3.2-12]", async () => {
  const subscriber = await broker.open();
  await subscriber.subscribe("alias/#", 0);
  const publisher = await broker.open({ version: 5 });
  publisher.publish("alias/1", "a", { properties: { topicAlias: 1 } });
  publisher.publish("", "b", { properties: { topicAlias: 1 } });
  publisher.publish("alias/2", "c", { properties: { topicAlias: 256 } });
  publisher.publish("alias/3", "d", { properties: { topicAlias: 1 } });
  publisher.publish("", "e", { properties: { topicAlias: 1 } });
  publisher.publish("", "f", { properties: { topicAlias: 256 } });
  const got = await subscriber.take(6);
  assert.deepEqual(got.map(({ topic, payload }) => `${topic} ${payload}`), [
    "alias/1 a",
    "alias/1 b",
    "alias/2 c",
    "alias/3 d",
    "alias/3 e",
    "alias/2 f",
  ]);
});

test("an alias of 0, beyond the maximum, or never set ends the connection [MQTT-3.3.2-8, MQTT-3.3.2-9]", async () => {
  for (const [alias, topic, code] of [[0, "x", 0x94], [257, "x", 0x94], [9, "", 0x82]] as const) {
    const client = await broker.open({ version: 5 });
    const properties = Buffer.from([3, 0x23, alias >>> 8, alias & 255]);
    const name = Buffer.from(topic);
    client.sendBytes(0x30, 2 + name.length + 4, 0, name.length, name, properties);
    await client.expectEnd(code);
  }
  const client = await broker.open({ version: 5 });
  client.publish("", "no topic");
  await client.expectEnd(0x82);
});

test("topic aliases to a client that takes them: told once, then used alone [MQTT-3.3.2-11]", async () => {
  const subscriber = await broker.open({ version: 5, properties: { topicAliasMaximum: 2 } });
  await subscriber.subscribe("to/#", 0);
  const publisher = await broker.open();
  for (const topic of ["to/1", "to/2", "to/1", "to/3", "to/2"]) publisher.publish(topic, "x");
  const got = await subscriber.take(5);
  assert.deepEqual(got.map(({ topic, properties }) => [topic, properties?.topicAlias]), [
    ["to/1", 1],
    ["to/2", 2],
    ["", 1],
    ["to/3", undefined],
    ["", 2],
  ]);
});

test("topic aliases end with their connection, both ways [MQTT-3.3.2-7]", async () => {
  const properties = { topicAliasMaximum: 2, sessionExpiryInterval: 60 };
  const options = { version: 5, clientId: "aliased", clean: false, properties } as const;
  for (const round of [1, 2]) {
    const client = await broker.open(options);
    await client.subscribe("aliased", 0);
    client.publish("aliased", "x", { properties: { topicAlias: round } });
    client.publish("", "y", { properties: { topicAlias: round } });
    const got = await client.take(2);
    assert.deepEqual(got.map(({ topic, properties }) => [topic, properties?.topicAlias]), [["aliased", 1], ["", 1]]);
    await client.drop();
  }
  const client = await broker.open(options);
  client.publish("", "z", { properties: { topicAlias: 1 } });
  await client.expectEnd(0x82);
});

test("SUBACK and UNSUBACK that are larger than the client takes count as sent [MQTT-3.1.2-25]", async () => {
  const client = await broker.open({ version: 5, properties: { maximumPacketSize: 16 } });
  const filters = Array.from({ length: 12 }, (_, index) => `s/${index}`);
  assert.equal((await client.subscribe(filters.slice(1), 0)).length, 11);
  client.send({
    cmd: "subscribe",
    messageId: 77,
    subscriptions: filters.map((topic) => ({ topic, qos: 0, nl: false, rap: false, rh: 0 })),
  });
  await client.expectSilence();
  const publisher = await broker.open();
  publisher.publish("s/0", "x");
  assert.deepEqual(await client.payloads(1), ["x"]);
  client.send({ cmd: "unsubscribe", messageId: 78, unsubscriptions: filters });
  await client.expectSilence();
  await publisher.store("s/0", "y");
  await client.expectSilence();
});

test("what is larger than a client's maximum packet size counts as delivered [MQTT-3.1.2-24, MQTT-3.1.2-25]", async () => {
  const subscriber = await broker.open({ version: 5, properties: { maximumPacketSize: 100 } });
  await subscriber.subscribe("sized", 1);
  const publisher = await broker.open();
  await publisher.store("sized", "x".repeat(100));
  await publisher.store("sized", "small");
  const { messageId } = await subscriber.next("publish");
  subscriber.ack("puback", messageId);
  await publisher.store("sized", "x".repeat(89));
  await publisher.store("sized", "y".repeat(88));
  assert.deepEqual(await subscriber.payloads(1), ["y".repeat(88)]);
});

test("the reason of an end is left out where the client takes no packet of that size; it is all that is told [MQTT-3.14.2-3]", async () => {
  for (const [maximumPacketSize, isTold] of [[30, false], [1000, true]] as const) {
    const client = await broker.open({ version: 5, properties: { maximumPacketSize } });
    client.publish("a/+", "x");
    const { reasonCode, properties } = await client.next("disconnect");
    assert.equal(reasonCode, 0x90);
    assert.deepEqual(Object.keys(properties ?? {}), isTold ? ["reasonString"] : []);
  }
});

test("a packet above the broker's own maximum ends the connection", async () => {
  const small = new MqttBroker({ mqtt: { packetBytesMax: 2000 } });
  try {
    const { client, connack } = await small.openWith({ version: 5 });
    assert.equal(connack.properties?.maximumPacketSize, 2000);
    client.publish("x", Buffer.alloc(1990));
    await client.expectSilence();
    client.publish("x", Buffer.alloc(2000));
    await client.expectEnd(0x95);
  } finally {
    await small.stop();
  }
});

test("a payload that is not the UTF-8 it is said to be ends the connection", async () => {
  const client = await broker.open({ version: 5 });
  client.publish("x", Buffer.from([0xc3, 0x28]), { properties: { payloadFormatIndicator: true } });
  await client.expectEnd(0x99);
});

test("properties are there after a restart", async () => {
  const options = { version: 5, clientId: "props", clean: false, properties: { sessionExpiryInterval: 600 } } as const;
  const first = await disk.open(options);
  await first.subscribe("p", 2);
  await first.leave();
  const publisher = await disk.open({ version: 5 });
  await publisher.store("p", "x", { qos: 2, properties: PROPERTIES["names that come twice"]! });
  await disk.restart();
  const { properties, qos } = await (await disk.open(options)).next("publish");
  assert.equal(qos, 2);
  assert.deepEqual({ ...properties?.userProperties as object }, { a: ["1", "2", "1"], b: "" });
});
