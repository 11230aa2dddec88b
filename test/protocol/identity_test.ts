// Users, virtual hosts and limits as a client meets them, while an administrator changes them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ManagedBroker } from "../support/managed_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { basic, channel, connection, queue } from "../support/raw_methods.ts";

const broker = new ManagedBroker();
after(() => broker.stop());

const ALL = { configure: ".*", write: ".*", read: ".*" };

async function makeUser(user: string, vhost = "/"): Promise<void> {
  const management = await broker.management();
  await management.putUser(user, { password: user });
  await management.putPermission({ user, vhost, ...ALL });
}

/** The code and text with which a virtual host is refused. */
async function refusedAt(vhost: string, user: string): Promise<[number, string]> {
  const client = await broker.logIn({ user });
  await client.reply("connection.tune");
  client.send(connection.tuneOk(), connection.open(vhost));
  const { code, text } = await client.refused();
  return [code, text];
}

async function refusedLogin(user: string, password: string): Promise<void> {
  const client = await broker.logIn({ user, password });
  assert.equal((await client.refused()).code, 403);
}

async function closedWith(client: RawAmqp): Promise<[string, number, string]> {
  const { level, code, text } = await client.refused();
  await client.closed;
  return [level, code, text];
}

test("a new user logs in at once, a changed password counts from the next login on", async () => {
  const management = await broker.management();
  assert.equal(await management.putUser("new", { password: "first", tags: ["monitoring"] }), true);
  await management.putPermission({ user: "new", vhost: "/", ...ALL });
  const client = await broker.open({ user: "new", password: "first" });
  assert.equal(await management.putUser("new", { password: "second" }), false);
  await refusedLogin("new", "first");
  await (await broker.open({ user: "new", password: "second" })).close();
  await client.expectSilence(1);
  await management.putUser("new", { password: null });
  await refusedLogin("new", "second");
  await refusedLogin("new", "");
});

test("a user that is deleted is gone at once, with every connection", async () => {
  const management = await broker.management();
  await makeUser("leaver");
  const clients = [await broker.open({ user: "leaver" }), await broker.open({ user: "leaver" })];
  const other = await broker.open();
  await management.deleteUser("leaver");
  for (const client of clients) {
    assert.deepEqual(await closedWith(client), ["connection", 320, "CONNECTION_FORCED - user 'leaver' was deleted"]);
  }
  await other.expectSilence(1);
  await refusedLogin("leaver", "leaver");
  assert.deepEqual(management.listPermissions().filter(({ user }) => user === "leaver"), []);
  // One of the same name is somebody else, without permissions.
  await management.putUser("leaver", { password: "leaver" });
  assert.deepEqual(await refusedAt("/", "leaver"), [
    530,
    "NOT_ALLOWED - access to vhost '/' refused for user 'leaver'",
  ]);
});

test("virtual hosts do not see each other; one that is deleted goes with connections and queues", async () => {
  const management = await broker.management();
  assert.equal(await management.putVhost("blue", { description: "d", tags: ["a"] }, "guest"), true);
  assert.deepEqual(management.getVhost("blue").metadata, { description: "d", tags: ["a"] });
  const blue = await broker.open({ vhost: "blue" });
  const slash = await broker.open();
  await blue.call("queue.declare-ok", queue.declare(1, "same", { durable: true }));
  await slash.call("queue.declare-ok", queue.declare(1, "same"));
  blue.send(basic.publish(1, "same", "of blue"));
  await blue.expectSilence(1);
  await slash.call("basic.get-empty", basic.get(1, "same", true));
  await management.deleteVhost("blue");
  assert.deepEqual(await closedWith(blue), ["connection", 320, "CONNECTION_FORCED - vhost 'blue' was deleted"]);
  assert.deepEqual(await refusedAt("blue", "guest"), [530, "NOT_ALLOWED - vhost blue not found"]);
  assert.throws(() => management.getVhost("blue"), /vhost 'blue' does not exist/);
  await management.putVhost("blue", {}, "guest");
  const again = await broker.open({ vhost: "blue" });
  again.send(queue.declare(1, "same", { passive: true }));
  assert.equal((await again.refused()).code, 404);
  await slash.expectSilence(1);
});

test("a user without permissions in a virtual host may not enter it; refusals come in RabbitMQ's order", async () => {
  const management = await broker.management();
  await makeUser("visitor");
  await management.putVhost("closed");
  await management.setVhostLimit("closed", "max-connections", 0);
  const access = "NOT_ALLOWED - access to vhost 'closed' refused for user 'visitor'";
  assert.deepEqual(await refusedAt("nowhere", "visitor"), [530, "NOT_ALLOWED - vhost nowhere not found"]);
  assert.deepEqual(await refusedAt("closed", "visitor"), [530, `${access}: connection limit (0) is reached`]);
  await management.setVhostLimit("closed", "max-connections", null);
  assert.deepEqual(await refusedAt("closed", "visitor"), [530, access]);
});

test("limits of users: connections and channels", async () => {
  const management = await broker.management();
  await makeUser("limited");
  await management.setUserLimit("limited", "max-connections", 2);
  await management.setUserLimit("limited", "max-channels", 3);
  assert.deepEqual(management.getUser("limited").limits, { "max-connections": 2, "max-channels": 3 });
  const one = await broker.open({ user: "limited", channels: 2 });
  const two = await broker.open({ user: "limited", channels: 1 });
  const text = "NOT_ALLOWED - Connection refused for user 'limited': user connection limit (2) is reached";
  assert.deepEqual(await refusedAt("/", "limited"), [530, text]);
  two.send(channel.open(2));
  const { level, code, text: reason } = await two.refused();
  assert.deepEqual([level, code], ["connection", 530]);
  assert.match(
    reason,
    /number of channels opened for user 'limited' has reached the maximum allowed user limit of \(3\)/,
  );
  await two.closed;
  // What the second one had is free again.
  await one.call("channel.open-ok", channel.open(3));
  await one.call("channel.close-ok", channel.close(3));
  await one.call("channel.open-ok", channel.open(4));
  await (await broker.open({ user: "limited", channels: 0 })).close();
});

test("limits of virtual hosts: queues", async () => {
  const management = await broker.management();
  await management.putVhost("small", {}, "guest");
  await management.setVhostLimit("small", "max-queues", 1);
  const client = await broker.open({ vhost: "small" });
  await client.call("queue.declare-ok", queue.declare(1, "one"));
  await client.call("queue.declare-ok", queue.declare(1, "one"));
  client.send(queue.declare(1, "two"));
  const { code, text } = await client.refused();
  const expected = "PRECONDITION_FAILED - cannot declare queue 'two': queue limit in vhost 'small' (1) is reached";
  assert.deepEqual([code, text], [406, expected]);
});

test("a virtual host's default type is that of queues which name none and can be of it", async () => {
  const management = await broker.management();
  await management.putVhost("quorum", { defaultQueueType: "quorum" }, "guest");
  const client = await broker.open({ vhost: "quorum", channels: 3 });
  await client.call("queue.declare-ok", queue.declare(1, "named", { durable: true }));
  await client.call("queue.declare-ok", queue.declare(1, "named", { durable: true }));
  await client.call(
    "queue.declare-ok",
    queue.declare(1, "named", { durable: true, args: { "x-queue-type": "quorum" } }),
  );
  client.send(queue.declare(2, "named", { durable: true, args: { "x-queue-type": "classic" } }));
  assert.match((await client.refused()).text, /inequivalent arg 'x-queue-type'/);
  await client.call("queue.declare-ok", queue.declare(3, "transient"));
  const types = management.exportDefinitions("quorum").queues.map(({ name, type }) => [name, type]);
  assert.deepEqual(types, [["named", "quorum"], ["transient", "classic"]]);
});

test("whoever guesses passwords waits, and is told no more than others", async () => {
  await makeUser("guessed");
  for (let i = 0; i < 5; i++) await refusedLogin("guessed", `wrong ${i}`);
  const before = performance.now();
  await refusedLogin("guessed", "wrong again");
  assert.ok(performance.now() - before >= 90, "the answer came at once");
  // The right password is still right, after its wait; and then nothing waits any more.
  await (await broker.open({ user: "guessed" })).close();
  await (await broker.open({ user: "guessed" })).close();
});
