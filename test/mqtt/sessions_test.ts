// Sessions: present or not, what waits in them, sending again, their end; over restarts and kills.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";
import { waitFor } from "../support/wait.ts";

const memory = new MqttBroker();
const disk = new MqttBroker({ onDisk: true });
after(() => memory.stop());
after(() => disk.stop());

const PERSISTENT = { clean: false };

test("session present: right in all four cases [MQTT-3.2.2-2, MQTT-3.2.2-3]", async () => {
  const clientId = "present";
  const seen: unknown[] = [];
  for (const clean of [false, false, true, false]) {
    const { client, connack } = await memory.openWith({ clientId, clean });
    seen.push(connack.sessionPresent);
    await client.leave();
  }
  // A new one; it is there; it is thrown away; a clean one left nothing.
  assert.deepEqual(seen, [false, true, false, false]);
});

test("what waits for a client comes when it is back, in order; QoS 0 need not [MQTT-3.1.2-5]", async () => {
  const options = { clientId: "waiting", ...PERSISTENT };
  const first = await memory.open(options);
  await first.subscribe(["wait/1", "wait/2"], 2);
  await first.leave();
  const publisher = await memory.open();
  await publisher.store("wait/1", "a", { qos: 1 });
  await publisher.store("wait/2", "b", { qos: 2 });
  await publisher.store("wait/1", "c", { qos: 1 });
  const second = await memory.open(options);
  const got = await second.take(3);
  assert.deepEqual(got.map(({ payload, qos, dup }) => [String(payload), qos, dup]), [
    ["a", 1, false],
    ["b", 2, false],
    ["c", 1, false],
  ]);
});

test("what was not acknowledged is sent again: same identifiers, same order, DUP [MQTT-4.4.0-1, MQTT-3.3.1-1]", async () => {
  const options = { clientId: "again", ...PERSISTENT };
  const first = await memory.open(options);
  await first.subscribe("again/#", 2);
  const publisher = await memory.open();
  for (const [index, qos] of ([1, 2, 1, 2, 1] as const).entries()) {
    await publisher.store(`again/${index}`, String(index), { qos });
  }
  const sent = await first.take(5);
  first.ack("puback", sent[2]!.messageId);
  first.ack("pubrec", sent[3]!.messageId);
  await first.next("pubrel");
  await first.drop();
  await publisher.store("again/new", "new");
  const second = await memory.open(options);
  const again = await second.take(5);
  assert.deepEqual(again.map(({ cmd, messageId }) => [cmd, messageId]), [
    ["publish", sent[0]!.messageId],
    ["publish", sent[1]!.messageId],
    ["pubrel", sent[3]!.messageId],
    ["publish", sent[4]!.messageId],
    ["publish", again[4]!.messageId],
  ]);
  assert.deepEqual(again.map(({ dup }) => dup), [true, true, false, true, false]);
  assert.equal(String(again[4]!.payload), "new");
  second.ack("pubcomp", sent[3]!.messageId);
  for (const index of [0, 3, 4]) if (again[index]!.qos === 1) second.ack("puback", again[index]!.messageId);
  second.ack("pubrec", again[1]!.messageId);
  await second.next("pubrel");
  second.ack("pubcomp", again[1]!.messageId);
  await second.leave();
  const third = await memory.open(options);
  await third.expectSilence();
});

test("PUBREL is waited for over a reconnect: the message is published once", async () => {
  const subscriber = await memory.open();
  await subscriber.subscribe("half", 0);
  const options = { clientId: "half", ...PERSISTENT };
  const first = await memory.open(options);
  const id = first.publish("half", "x", { qos: 2 });
  await first.next("pubrec");
  await first.drop();
  const second = await memory.open(options);
  second.publish("half", "x", { qos: 2, id, dup: true });
  await second.next("pubrec");
  second.ack("pubrel", id);
  await second.next("pubcomp");
  assert.deepEqual(await subscriber.payloads(1), ["x"]);
  await subscriber.expectSilence();
});

test("a clean start throws the old session away [MQTT-3.1.2-4]", async () => {
  const first = await memory.open({ clientId: "clean", ...PERSISTENT });
  await first.subscribe("clean/it", 1);
  await first.leave();
  const second = await memory.open({ clientId: "clean" });
  await (await memory.open()).store("clean/it", "x");
  await second.expectSilence();
});

test("MQTT 5: a session without expiry ends with its connection, one with expiry is there again", async () => {
  const open = (sessionExpiryInterval: number) =>
    memory.openWith({ version: 5, clientId: "expiry", clean: false, properties: { sessionExpiryInterval } });
  const { client } = await open(0);
  await client.subscribe("e", 1);
  await client.leave();
  const second = await open(60);
  assert.equal(second.connack.sessionPresent, false);
  await second.client.leave();
  const third = await open(60);
  assert.equal(third.connack.sessionPresent, true);
  // Given away in DISCONNECT.
  await third.client.leave({ sessionExpiryInterval: 0 });
  assert.equal((await open(0)).connack.sessionPresent, false);
});

test("MQTT 5: an expiry in DISCONNECT where there was none is a protocol error", async () => {
  const client = await memory.open({ version: 5 });
  client.send({ cmd: "disconnect", reasonCode: 0, properties: { sessionExpiryInterval: 5 } });
  await client.expectEnd(0x82);
});

test("a session ends when its time is over, and not while its client is connected [MQTT-4.1.0-1, MQTT-4.1.0-2]", async () => {
  const options = { version: 5, clientId: "short", clean: false, properties: { sessionExpiryInterval: 1 } } as const;
  const stays = await memory.open({ ...options, clientId: "stays" });
  await stays.subscribe("stays", 1);
  const first = await memory.open(options);
  await first.subscribe("short", 1);
  await first.drop();
  await waitFor("end of the session", async () => {
    // Its queue goes with it: nobody takes the message any more.
    const watcher = await memory.open({ version: 5 });
    watcher.publish("short", "x", { qos: 1 });
    const { reasonCode } = await watcher.next("puback");
    await watcher.leave();
    return reasonCode === 0x10;
  });
  assert.equal((await memory.openWith(options)).connack.sessionPresent, false);
  await (await memory.open()).store("stays", "still there");
  assert.deepEqual(await stays.payloads(1), ["still there"]);
});

test("the broker's own limit of session expiry is told", async () => {
  const strict = new MqttBroker({ mqtt: { sessionExpiryMax: 30 } });
  try {
    const properties = { sessionExpiryInterval: 3600 };
    const { connack } = await strict.openWith({ version: 5, clientId: "x", properties });
    assert.equal(connack.properties?.sessionExpiryInterval, 30);
  } finally {
    await strict.stop();
  }
});

test("the oldest messages go where more wait than may", async () => {
  const small = new MqttBroker({ mqtt: { queuedMax: 3 } });
  try {
    const options = { clientId: "full", ...PERSISTENT };
    const first = await small.open(options);
    await first.subscribe("full", 1);
    await first.leave();
    const publisher = await small.open();
    for (let index = 0; index < 6; index++) await publisher.store("full", String(index));
    assert.deepEqual(await (await small.open(options)).payloads(3), ["3", "4", "5"]);
  } finally {
    await small.stop();
  }
});

for (const how of ["restart", "kill"] as const) {
  test(`sessions, subscriptions and what was acknowledged are there after a ${how}`, async () => {
    const options = {
      clientId: `over-${how}`,
      version: 5,
      clean: false,
      properties: { sessionExpiryInterval: 3600 },
    } as const;
    const first = await disk.open(options);
    await first.subscribe(`${how}/one`, 1, {}, { subscriptionIdentifier: 7 });
    await first.subscribe(`${how}/two/#`, 2, { rap: true });
    await first.subscribe(`${how}/zero`, 0);
    await first.subscribe(`$share/g/${how}/shared`, 1);
    await first.leave();
    const publisher = await disk.open();
    for (let index = 0; index < 50; index++) await publisher.store(`${how}/one`, String(index));
    await publisher.store(`${how}/two/x`, "two", { qos: 2 });
    await publisher.store(`${how}/shared`, "shared");
    await disk[how]();
    const { client, connack } = await disk.openWith(options);
    assert.equal(connack.sessionPresent, true);
    const got = await client.take(52);
    const own = got.filter(({ topic }) => topic !== `${how}/shared`);
    assert.deepEqual(own.map(({ payload }) => String(payload)), [...Array(50).keys()].map(String).concat("two"));
    assert.equal(own[0]!.properties?.subscriptionIdentifier, 7);
    assert.equal(own[50]!.qos, 2);
    assert.equal(got.find(({ topic }) => topic === `${how}/shared`)?.qos, 1);
    const late = await disk.open();
    await late.store(`${how}/zero`, "zero");
    assert.deepEqual(await client.payloads(1), ["zero"]);
    await late.store(`${how}/two/y`, "retained", { retain: true });
    const last = await client.next("publish");
    assert.deepEqual([String(last.payload), last.retain], ["retained", true]);
    // And gone for good, when it is thrown away.
    await client.leave();
    await (await disk.open({ clientId: options.clientId, version: 5 })).leave();
    await disk[how]();
    assert.equal((await disk.openWith(options)).connack.sessionPresent, false);
  });
}

test("an unacknowledged message is there after a kill, flagged as one that may have come already", async () => {
  const options = { clientId: "killed", ...PERSISTENT };
  const first = await disk.open(options);
  await first.subscribe("killed", 1);
  await (await disk.open()).store("killed", "x");
  await first.next("publish");
  await disk.kill();
  const { payload, dup } = await (await disk.open(options)).next("publish");
  assert.deepEqual([String(payload), dup], ["x", true]);
});

for (const how of ["restart", "kill"] as const) {
  test(`QoS 2 over a ${how}: what comes again is published once, what is new is not mistaken for it`, async () => {
    const options = { clientId: `exactly-${how}`, ...PERSISTENT };
    const watching = { clientId: `watching-${how}`, ...PERSISTENT };
    const watcher = await disk.open(watching);
    await watcher.subscribe(`exactly/${how}`, 1);
    await watcher.leave();
    const first = await disk.open(options);
    for (const id of [1, 2, 3]) first.publish(`exactly/${how}`, String(id), { qos: 2, id });
    for (let index = 0; index < 3; index++) await first.next("pubrec");
    first.ack("pubrel", 2);
    await first.next("pubcomp");
    await disk[how]();
    const second = await disk.open(options);
    second.publish(`exactly/${how}`, "1", { qos: 2, id: 1, dup: true });
    await second.next("pubrec");
    second.ack("pubrel", 1);
    await second.next("pubcomp");
    second.publish(`exactly/${how}`, "new 2", { qos: 2, id: 2 });
    await second.next("pubrec");
    second.publish(`exactly/${how}`, "new 3", { qos: 2, id: 3 });
    await second.next("pubrec");
    for (const id of [2, 3]) {
      second.ack("pubrel", id);
      await second.next("pubcomp");
    }
    const back = await disk.open(watching);
    assert.deepEqual(await back.payloads(5), ["1", "2", "3", "new 2", "new 3"]);
    await back.expectSilence();
  });
}

test("sessions are queues, named as RabbitMQ names them", async () => {
  const client = await memory.open({ clientId: "named", ...PERSISTENT });
  await client.subscribe("named/0", 0);
  await client.subscribe("named/1", 1);
  const amqp = await memory.amqp();
  for (const qos of [0, 1]) {
    const { queue } = await import("../support/raw_methods.ts");
    const args = await amqp.call(
      "queue.declare-ok",
      queue.declare(1, `mqtt-subscription-namedqos${qos}`, { passive: true }),
    );
    assert.equal(args.shortString(), `mqtt-subscription-namedqos${qos}`);
  }
});
