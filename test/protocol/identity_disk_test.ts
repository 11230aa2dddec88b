// What an administrator was told is done is done: after a kill everything is there, and nothing that was deleted.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ManagedBroker } from "../support/managed_broker.ts";
import { basic, confirm, queue } from "../support/raw_methods.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";

function directory(): string {
  return mkdtempSync(join(tmpdir(), "leveret-identity-"));
}

test("users, virtual hosts, permissions, policies and parameters are on disk when their promise resolves", async () => {
  const [dataDir, copy] = [directory(), directory()];
  const broker = new ManagedBroker({ dataDir });
  const brokers = [broker];
  try {
    const management = await broker.management();
    await management.putVhost("gone", {}, "guest");
    const gone = await broker.open({ vhost: "gone" });
    await gone.call("queue.declare-ok", queue.declare(1, "q", { durable: true }));
    await management.putUser("ann", { password: "secret", tags: ["management"] });
    await management.putUser("bob", { password: "secret" });
    await management.putVhost("tenant", { description: "d" }, "ann");
    await management.setVhostLimit("tenant", "max-queues", 3);
    await management.putTopicPermission({ user: "ann", vhost: "tenant", exchange: "amq.topic", write: "a", read: "b" });
    await management.putPolicy("policy", "tenant", "p", { pattern: ".*", definition: { "max-length": 1 } });
    await management.putParameter("tenant", "own", "p", { x: [1] });
    await management.putGlobalParameter("g", "v");
    const client = await broker.open({ user: "ann", password: "secret", vhost: "tenant" });
    await client.call("queue.declare-ok", queue.declare(1, "q", { durable: true }));
    await client.call("confirm.select-ok", confirm.select(1));
    client.send(basic.publish(1, "q", "kept", PERSISTENT));
    await client.reply("basic.ack");
    await management.deleteUser("bob");
    await management.deleteVhost("gone");
    const before = management.exportDefinitions();

    // The files as a kill would leave them: what the broker has not written is lost.
    cpSync(dataDir, copy, { recursive: true });
    const again = new ManagedBroker({ dataDir: copy });
    brokers.push(again);
    assert.deepEqual((await again.management()).exportDefinitions(), before);
    const reader = await again.open({ user: "ann", password: "secret", vhost: "tenant" });
    reader.send(basic.get(1, "q", true));
    assert.equal((await reader.message()).body.toString(), "kept");
  } finally {
    for (const one of brokers) await one.stop();
    for (const path of [dataDir, copy]) rmSync(path, { recursive: true, force: true });
  }
});

test("the default user is made in an empty directory, and never again", async () => {
  const dataDir = directory();
  try {
    for (const start of [1, 2, 3]) {
      const broker = new ManagedBroker({ dataDir });
      try {
        const management = await broker.management();
        const users = management.listUsers().map(({ name }) => name);
        assert.deepEqual(users, start === 1 ? ["guest"] : []);
        if (start === 1) await management.deleteUser("guest");
      } finally {
        await broker.stop();
      }
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test("the files of a deleted virtual host's queues go, those of others stay", async () => {
  const dataDir = directory();
  const broker = new ManagedBroker({ dataDir });
  try {
    const management = await broker.management();
    await management.putVhost("gone", {}, "guest");
    for (const vhost of ["/", "gone"]) {
      const client = await broker.open({ vhost });
      await client.call("queue.declare-ok", queue.declare(1, "q", { durable: true }));
      await client.call("confirm.select-ok", confirm.select(1));
      client.send(basic.publish(1, "q", "x", PERSISTENT));
      await client.reply("basic.ack");
    }
    const { queues } = management.realm.vhost("/");
    const kept = queues.get("q")!.id;
    await management.deleteVhost("gone");
    // A second change is behind what the first one removes when it is on disk.
    await management.putGlobalParameter("x", 1);
    assert.deepEqual(readdirSync(join(dataDir, "queues")).map(Number), [kept]);
  } finally {
    await broker.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
