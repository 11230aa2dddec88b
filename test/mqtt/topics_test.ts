// Topic names, filters and subscriptions: wildcards, $ topics, limits, overlapping, options, shared subscriptions.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";

const broker = new MqttBroker();
after(() => broker.stop());

const MATCHES: readonly (readonly [filter: string, topic: string, matches: boolean])[] = [
  ["a/b/c", "a/b/c", true],
  ["a/b/c", "a/b", false],
  ["a/+/c", "a/b/c", true],
  ["a/+/c", "a//c", true],
  ["a/+", "a/b/c", false],
  ["+", "a", true],
  ["+", "/a", false],
  ["+/+", "/a", true],
  ["/+", "/a", true],
  ["#", "a/b", true],
  ["a/#", "a", true],
  ["a/#", "a/b/c", true],
  ["a/#", "ab", false],
  ["a/", "a/", true],
  ["a", "a/", false],
  ["/", "/", true],
  ["A/b", "a/b", false],
  ["+/b/#", "a/b", true],
  ["a/ü/#", "a/ü/ö", true],
  ["#", "$x/y", false],
  ["+/y", "$x/y", false],
  ["$x/#", "$x/y", true],
  ["$x/+", "$x/y", true],
  // U+FEFF is a character like any other [MQTT-1.5.4-3].
  ["\ufeffa/b", "\ufeffa/b", true],
  ["\ufeffa/#", "a/b", false],
  ["a/b", "\ufeffa/b", false],
  ["+/\ufeff", "\ufeffa/\ufeff", true],
];

for (const qos of [0, 1] as const) {
  test(`filters match as they should, QoS ${qos} [MQTT-4.7.1-1 to MQTT-4.7.3-4]`, async () => {
    const publisher = await broker.open();
    for (const [filter, topic, matches] of MATCHES) {
      const subscriber = await broker.open();
      assert.deepEqual(await subscriber.subscribe(filter, qos), [qos], filter);
      await publisher.store(topic, filter);
      if (matches) {
        const got = await subscriber.next("publish");
        assert.deepEqual([got.topic, String(got.payload)], [topic, filter]);
        if (qos === 1) subscriber.ack("puback", got.messageId);
      }
      await subscriber.expectSilence();
      // The same with a second subscription beside it, which goes another way.
      await subscriber.subscribe("something/else", qos);
      await publisher.store(topic, filter);
      if (matches) assert.equal((await subscriber.next("publish")).topic, topic);
      await subscriber.leave();
    }
  });
}

test("a filter that is none is refused, the others of the packet are not [MQTT-4.7.1-1, MQTT-4.7.1-2]", async () => {
  const bad = ["a+/b", "a/b#", "#/a", "a/#/b", "++", ""];
  const four = await broker.open();
  const granted = await four.subscribe(["fine/1", ...bad, "fine/2"], 1);
  assert.deepEqual(granted, [1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]);
  const five = await broker.open({ version: 5 });
  const codes = await five.subscribe(["fine", "", "a+/b", "$share/g", "$share//x", "$share/g+/x", "$share/g/"], 0);
  assert.deepEqual(codes, [0, 0x8f, 0x8f, 0x8f, 0x8f, 0x8f, 0x8f]);
});

test("topics and filters of 255 bytes and 200 levels pass, longer ones are refused", async () => {
  const subscriber = await broker.open({ version: 5 });
  assert.deepEqual(await subscriber.subscribe(["x".repeat(255), "x".repeat(256)], 0), [0, 0x8f]);
  assert.deepEqual(await subscriber.subscribe(["/".repeat(199), "/".repeat(200)], 0), [0, 0x8f]);
  const publisher = await broker.open({ version: 5 });
  await publisher.store("x".repeat(255), "a");
  await publisher.store("/".repeat(199), "b");
  assert.deepEqual(await subscriber.payloads(2), ["a", "b"]);
  publisher.publish("/".repeat(200), "x");
  await publisher.expectEnd(0x90);
  const other = await broker.open({ version: 5 });
  other.publish("x".repeat(256), "x");
  await other.expectEnd(0x90);
});

test("overlapping subscriptions: one copy, at the best QoS, with all identifiers [MQTT-3.3.4-2, MQTT-3.3.4-3]", async () => {
  const client = await broker.open({ version: 5 });
  await client.subscribe("over/#", 0, {}, { subscriptionIdentifier: 1 });
  await client.subscribe("over/+", 2, {}, { subscriptionIdentifier: 268_435_455 });
  await client.subscribe("over/x", 1, {}, { subscriptionIdentifier: 3 });
  await client.subscribe("other", 1, {}, { subscriptionIdentifier: 4 });
  await (await broker.open()).store("over/x", "x", { qos: 2 });
  const { qos, properties } = await client.next("publish");
  assert.equal(qos, 2);
  assert.deepEqual([...properties?.subscriptionIdentifier as number[]].sort(), [1, 268_435_455, 3]);
  await client.expectSilence();
});

test("a subscription again replaces the one before [MQTT-3.8.4-3]", async () => {
  const client = await broker.open();
  const publisher = await broker.open();
  for (const qos of [1, 0, 2, 0, 1] as const) {
    await client.subscribe("replaced", qos);
    await publisher.store("replaced", "x", { qos: 2 });
    const got = await client.next("publish");
    assert.equal(got.qos, qos);
    if (qos === 1) client.ack("puback", got.messageId);
    if (qos === 2) {
      client.ack("pubrec", got.messageId);
      await client.next("pubrel");
      client.ack("pubcomp", got.messageId);
    }
    await client.expectSilence();
  }
});

test("UNSUBSCRIBE ends deliveries, and tells in MQTT 5 what was not there [MQTT-3.10.4-1]", async () => {
  const client = await broker.open({ version: 5 });
  await client.subscribe(["un/1", "un/2"], 1);
  assert.deepEqual(await client.unsubscribe("un/1", "un/3", "un/#/x"), [0, 0x11, 0x8f]);
  const publisher = await broker.open();
  await publisher.store("un/1", "gone");
  await publisher.store("un/2", "there");
  assert.deepEqual(await client.payloads(1), ["there"]);
  const four = await broker.open();
  await four.unsubscribe("never");
});

test("no-local: what the client says itself does not come back [MQTT-3.8.3-3]", async () => {
  const client = await broker.open({ version: 5 });
  await client.subscribe("echo/0", 0, { nl: true });
  await client.subscribe("echo/1", 1, { nl: true });
  await client.subscribe("echo/yes", 0);
  const other = await broker.open();
  for (const publisher of [client, other]) {
    await publisher.store("echo/0", "x");
    await publisher.store("echo/1", "y");
  }
  assert.deepEqual(await client.payloads(2), ["x", "y"]);
  client.publish("echo/yes", "mine");
  assert.deepEqual(await client.payloads(1), ["mine"]);
});

test("no-local on a shared subscription is a protocol error [MQTT-3.8.3-4]", async () => {
  const client = await broker.open({ version: 5 });
  client.send({
    cmd: "subscribe",
    messageId: 1,
    subscriptions: [{ topic: "$share/g/x", qos: 0, nl: true, rap: false, rh: 0 }],
  });
  await client.expectEnd(0x82);
});

test("$SYS topics: retained ones at once, changes later, not for wildcards at the beginning", async () => {
  const quick = new MqttBroker({ mqtt: { systemIntervalSeconds: 1 } });
  try {
    const client = await quick.open();
    const all = await quick.open();
    await all.subscribe("#", 1);
    await client.subscribe("$SYS/broker/version", 0);
    const { topic, payload, retain } = await client.next("publish");
    assert.deepEqual([topic, retain], ["$SYS/broker/version", true]);
    assert.match(String(payload), /^leveret version /);
    await client.subscribe("$SYS/broker/clients/+", 2);
    await client.take(7);
    const more = await quick.open();
    const changed = await client.next("publish");
    assert.equal(changed.retain, false);
    assert.match(changed.topic, /^\$SYS\/broker\/clients\//);
    more.publish("$SYS/broker/version", "mine", { retain: true });
    await more.expectSilence();
    await all.expectSilence();
    const five = await quick.open({ version: 5 });
    five.publish("$SYS/x", "x", { qos: 1 });
    assert.equal((await five.next("puback")).reasonCode, 0x87);
  } finally {
    await quick.stop();
  }
});

test("dots in topics: a level's end as with RabbitMQ, or kept apart", async () => {
  const exact = new MqttBroker({ mqtt: { topicMapping: "exact" } });
  try {
    for (const [where, expected] of [[broker, ["v1/0/x", "v1/0/x"]], [exact, ["v1.0/x"]]] as const) {
      const client = await where.open();
      await client.subscribe("v1.0/+", 0);
      const publisher = await where.open();
      publisher.publish("v1.0/x", "a");
      publisher.publish("v1/0/x", "b");
      for (const topic of expected) assert.equal((await client.next("publish")).topic, topic);
      await client.expectSilence();
    }
    const stars = await exact.open();
    await stars.subscribe("s/*", 0);
    const publisher = await exact.open();
    publisher.publish("s/x", "no");
    publisher.publish("s/*", "yes");
    const { topic, payload } = await stars.next("publish");
    assert.deepEqual([topic, String(payload)], ["s/*", "yes"]);
  } finally {
    await exact.stop();
  }
});
