// What is on its way to a client when its subscriptions, its connection or the message's time end.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";
import { waitFor } from "../support/wait.ts";

const broker = new MqttBroker();
after(() => broker.stop());

const SESSION = { version: 5, clean: false, properties: { sessionExpiryInterval: 60 } } as const;

test("UNSUBSCRIBE lets what was sent come to its end, also over a reconnect [MQTT-3.10.4-3]", async () => {
  const options = { ...SESSION, clientId: "leaves" };
  const client = await broker.open(options);
  await client.subscribe("left", 2);
  const publisher = await broker.open();
  await publisher.store("left", "1", { qos: 1 });
  await publisher.store("left", "2", { qos: 2 });
  await publisher.store("left", "3", { qos: 2 });
  const [one, two, three] = await client.take(3);
  assert.deepEqual(await client.unsubscribe("left"), [0]);
  client.ack("pubrec", two!.messageId);
  assert.equal((await client.next("pubrel")).messageId, two!.messageId);
  client.ack("pubcomp", two!.messageId);
  await client.drop();
  const back = await broker.open(options);
  const again = await back.take(2);
  assert.deepEqual(again.map(({ messageId, dup }) => [messageId, dup]), [[one!.messageId, true], [
    three!.messageId,
    true,
  ]]);
  back.ack("puback", one!.messageId);
  back.ack("pubrec", three!.messageId);
  await back.next("pubrel");
  back.ack("pubcomp", three!.messageId);
  await back.expectSilence();
});

test("a subscription that replaces another loses nothing of what waits [MQTT-3.8.4-4]", async () => {
  for (const [before, now] of [[1, 2], [2, 1], [1, 0], [1, 1]] as const) {
    const client = await broker.open({ version: 5, properties: { receiveMaximum: 1 } });
    const topic = `replaced/${before}/${now}`;
    await client.subscribe(topic, before, {}, { subscriptionIdentifier: 1 });
    const publisher = await broker.open();
    for (const payload of ["1", "2", "3"]) await publisher.store(topic, payload, { qos: 1 });
    const first = await client.next("publish");
    assert.deepEqual(await client.subscribe(topic, now, {}, { subscriptionIdentifier: 2 }), [now]);
    client.ack("puback", first.messageId);
    for (const payload of ["2", "3"]) {
      const got = await client.next("publish");
      assert.deepEqual([String(got.payload), got.qos], [payload, Math.min(1, now)]);
      if (got.qos === 1) client.ack("puback", got.messageId);
    }
    await client.expectSilence();
  }
});

test("what was sent does not expire before it is acknowledged [MQTT-4.3.3-7]", async () => {
  const options = { ...SESSION, clientId: "expires-not" };
  const client = await broker.open(options);
  await client.subscribe("expires/not", 2);
  const publisher = await broker.open({ version: 5 });
  const properties = { messageExpiryInterval: 1 };
  await publisher.store("expires/not", "x", { qos: 2, properties });
  const { messageId } = await client.next("publish");
  await client.drop();
  // Published later, with the same time: when it is over, so is the other's.
  await publisher.store("expires", "y", { retain: true, properties });
  const watcher = await broker.open({ version: 5 });
  await waitFor("the end of the message's time", async () => {
    await watcher.subscribe("expires", 0);
    watcher.send({ cmd: "pingreq" });
    const { cmd } = (await watcher.take(1))[0]!;
    if (cmd === "publish") await watcher.next("pingresp");
    return cmd === "pingresp";
  });
  const back = await broker.open(options);
  const again = await back.next("publish");
  assert.deepEqual([again.messageId, again.dup, String(again.payload)], [messageId, true, "x"]);
});
