// What a damaged file costs: the message that lay there, and nothing else.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
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
