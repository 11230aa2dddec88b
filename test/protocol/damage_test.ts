// What a damaged file costs: the message that lay there, and nothing else.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DiskBroker } from "../support/disk_broker.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { basic, queue } from "../support/raw_methods.ts";

const COUNT = 20;

/** The queue's segment, by what lies in it. */
function segmentWith(dataDir: string, text: string): string {
  const queues = join(dataDir, "queues");
  for (const id of readdirSync(queues)) {
    for (const name of readdirSync(join(queues, id)).filter((name) => name.startsWith("msgs."))) {
      const path = join(queues, id, name);
      if (readFileSync(path).includes(text)) return path;
    }
  }
  throw new Error(`no segment with '${text}'`);
}

async function take(client: RawAmqp, name: string, count: number): Promise<string[]> {
  await client.call("basic.consume-ok", basic.consume(1, name, { tag: name }));
  return (await client.messages(count)).map(({ body }) => body.toString());
}

test("a damaged record costs its message: those behind it and other queues are whole (behaviours 54)", async () => {
  const disk = new DiskBroker();
  try {
    let client = await disk.open();
    for (const name of ["hurt", "whole"]) {
      await client.call("queue.declare-ok", queue.declare(1, name, { durable: true }));
      for (let i = 0; i < COUNT; i++) {
        client.send(basic.publish(1, name, `${name} ${String(i).padStart(2, "0")}`, PERSISTENT));
      }
    }
    await client.expectSilence(1);
    await disk.restart();
    const path = segmentWith(disk.dataDir, "hurt 07");
    await disk.stopBroker();
    const bytes = readFileSync(path);
    bytes[bytes.indexOf("hurt 07") + 5]! ^= 0x10;
    // Behind the last record, where the next one would stand.
    bytes.write("garbage", bytes.indexOf("hurt 19") + 100);
    writeFileSync(path, bytes);
    client = await disk.open();
    const expected = (name: string) => Array.from({ length: COUNT }, (_, i) => `${name} ${String(i).padStart(2, "0")}`);
    assert.deepEqual(await take(client, "hurt", COUNT - 1), expected("hurt").filter((body) => body !== "hurt 07"));
    assert.deepEqual(await take(client, "whole", COUNT), expected("whole"));
    client.send(basic.publish(1, "hurt", "and on it goes", PERSISTENT));
    const [message] = await client.messages(1);
    assert.equal(message!.body.toString(), "and on it goes");
  } finally {
    await disk.stop();
  }
});

/** Declares durable queues with `COUNT` messages each; each lies on disk. */
async function fill(client: RawAmqp, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await client.call("queue.declare-ok", queue.declare(1, name, { durable: true }));
    for (let i = 0; i < COUNT; i++) client.send(basic.publish(1, name, `${name} ${i}`, PERSISTENT));
  }
  await client.expectSilence(1);
}

test("with its definitions gone a broker starts, keeps every message aside, and has them back with the definitions", async () => {
  const disk = new DiskBroker();
  try {
    await fill(await disk.open(), ["one", "two"]);
    await disk.stopBroker();
    const path = join(disk.dataDir, "definitions.log");
    const definitions = readFileSync(path);
    rmSync(path);
    // More than one start: what was put aside stays so.
    await fill(await disk.open(), ["new"]);
    await disk.restart();
    await disk.stopBroker();
    assert.equal(readdirSync(join(disk.dataDir, "orphans")).length, 2);
    writeFileSync(path, definitions);
    const client = await disk.open();
    for (const name of ["one", "two"]) {
      const bodies = await take(client, name, COUNT);
      assert.deepEqual(bodies, Array.from({ length: COUNT }, (_, i) => `${name} ${i}`));
    }
  } finally {
    await disk.stop();
  }
});

test("a declaration that is damaged costs its queue's name and no message, at any later start", async () => {
  const disk = new DiskBroker();
  try {
    await fill(await disk.open(), ["first", "hurt", "last"]);
    await disk.stopBroker();
    const path = join(disk.dataDir, "definitions.log");
    const definitions = readFileSync(path);
    // Only its declaration: it was bound by nothing but the default exchange.
    definitions[definitions.indexOf('"hurt"') + 2]! ^= 1;
    writeFileSync(path, definitions);
    for (let start = 0; start < 3; start++) {
      const client = await disk.open();
      for (const name of ["first", "last"]) {
        const ok = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
        assert.deepEqual([ok.shortString(), ok.long()], [name, COUNT]);
      }
      await disk.stopBroker();
    }
    const [orphan] = readdirSync(join(disk.dataDir, "orphans"));
    const kept = readFileSync(join(disk.dataDir, "orphans", orphan!, "msgs.0000000001"));
    for (let i = 0; i < COUNT; i++) assert.ok(kept.includes(`hurt ${i}`));
  } finally {
    await disk.stop();
  }
});
