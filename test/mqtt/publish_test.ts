// PUBLISH at every QoS, both ways: handshakes, identifiers, order, limits.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";
import type { Version } from "../support/raw_mqtt.ts";

const broker = new MqttBroker();
after(() => broker.stop());

for (const version of [3, 4, 5] as Version[]) {
  test(`level ${version}: a message is delivered at the lesser of both QoS [MQTT-3.8.4-8]`, async () => {
    const publisher = await broker.open({ version });
    for (const granted of [0, 1, 2] as const) {
      const subscriber = await broker.open({ version });
      assert.deepEqual(await subscriber.subscribe(`lesser/${version}/${granted}`, granted), [granted]);
      for (const published of [0, 1, 2] as const) {
        await publisher.store(`lesser/${version}/${granted}`, `q${published}`, { qos: published });
        const { qos, payload, topic, dup, retain, messageId } = await subscriber.next("publish");
        assert.equal(qos, Math.min(granted, published));
        assert.equal(topic, `lesser/${version}/${granted}`);
        assert.equal(String(payload), `q${published}`);
        assert.deepEqual([dup, retain], [false, false]);
        if (qos === 1) subscriber.ack("puback", messageId);
        if (qos !== 2) continue;
        subscriber.ack("pubrec", messageId);
        assert.equal((await subscriber.next("pubrel")).messageId, messageId);
        subscriber.ack("pubcomp", messageId);
      }
      await subscriber.expectSilence();
    }
  });
}

test("PUBACK comes in the order of the messages, also where some need the disk [MQTT-4.6.0-2]", async () => {
  const client = await broker.open();
  const ids: number[] = [];
  for (let index = 0; index < 500; index++) ids.push(client.publish("order/acks", "x", { qos: 1 }));
  for (const id of ids) assert.equal((await client.next("puback")).messageId, id);
});

test("QoS 2: a message that comes again before PUBREL is published once [MQTT-4.3.3-10, MQTT-4.3.3-12]", async () => {
  const subscriber = await broker.open();
  await subscriber.subscribe("once", 2);
  const publisher = await broker.open();
  const id = publisher.publish("once", "1", { qos: 2 });
  await publisher.next("pubrec");
  publisher.publish("once", "1", { qos: 2, id, dup: true });
  assert.equal((await publisher.next("pubrec")).messageId, id);
  publisher.ack("pubrel", id);
  await publisher.next("pubcomp");
  const { messageId } = await subscriber.next("publish");
  subscriber.ack("pubrec", messageId);
  await subscriber.next("pubrel");
  await subscriber.expectSilence();
  publisher.publish("once", "2", { qos: 2, id });
  await publisher.next("pubrec");
  assert.equal(String((await subscriber.next("publish")).payload), "2");
});

test("PUBREL of an unknown identifier is answered all the same, with MQTT 5's reason", async () => {
  const client = await broker.open({ version: 5 });
  client.ack("pubrel", 77);
  const pubcomp = await client.next("pubcomp");
  assert.deepEqual([pubcomp.messageId, pubcomp.reasonCode], [77, 0x92]);
  client.ack("pubrec", 78);
  const pubrel = await client.next("pubrel");
  assert.deepEqual([pubrel.messageId, pubrel.reasonCode], [78, 0x92]);
  client.ack("puback", 79);
  client.ack("pubcomp", 80);
  await client.expectSilence();
});

test("messages of one publisher arrive in their order, at every QoS [MQTT-4.6.0-6]", async () => {
  const subscriber = await broker.open();
  await subscriber.subscribe("ordered/#", 2);
  const publisher = await broker.open();
  for (const qos of [0, 1, 2] as const) {
    const count = 1000;
    for (let index = 0; index < count; index++) {
      const id = publisher.publish(`ordered/${qos}`, String(index), { qos });
      if (qos === 2) {
        await publisher.next("pubrec");
        publisher.ack("pubrel", id);
        await publisher.next("pubcomp");
      }
      if (qos !== 2) continue;
      const { messageId, payload } = await subscriber.next("publish");
      assert.equal(String(payload), String(index));
      subscriber.ack("pubrec", messageId);
      await subscriber.next("pubrel");
      subscriber.ack("pubcomp", messageId);
    }
    if (qos === 2) continue;
    for (let index = 0; index < count; index++) {
      const { messageId, payload } = await subscriber.next("publish");
      assert.equal(String(payload), String(index));
      if (qos === 1) subscriber.ack("puback", messageId);
    }
    if (qos === 1) { for (let index = 0; index < count; index++) await publisher.next("puback"); }
  }
});

test("the client's receive maximum holds deliveries back until it acknowledges [MQTT-3.3.4-9, MQTT-3.3.4-10]", async () => {
  const subscriber = await broker.open({ version: 5, properties: { receiveMaximum: 3 } });
  await subscriber.subscribe("window", 2);
  const publisher = await broker.open();
  for (let index = 0; index < 5; index++) await publisher.store("window", String(index), { qos: index === 1 ? 2 : 1 });
  const first = await subscriber.take(3);
  assert.deepEqual(first.map(({ payload }) => String(payload)), ["0", "1", "2"]);
  await subscriber.expectSilence();
  subscriber.ack("puback", first[0]!.messageId);
  assert.equal(String((await subscriber.next("publish")).payload), "3");
  subscriber.ack("pubrec", first[1]!.messageId);
  await subscriber.next("pubrel");
  await subscriber.expectSilence();
  subscriber.ack("pubcomp", first[1]!.messageId);
  assert.equal(String((await subscriber.next("publish")).payload), "4");
  // QoS 0 is not held back.
  await subscriber.subscribe("window0", 0);
  await publisher.store("window0", "free", { qos: 1 });
  assert.equal(String((await subscriber.next("publish")).payload), "free");
});

test("the broker's own limit in flight holds for clients that have no word for it", async () => {
  const small = new MqttBroker({ mqtt: { inFlightMax: 2 } });
  try {
    const subscriber = await small.open();
    await subscriber.subscribe("w", 1);
    const publisher = await small.open();
    for (let index = 0; index < 4; index++) await publisher.store("w", String(index));
    const [one] = await subscriber.take(2);
    await subscriber.expectSilence();
    subscriber.ack("puback", one!.messageId);
    assert.equal(String((await subscriber.next("publish")).payload), "2");
  } finally {
    await small.stop();
  }
});

test("more than the receive maximum from a client ends the connection [MQTT-3.3.4-7]", async () => {
  const client = await broker.open({ version: 5 });
  for (let id = 1; id <= 4096; id++) client.publish("flood", "x", { qos: 2, id });
  for (let id = 1; id <= 4096; id++) await client.next("pubrec");
  await client.expectSilence();
  client.publish("flood", "x", { qos: 2, id: 4097 });
  await client.expectEnd(0x93);
});

test("an error in the client's PUBACK or PUBREC ends the message there, also over a reconnect [MQTT-4.4.0-2]", async () => {
  const options = { version: 5, clientId: "refuses", clean: false, properties: { sessionExpiryInterval: 60 } } as const;
  const subscriber = await broker.open(options);
  await subscriber.subscribe("refused", 2);
  for (const [qos, cmd] of [[1, "puback"], [2, "pubrec"]] as const) {
    await (await broker.open()).store("refused", "x", { qos });
    const { messageId } = await subscriber.next("publish");
    subscriber.send({ cmd, messageId, reasonCode: 0x97 });
    await subscriber.expectSilence();
  }
  await subscriber.drop();
  await (await broker.open(options)).expectSilence();
});

test("a message's DUP flag is not passed on; after PUBACK its identifier is free [MQTT-3.3.1-3, MQTT-4.3.2-5]", async () => {
  const subscriber = await broker.open();
  await subscriber.subscribe("dup", 1);
  const publisher = await broker.open();
  for (const payload of ["first", "second"]) {
    await publisher.store("dup", payload, { id: 5, dup: true });
    const got = await subscriber.next("publish");
    assert.deepEqual([String(got.payload), got.dup], [payload, false]);
    subscriber.ack("puback", got.messageId);
  }
});

test("the QoS 2 handshake goes on when the message has expired [MQTT-4.3.3-13]", async () => {
  const options = { version: 5, clientId: "late", clean: false, properties: { sessionExpiryInterval: 60 } } as const;
  const subscriber = await broker.open(options);
  await subscriber.subscribe("expired", 2);
  await subscriber.leave();
  const publisher = await broker.open({ version: 5 });
  await publisher.store("expired", "x", { qos: 2, properties: { messageExpiryInterval: 0 } });
  // In the millisecond in which it came it may still be delivered.
  const storedMs = performance.now();
  while (performance.now() < storedMs + 2) await new Promise((resolve) => setImmediate(resolve));
  await (await broker.open(options)).expectSilence();
});

test("acknowledgements have codes of their own, no reason strings, no user properties [MQTT-3.1.2-29]", async () => {
  const client = await broker.open({ version: 5, properties: { requestProblemInformation: false } });
  const refused = "$SYS/not/for/clients";
  const answers: [code: number | undefined, Record<string, unknown> | undefined][] = [];
  const note = async (cmd: string) => {
    const { reasonCode, granted, properties } = await client.next(cmd);
    answers.push([reasonCode ?? granted[0], properties]);
  };
  client.publish(refused, "x", { qos: 1 });
  await note("puback");
  client.publish(refused, "x", { qos: 2 });
  await note("pubrec");
  client.ack("pubrel", 4711);
  await note("pubcomp");
  client.ack("pubrec", 4711);
  await note("pubrel");
  client.send({
    cmd: "subscribe",
    messageId: 1,
    subscriptions: [{ topic: "a+", qos: 0, nl: false, rap: false, rh: 0 }],
  });
  await note("suback");
  client.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a+"] });
  await note("unsuback");
  assert.deepEqual(answers.map(([code]) => code), [0x87, 0x87, 0x92, 0x92, 0x8f, 0x8f]);
  for (const [, properties] of answers) assert.deepEqual(Object.keys(properties ?? {}), []);
});

test("large payloads pass whole, and in pieces of any size", async () => {
  const subscriber = await broker.open();
  await subscriber.subscribe("large", 1);
  const publisher = await broker.open();
  const payload = Buffer.alloc(3_000_000, "leveret");
  await publisher.store("large", payload);
  const got = await subscriber.next("publish");
  assert.ok(got.payload.equals(payload));
  subscriber.ack("puback", got.messageId);
  for (const size of [0, 1, 127, 128, 16_383, 16_384, 2_097_151]) {
    await publisher.store("large", Buffer.alloc(size, "y"));
    const { payload: body, messageId } = await subscriber.next("publish");
    assert.equal(body.length, size);
    subscriber.ack("puback", messageId);
  }
});

test("a packet that comes octet by octet is the same packet", async () => {
  const subscriber = await broker.open();
  await subscriber.subscribe("slowly", 0);
  const publisher = await broker.open();
  const packet = Buffer.from([0x30, 0x8d, 0x00, 0, 6, ...Buffer.from("slowly"), ...Buffer.from("abcde")]);
  for (const octet of packet) {
    publisher.sendBytes(octet);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.equal(String((await subscriber.next("publish")).payload), "abcde");
});

test("who publishes to nobody is told so in MQTT 5 only", async () => {
  const five = await broker.open({ version: 5 });
  five.publish("nobody/here", "x", { qos: 1 });
  assert.equal((await five.next("puback")).reasonCode, 0x10);
  const four = await broker.open();
  four.publish("nobody/here", "x", { qos: 1 });
  await four.next("puback");
});
