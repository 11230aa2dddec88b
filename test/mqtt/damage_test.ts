// Damage to what MQTT keeps beside the queues, retained messages and the identifiers of QoS 2: `leveret doctor` finds a
// flipped bit wherever it is and every cut, and a broker starts with the rest.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkDataDir, type DataDirReport } from "../../src/doctor/check_data_dir.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { MqttBroker } from "../support/mqtt_broker.ts";

const SEGMENT = "msgs.0000000001";
const SEGMENT_BYTES = 8 * 1024 * 1024;
const SEGMENT_HEADER_BYTES = 64;
const STORES = ["mqtt-retained", "mqtt-received"] as const;

const broker = new MqttBroker({ onDisk: true });
const scratch = mkdtempSync(join(tmpdir(), "leveret-damage-"));
after(() => broker.stop());
after(() => rmSync(scratch, { recursive: true, force: true }));
const runtime = await currentRuntime();

function check(directory: string, repairs = false): DataDirReport {
  return checkDataDir(runtime, { directory, segmentBytes: SEGMENT_BYTES, repairs });
}

function storeOf(report: DataDirReport, name: string) {
  const store = report.queues.find((queue) => queue.type === "store" && queue.name === name);
  assert.ok(store !== undefined, `there is a store ${name}`);
  return store;
}

/** Of a broker that was stopped: five retained messages, one of them replaced, and three identifiers, one released. */
const filled = (async (): Promise<string> => {
  const client = await broker.open({ clientId: "damaged", clean: false });
  for (let index = 0; index < 5; index++) await client.store(`kept/${index}`, `retained ${index}`, { retain: true });
  await client.store("kept/4", "retained anew", { retain: true });
  for (const id of [11, 12, 13]) client.publish("x", "y", { qos: 2, id });
  for (const id of [11, 12, 13]) assert.equal((await client.next("pubrec")).messageId, id);
  client.ack("pubrel", 12);
  await client.next("pubcomp");
  await broker.restart();
  return broker.dataDir;
})();

test("the doctor counts what is in both stores", async () => {
  const report = check(await filled);
  assert.deepEqual([report.isSound, report.findings], [true, []]);
  const seen = STORES.map((name) => {
    const { vhost, records, ready, settled } = storeOf(report, name);
    return [vhost, records, ready, settled];
  });
  assert.deepEqual(seen, [["/", 6, 5, 1], ["/", 3, 2, 1]]);
});

for (const name of STORES) {
  test(`${name}: a flipped bit in any octet of a record, and a cut through one, is found`, async () => {
    const directory = join(scratch, name);
    cpSync(await filled, directory, { recursive: true });
    const sound = storeOf(check(directory), name);
    const path = join(directory, "queues", String(sound.id).padStart(10, "0"), SEGMENT);
    const octets = readFileSync(path);
    let end = octets.length;
    while (octets[end - 1] === 0) end--;
    assert.ok(end > SEGMENT_HEADER_BYTES + 100 && end < 2000, `records end at ${end}`);
    for (let at = SEGMENT_HEADER_BYTES; at < end; at++) {
      const flipped = Uint8Array.from(octets);
      flipped[at]! ^= 1 << at % 8;
      writeFileSync(path, flipped);
      const report = check(directory);
      assert.ok(!report.isSound && storeOf(report, name).damaged > 0, `a bit at ${at} of ${end}`);
      assert.ok(storeOf(report, name).records >= sound.records - 1, "it costs one record");
    }
    for (let at = end - 1; at > SEGMENT_HEADER_BYTES; at -= 3) {
      writeFileSync(path, octets);
      truncateSync(path, at);
      const report = check(directory);
      assert.ok(report.findings.length > 0, `a cut at ${at} of ${end} is told of`);
      assert.ok(storeOf(report, name).records < sound.records);
    }
  });
}

test("a retained message that is damaged is gone, the others are there; the doctor puts it right", async () => {
  const directory = await filled;
  const { id } = storeOf(check(directory), "mqtt-retained");
  const path = join(directory, "queues", String(id).padStart(10, "0"), SEGMENT);
  const octets = readFileSync(path);
  octets[octets.indexOf("retained 2")]! ^= 1;
  writeFileSync(path, octets);
  assert.equal(check(directory, true).isSound, false);
  const after = check(directory);
  assert.deepEqual([after.isSound, after.kept.length], [true, 1]);
  const client = await broker.open();
  await client.subscribe("kept/#", 1);
  assert.deepEqual((await client.payloads(4)).sort(), ["retained 0", "retained 1", "retained 3", "retained anew"]);
  await client.expectSilence();
});
