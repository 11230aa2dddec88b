// What a user may do over MQTT: RabbitMQ's permissions for a session's queue and for amq.topic, topic permissions, virtual
// hosts and limits; side paths included.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ManagedBroker } from "../support/managed_broker.ts";

const broker = new ManagedBroker();
after(() => broker.stop());

interface Rules {
  configure?: string;
  write?: string;
  read?: string;
}

let userCount = 0;
async function userWith(rules: Rules): Promise<string> {
  const management = await broker.management();
  const user = `mqtt-user-${++userCount}`;
  await management.putUser(user, { password: user });
  const { configure = ".*", write = ".*", read = ".*" } = rules;
  await management.putPermission({ user, vhost: "/", configure, write, read });
  return user;
}

async function open(username: string, version: 4 | 5 = 5, more: Record<string, unknown> = {}) {
  const { client, connack } = await broker.mqtt({ username, version, ...more });
  assert.equal(connack.reasonCode ?? connack.returnCode, 0, JSON.stringify(connack));
  return client;
}

test("a user without permissions in a virtual host may not enter it; one that is not there is refused", async () => {
  const management = await broker.management();
  await management.putUser("nobody", { password: "nobody" });
  const five = await broker.mqtt({ username: "nobody", version: 5 });
  assert.equal(five.connack.reasonCode, 0x87);
  assert.equal((await broker.mqtt({ username: "nobody", version: 4 })).connack.returnCode, 5);
  await management.putVhost("other");
  await management.putPermission({ user: "nobody", vhost: "other", configure: ".*", write: ".*", read: ".*" });
  const client = await open("other:nobody");
  // Virtual hosts share no topics.
  const outside = await open("guest");
  await outside.subscribe("#", 0);
  await client.subscribe("#", 1);
  client.publish("x", "inside", { qos: 1, retain: true });
  assert.deepEqual((await client.take(2)).map(({ cmd }) => cmd).sort(), ["puback", "publish"]);
  await outside.expectSilence();
  const late = await open("guest");
  await late.subscribe("x", 0);
  await late.expectSilence();
});

test("subscribing needs configure, write and read of the session's queue, and read of amq.topic", async () => {
  const own = "mqtt-subscription-.*";
  const cases: readonly (readonly [Rules, number])[] = [
    [{ configure: own, write: own, read: `${own}|amq\\.topic` }, 1],
    [{ configure: "^$", write: own, read: `${own}|amq\\.topic` }, 0x87],
    [{ configure: own, write: "^$", read: `${own}|amq\\.topic` }, 0x87],
    [{ configure: own, write: own, read: own }, 0x87],
    [{ configure: own, write: own, read: "amq\\.topic" }, 0x87],
  ];
  for (const [rules, code] of cases) {
    const client = await open(await userWith(rules));
    assert.deepEqual(await client.subscribe("a/b", 1), [code], JSON.stringify(rules));
    await client.leave();
  }
});

test("publishing needs write of amq.topic: refused in the acknowledgement, swallowed before MQTT 5", async () => {
  const user = await userWith({ write: "mqtt-subscription-.*" });
  const watcher = await open("guest");
  await watcher.subscribe("refused/#", 0);
  const five = await open(user);
  for (const [qos, ack] of [[1, "puback"], [2, "pubrec"]] as const) {
    five.publish("refused/x", "x", { qos });
    assert.equal((await five.next(ack)).reasonCode, 0x87);
  }
  five.publish("refused/x", "x");
  await five.expectSilence();
  // What was refused holds no identifier [MQTT-4.3.3-9].
  const some = await userWith({});
  const management = await broker.management();
  await management.putTopicPermission({ user: some, vhost: "/", exchange: "amq.topic", write: "^fine", read: ".*" });
  const partly = await open(some);
  await watcher.subscribe("fine", 0);
  partly.publish("refused/x", "x", { qos: 2, id: 9 });
  assert.equal((await partly.next("pubrec")).reasonCode, 0x87);
  await partly.store("fine", "x", { qos: 2, id: 9 });
  assert.deepEqual(await watcher.payloads(1), ["x"]);
  const four = await open(user, 4);
  await four.store("refused/x", "x", { qos: 1 });
  await four.store("refused/x", "x", { qos: 2, retain: true });
  await watcher.expectSilence();
  await watcher.subscribe("refused/x", 0);
  await watcher.expectSilence();
});

test("topic permissions hold for publishing, subscribing, retained messages and wills", async () => {
  const user = await userWith({});
  const management = await broker.management();
  const topics = { write: "^own\\.{client_id}\\..*", read: "^own\\..*" };
  await management.putTopicPermission({ user, vhost: "/", exchange: "amq.topic", ...topics });
  const client = await open(user, 5, { clientId: "me" });
  assert.deepEqual(await client.subscribe(["own/#", "#", "other/x"], 1), [1, 0x87, 0x87]);
  client.publish("own/me/x", "mine", { qos: 1 });
  await client.take(2);
  client.publish("own/you/x", "not mine", { qos: 1 });
  assert.equal((await client.next("puback")).reasonCode, 0x87);
  const watcher = await open("guest");
  await watcher.subscribe("own/#", 0);
  const dying = await open(user, 5, { clientId: "dying", will: { topic: "own/you/will", payload: "no" } });
  await dying.drop();
  await watcher.expectSilence();
  const allowed = await open(user, 5, { clientId: "dying", will: { topic: "own/dying/will", payload: "yes" } });
  await allowed.drop();
  assert.deepEqual(await watcher.payloads(1), ["yes"]);
});

test("a permission that is taken away holds at once, also for a topic that was published to before", async () => {
  const user = await userWith({});
  const client = await open(user);
  client.publish("before", "x", { qos: 1 });
  assert.notEqual((await client.next("puback")).reasonCode, 0x87);
  const management = await broker.management();
  await management.putPermission({ user, vhost: "/", configure: ".*", write: "^$", read: ".*" });
  client.publish("before", "x", { qos: 1 });
  assert.equal((await client.next("puback")).reasonCode, 0x87);
});

test("nobody takes up or ends another's session without a right to its queue", async () => {
  const session = { clientId: "private", clean: false, properties: { sessionExpiryInterval: 60 } };
  const first = await open("guest", 5, session);
  await first.subscribe("private", 1);
  const thief = await userWith({ configure: "thief", read: "thief" });
  for (const clean of [true, false]) {
    const { connack } = await broker.mqtt({ ...session, clean, username: thief, version: 5 });
    assert.equal(connack.reasonCode, 0x87);
  }
  await first.expectSilence();
});

test("connections go with their user and their virtual host, and count for their limits", async () => {
  const management = await broker.management();
  const user = await userWith({});
  const client = await open(user);
  await management.deleteUser(user);
  await client.expectEnd(0x98);
  await management.putVhost("brief", {}, "guest");
  const inside = await open("brief:guest");
  await inside.subscribe("x", 1);
  inside.publish("x", "y", { qos: 1, retain: true });
  await inside.take(2);
  await management.deleteVhost("brief");
  await inside.next("disconnect");
  await management.putVhost("brief", {}, "guest");
  const anew = await open("brief:guest");
  await anew.subscribe("x", 1);
  await anew.expectSilence();
  await management.putUser("limited", { password: "limited", limits: { "max-connections": 1 } });
  await management.putPermission({ user: "limited", vhost: "/", configure: ".*", write: ".*", read: ".*" });
  await open("limited");
  assert.equal((await broker.mqtt({ username: "limited", version: 5 })).connack.reasonCode, 0x87);
});

test("definitions with sessions in them can be exported and loaded", async () => {
  const client = await open("guest", 5, { clientId: "kept", clean: false, properties: { sessionExpiryInterval: 60 } });
  await client.subscribe("kept/0", 0);
  await client.subscribe("kept/1", 1);
  const management = await broker.management();
  const { queues, bindings } = management.exportDefinitions("/");
  assert.ok(queues.some(({ name }) => name === "mqtt-subscription-keptqos1"));
  assert.ok(!queues.some(({ name }) => name.endsWith("qos0")));
  assert.ok(!bindings.some(({ destination }) => destination.endsWith("qos0")));
});
