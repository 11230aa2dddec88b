// Shared subscriptions: who gets what, and what becomes of it when a member goes.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";

const broker = new MqttBroker();
after(() => broker.stop());

const SESSION = { version: 5, clean: false, properties: { sessionExpiryInterval: 60 } } as const;

test("shared subscriptions: each message to one member, in turn, live ones only [MQTT-4.8.2-4]", async () => {
  const members = [await broker.open({ version: 5 }), await broker.open({ version: 5 }), await broker.open()];
  for (const [index, member] of members.entries()) {
    assert.deepEqual(await member.subscribe("$share/group/jobs/+", index === 0 ? 0 : 1), [index === 0 ? 0 : 1]);
  }
  const plain = await broker.open();
  await plain.subscribe("jobs/#", 0);
  const publisher = await broker.open();
  for (let index = 0; index < 9; index++) await publisher.store("jobs/x", String(index));
  const shares = await Promise.all(members.map((member) => member.take(3)));
  assert.deepEqual(shares.map((share) => share.map(({ qos }) => qos)), [[0, 0, 0], [1, 1, 1], [1, 1, 1]]);
  const all = shares.flat().map(({ payload }) => Number(payload)).sort();
  assert.deepEqual(all, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal((await plain.payloads(9)).length, 9);
  // What one has not acknowledged goes to the others when its session ends; what it has not does not come twice.
  for (const { messageId } of shares[2]!) members[2]!.ack("puback", messageId);
  await members[1]!.drop();
  const again = [...await members[0]!.take(1), ...await members[2]!.take(1)];
  const third = await Promise.race([members[0]!.take(1), members[2]!.take(1)]);
  const given = [...again, ...third].map(({ payload }) => String(payload)).sort();
  assert.deepEqual(given, shares[1]!.map(({ payload }) => String(payload)).sort());
});

test("a shared subscription keeps messages while all its members are away", async () => {
  const options = { clientId: "member", clean: false };
  const member = await broker.open(options);
  await member.subscribe("$share/away/a/b", 1);
  await member.leave();
  await (await broker.open()).store("a/b", "kept");
  const back = await broker.open(options);
  assert.deepEqual(await back.payloads(1), ["kept"]);
  assert.deepEqual(await (await broker.open({ version: 5 })).unsubscribe("$share/away/a/b"), [0x11]);
});

test("QoS 2 under way to a member that breaks off is completed with it, and by nobody else [MQTT-4.8.2-4]", async () => {
  const filter = "$share/broken/exact";
  const options = { ...SESSION, clientId: "breaks-off" };
  const member = await broker.open(options);
  await member.subscribe(filter, 2);
  const publisher = await broker.open();
  await publisher.store("exact", "published", { qos: 2 });
  await publisher.store("exact", "received", { qos: 2 });
  const sent = await member.take(2);
  member.ack("pubrec", sent[1]!.messageId);
  await member.next("pubrel");
  const other = await broker.open({ version: 5 });
  await other.subscribe(filter, 2);
  await member.drop();
  await other.expectSilence();
  const back = await broker.open(options);
  const [again, release] = await back.take(2);
  assert.deepEqual([again!.cmd, again!.messageId, again!.dup], ["publish", sent[0]!.messageId, true]);
  assert.deepEqual([release!.cmd, release!.messageId], ["pubrel", sent[1]!.messageId]);
  back.ack("pubrec", again!.messageId);
  await back.next("pubrel");
  for (const { messageId } of sent) back.ack("pubcomp", messageId);
  await back.expectSilence();
  await other.expectSilence();
});

test("QoS 2 under way when a member's session ends goes to nobody else, QoS 1 does [MQTT-4.8.2-5]", async () => {
  const filter = "$share/ended/ended";
  const options = { ...SESSION, clientId: "ends" };
  const member = await broker.open(options);
  await member.subscribe(filter, 2);
  const publisher = await broker.open();
  await publisher.store("ended", "exactly once", { qos: 2 });
  await publisher.store("ended", "at least once", { qos: 1 });
  await member.take(2);
  const other = await broker.open({ version: 5 });
  await other.subscribe(filter, 2);
  await member.drop();
  await (await broker.open({ version: 5, clientId: "ends" })).leave();
  assert.deepEqual(await other.payloads(1), ["at least once"]);
  await other.expectSilence();
});

test("what a member refuses goes to nobody else [MQTT-4.8.2-6]", async () => {
  const filter = "$share/refusing/refusing";
  const member = await broker.open({ version: 5 });
  await member.subscribe(filter, 2);
  const publisher = await broker.open();
  await publisher.store("refusing", "1", { qos: 1 });
  await publisher.store("refusing", "2", { qos: 2 });
  const [one, two] = await member.take(2);
  const other = await broker.open({ version: 5 });
  await other.subscribe(filter, 2);
  member.send({ cmd: "puback", messageId: one!.messageId, reasonCode: 0x83 });
  member.send({ cmd: "pubrec", messageId: two!.messageId, reasonCode: 0x83 });
  await member.expectSilence();
  await member.drop();
  await publisher.store("refusing", "3", { qos: 1 });
  assert.deepEqual(await other.payloads(1), ["3"]);
  await other.expectSilence();
});

test("a plain subscription beside a shared one: a packet each, each with its identifier [MQTT-3.3.4-5]", async () => {
  const client = await broker.open({ version: 5 });
  await client.subscribe("$share/beside/both", 0, {}, { subscriptionIdentifier: 5 });
  await client.subscribe("both", 1, {}, { subscriptionIdentifier: 6 });
  await (await broker.open()).store("both", "x");
  const got = await client.take(2);
  const seen = got.map(({ qos, properties }) => [qos, properties?.subscriptionIdentifier]);
  assert.deepEqual(seen.sort(), [[0, 5], [1, 6]]);
});
