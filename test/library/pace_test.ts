// Publishers are made to wait for quick consumers: that it ends, whatever the consumers do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Broker } from "../../src/mod.ts";
import { optionsOf } from "../../src/perf/options.ts";
import type { PerfResult } from "../../src/perf/report.ts";
import { PerfRun } from "../../src/perf/run.ts";
import { currentRuntime } from "../../src/runtime/current.ts";
import { basic, queue } from "../support/raw_methods.ts";
import { RawAmqp } from "../support/raw_amqp.ts";

const COUNT = 50_000;
const broker = new Broker({ memory: true, amqp: { port: 0 }, mqtt: { port: -1 } });
let port = 0;

before(async () => {
  await broker.start();
  port = broker.listeners[0]!.port;
});
after(() => broker.stop());

async function perf(
  flags: { publishers: number; consumers: number; prefetch?: number; confirm?: number; queue: string },
) {
  const options = optionsOf({
    uri: `amqp://guest:guest@127.0.0.1:${port}`,
    size: 16,
    prefetch: 0,
    confirm: 0,
    queues: 1,
    exchange: "",
    exchangeType: "direct",
    declare: true,
    count: COUNT,
    ...flags,
  });
  return await new PerfRun(await currentRuntime(), options, () => {}).measure();
}

function all(result: PerfResult): number[] {
  return [result.published, result.consumed];
}

test("several publishers and one consumer that acknowledges each message: all of it arrives", async () => {
  const result = await perf({ publishers: 3, consumers: 1, prefetch: 100, queue: "quick" });
  assert.deepEqual(all(result), [3 * COUNT, 3 * COUNT]);
});

test("a consumer that acknowledges nothing holds no publisher up", async () => {
  const client = await RawAmqp.connect(port);
  await client.shakeHands({ channels: 1 });
  await client.call("queue.declare-ok", queue.declare(1, "stuck", { durable: true }));
  await client.call("basic.qos-ok", basic.qos(1, 10));
  await client.call("basic.consume-ok", basic.consume(1, "stuck"));
  const result = await perf({ publishers: 2, consumers: 0, confirm: 1000, queue: "stuck" });
  assert.deepEqual(all(result), [2 * COUNT, 0]);
  await client.close();
});

test("publishers who wait go on when the consumer leaves", async () => {
  const client = await RawAmqp.connect(port);
  await client.shakeHands({ channels: 1 });
  await client.call("queue.declare-ok", queue.declare(1, "left", { durable: true }));
  await client.call("basic.consume-ok", basic.consume(1, "left", { noAck: true }));
  const run = perf({ publishers: 2, consumers: 0, confirm: 1000, queue: "left" });
  for (let count = 0; count < 5000; count++) await client.message();
  client.reset();
  assert.deepEqual(all(await run), [2 * COUNT, 0]);
});
