import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Broker } from "./broker.ts";

test("what a start finds damaged is on the broker's list: what, where, when and how much", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "leveret-"));
  const start = async () => {
    const broker = new Broker({ dataDir, logLevel: "none", amqp: { port: -1 } });
    assert.equal(broker.damage, null);
    await broker.start();
    return broker;
  };
  try {
    const sound = await start();
    assert.deepEqual([sound.damage!.count, sound.damage!.entries], [0, []]);
    await sound.stop();
    const path = join(dataDir, "definitions.log");
    const whole = readFileSync(path);
    writeFileSync(path, Buffer.concat([whole, Buffer.from("half an entry")]));
    const before = Date.now();
    const broker = await start();
    const [{ foundMs, ...damage }] = broker.damage!.entries as [NonNullable<typeof broker.damage>["entries"][0]];
    assert.deepEqual(damage, { kind: "torn-tail", path, offset: whole.length, bytes: 13, detail: "cut" });
    assert.ok(foundMs >= before && foundMs <= Date.now());
    assert.deepEqual([broker.damage!.count, broker.damage!.bytes], [1, 13]);
    assert.equal(broker.alarms!.active, false, "it stops no publisher");
    await broker.stop();
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
