import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_ARGUMENTS } from "../arguments.ts";
import { testRealm } from "../realm_testing.ts";
import { Refusal } from "../refusal.ts";

const ALL = { configure: ".*", write: ".*", read: ".*" };

async function rejects(text: RegExp, act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => error instanceof Refusal && text.test(error.message));
}

test("everything that was made is there after a restart, and nothing that was deleted", async () => {
  const { management, realm, log } = testRealm();
  realm.createDefaults("guest", "guest");
  await management.putVhost("blue", { description: "d", tags: ["a"], defaultQueueType: "quorum" }, "guest");
  await management.setVhostLimit("blue", "max-queues", 5);
  await management.putVhost("gone", {}, "guest");
  await management.putUser("ann", { password: "secret", tags: ["management"], limits: { "max-channels": 3 } });
  await management.putUser("bob", {});
  await management.putPermission({ user: "ann", vhost: "blue", configure: "^a", write: "", read: ".*" });
  await management.putPermission({ user: "bob", vhost: "blue", ...ALL });
  await management.putTopicPermission({
    user: "ann",
    vhost: "blue",
    exchange: "amq.topic",
    write: "{username}",
    read: "",
  });
  await management.putPolicy("policy", "blue", "p", { pattern: ".*", definition: { "max-length": 3 } });
  await management.putPolicy("operator-policy", "blue", "op", { pattern: ".*", definition: { "max-length": 2 } });
  await management.putPolicy("policy", "gone", "p", { pattern: ".*", definition: { "max-length": 3 } });
  await management.putParameter("blue", "shovel", "s", { "src-uri": "amqp://" });
  await management.putGlobalParameter("g", { deep: [1, null, { x: true }] });
  await management.putGlobalParameter("g2", 1);
  realm.vhost("blue").declareQueue("q", { durable: true, autoDelete: false, exclusive: false, args: NO_ARGUMENTS }, {});
  realm.vhost("gone").declareQueue("q", { durable: true, autoDelete: false, exclusive: false, args: NO_ARGUMENTS }, {});
  await management.deleteVhost("gone");
  await management.deleteUser("bob");
  await management.deleteGlobalParameter("g2");

  const again = testRealm(log);
  assert.deepEqual(again.management.exportDefinitions(), management.exportDefinitions());
  assert.deepEqual(again.management.listPermissions().map(({ user, vhost }) => [user, vhost]), [
    ["guest", "/"],
    ["guest", "blue"],
    ["ann", "blue"],
  ]);
  assert.equal(again.realm.vhost("blue").queues.get("q")!.policy!.definition["max-length"], 2);
  assert.deepEqual(again.log, [], "what is played back is not written again");
  // Compaction writes what is live.
  const compacted = testRealm(JSON.parse(JSON.stringify([...again.realm.entries()])));
  assert.deepEqual(compacted.management.exportDefinitions(), management.exportDefinitions());
});

test("a log from before there were users and virtual hosts is that of /", () => {
  const args = { table: [] };
  const { realm } = testRealm([{ op: "queue", vhost: "/", name: "old", id: 3, autoDelete: false, args }]);
  assert.deepEqual([...realm.vhosts.keys()], ["/"]);
  assert.equal(realm.vhost("/").queues.get("old")!.id, 3);
});

test("a virtual host that is made again after it was deleted is empty, and so is its successor in the log", async () => {
  const { management, realm, log } = testRealm();
  await management.putVhost("x");
  realm.vhost("x").declareQueue("q", { durable: true, autoDelete: false, exclusive: false, args: NO_ARGUMENTS }, {});
  await management.deleteVhost("x");
  await management.putVhost("x");
  assert.equal(realm.vhost("x").queues.size, 0);
  assert.equal(testRealm(log).realm.vhost("x").queues.size, 0);
});

test("what names somebody or something that is not there is refused by name", async () => {
  const { management } = testRealm();
  await management.putVhost("v");
  await management.putUser("u", {});
  await rejects(/user 'x' does not exist/, () => management.deleteUser("x"));
  await rejects(/vhost 'x' does not exist/, () => management.deleteVhost("x"));
  await rejects(/user 'x' does not exist/, () => management.putPermission({ user: "x", vhost: "v", ...ALL }));
  await rejects(/vhost 'x' does not exist/, () => management.putPermission({ user: "u", vhost: "x", ...ALL }));
  await rejects(/configure permission should be a regular expression but is invalid: missing \)/, () => {
    return management.putPermission({ user: "u", vhost: "v", ...ALL, configure: "(" });
  });
  await rejects(
    /vhost 'x' does not exist/,
    () => management.putPolicy("policy", "x", "p", { pattern: "", definition: {} }),
  );
  await rejects(
    /Unrecognised terms \[\{<<"max-foo">>,1\}\] in limits/,
    () => management.setVhostLimit("v", "max-foo", 1),
  );
  await rejects(
    /max-queues should be a number, actually was <<"x">>/,
    () => management.setVhostLimit("v", "max-queues", "x"),
  );
  await rejects(/in user-limits/, () => management.setUserLimit("u", "max-queues", 1));
  await rejects(/blank password/, () => management.putUser("u", { password: "" }));
  await rejects(/s should be a dictionary/, () => management.putParameter("v", "shovel", "s", 1));
  assert.equal(await management.deletePermission("u", "v"), false);
  assert.equal(await management.deletePolicy("policy", "v", "x"), false);
});

test("limits and operator policies are parameters, too, as with RabbitMQ", async () => {
  const { management, reports } = testRealm();
  await management.putVhost("v");
  assert.equal(await management.putParameter("v", "vhost-limits", "limits", { "max-queues": 4 }), true);
  const value = { pattern: "^a", definition: { "max-length": 1 }, priority: 2, "apply-to": "queues" };
  assert.equal(await management.putParameter("v", "operator_policy", "op", value), true);
  assert.deepEqual(management.listVhostLimits(), [{ vhost: "v", value: { "max-queues": 4 } }]);
  assert.deepEqual(management.listParameters("v"), [
    { vhost: "v", component: "vhost-limits", name: "limits", value: { "max-queues": 4 } },
    { vhost: "v", component: "operator_policy", name: "op", value },
  ]);
  assert.equal(await management.deleteParameter("v", "vhost-limits", "limits"), true);
  assert.equal(await management.deleteParameter("v", "operator_policy", "op"), true);
  assert.deepEqual(management.listParameters(), []);
  assert.deepEqual(reports, []);
  await management.putPolicy("policy", "v", "mirrored", {
    pattern: ".*",
    definition: { "ha-mode": "all", expires: 9 },
  });
  assert.match(reports[0]!, /policy 'mirrored' in vhost 'v' sets what changes nothing here: ha-mode/);
});
