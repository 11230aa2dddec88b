// Wills: when they go out and when not.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";

const broker = new MqttBroker();
after(() => broker.stop());

async function watch(topic: string) {
  const watcher = await broker.open({ version: 5 });
  await watcher.subscribe(topic, 2);
  return watcher;
}

test("a will goes out when the connection breaks, at its QoS, retained if it says so [MQTT-3.1.2-8]", async () => {
  const watcher = await watch("will/#");
  for (const [qos, retain] of [[0, false], [1, true], [2, false]] as const) {
    const client = await broker.open({ will: { topic: `will/${qos}`, payload: "gone", qos, retain } });
    await watcher.expectSilence();
    await client.drop();
    const got = await watcher.next("publish");
    assert.deepEqual([got.topic, String(got.payload), got.qos], [`will/${qos}`, "gone", qos]);
    if (qos === 1) watcher.ack("puback", got.messageId);
    if (qos === 2) watcher.ack("pubrec", got.messageId);
    if (qos === 2) await watcher.next("pubrel");
  }
  const late = await broker.open();
  await late.subscribe("will/#", 0);
  assert.deepEqual((await late.take(1)).map(({ topic, retain }) => [topic, retain]), [["will/1", true]]);
});

test("a client that says goodbye takes it along; with reason 0x04 it does not [MQTT-3.14.4-3]", async () => {
  const watcher = await watch("bye");
  const will = { topic: "bye", payload: "x" };
  await (await broker.open({ will })).leave();
  await (await broker.open({ version: 5, will })).leave();
  await watcher.expectSilence();
  const client = await broker.open({ version: 5, will: { topic: "bye", payload: "with will" } });
  client.send({ cmd: "disconnect", reasonCode: 4 });
  assert.deepEqual(await watcher.payloads(1), ["with will"]);
});

test("it goes out on a protocol error, on silence, and when somebody takes over [MQTT-3.1.2-8]", async () => {
  const watcher = await watch("ended/#");
  const will = (name: string) => ({ topic: `ended/${name}`, payload: name });
  const wrong = await broker.open({ will: will("wrong") });
  wrong.sendBytes(0xf0, 0);
  assert.deepEqual(await watcher.payloads(1), ["wrong"]);
  await broker.open({ clientId: "will-taken", will: will("taken") });
  await broker.open({ clientId: "will-taken" });
  assert.deepEqual(await watcher.payloads(1), ["taken"]);
  await broker.open({ keepalive: 1, will: will("silent") });
  assert.deepEqual(await watcher.payloads(1), ["silent"]);
});

test("a will with a delay waits, and does not go out when the client is back in time [MQTT-3.1.3-9]", async () => {
  const watcher = await watch("delayed/#");
  const options = (name: string, willDelayInterval: number) => ({
    version: 5 as const,
    clientId: `delayed-${name}`,
    clean: false,
    properties: { sessionExpiryInterval: 60 },
    will: { topic: `delayed/${name}`, payload: name, properties: { willDelayInterval } },
  });
  const back = await broker.open(options("back", 2));
  const away = await broker.open(options("away", 1));
  const later = await broker.open(options("later", 3));
  const start = performance.now();
  await back.drop();
  await away.drop();
  await later.drop();
  await watcher.expectSilence();
  const returned = await broker.open({ ...options("back", 2), will: undefined as never });
  assert.deepEqual(await watcher.payloads(1), ["away"]);
  assert.ok(performance.now() - start >= 900, "not before its time");
  // When this one comes the time of the other is over.
  assert.deepEqual(await watcher.payloads(1), ["later"]);
  await watcher.expectSilence();
  await returned.leave();
});

test("a session's end sends a will that waits [MQTT-3.1.2-8]", async () => {
  const watcher = await watch("session-end/#");
  const will = (name: string, willDelayInterval: number) => ({
    topic: `session-end/${name}`,
    payload: name,
    properties: { willDelayInterval },
  });
  // Without an expiry the session ends with the connection.
  const short = await broker.open({ version: 5, will: will("short", 3600) });
  await short.drop();
  assert.deepEqual(await watcher.payloads(1), ["short"]);
  const properties = { sessionExpiryInterval: 3600 };
  const clientId = "session-end";
  const old = await broker.open({ version: 5, clientId, clean: false, properties, will: will("thrown", 3600) });
  await old.drop();
  await watcher.expectSilence();
  await broker.open({ version: 5, clientId, clean: true });
  assert.deepEqual(await watcher.payloads(1), ["thrown"]);
});

test("a will's properties come with it, in their order [MQTT-3.1.3-10]", async () => {
  const watcher = await watch("willprops");
  const client = await broker.open({
    version: 5,
    will: {
      topic: "willprops",
      payload: "ü",
      qos: 1,
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 60,
        contentType: "text/plain",
        responseTopic: "answer/here",
        correlationData: Buffer.from([1, 0, 255]),
        userProperties: { who: ["me", "you"], when: "now", "": "nobody" },
      },
    },
  });
  await client.drop();
  const { properties } = await watcher.next("publish");
  assert.equal(properties?.payloadFormatIndicator, true);
  assert.equal(properties?.contentType, "text/plain");
  assert.equal(properties?.responseTopic, "answer/here");
  assert.deepEqual([...properties?.correlationData as Buffer], [1, 0, 255]);
  const pairs = Object.entries(properties?.userProperties as object);
  assert.deepEqual(pairs, [["who", ["me", "you"]], ["when", "now"], ["", "nobody"]]);
  assert.equal(properties?.willDelayInterval, undefined);
});

test("a will goes out once; a connection without one sends none [MQTT-3.1.2-10]", async () => {
  const watcher = await watch("once");
  const options = { clientId: "once", clean: false };
  await (await broker.open({ ...options, will: { topic: "once", payload: "x" } })).drop();
  assert.deepEqual(await watcher.payloads(1), ["x"]);
  await (await broker.open(options)).drop();
  await (await broker.open({ clientId: "once" })).drop();
  await watcher.expectSilence();
});
