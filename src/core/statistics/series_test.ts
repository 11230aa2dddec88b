import assert from "node:assert/strict";
import { test } from "node:test";
import { ChannelCounters, QueueCounters } from "./counters.ts";
import { Sampler } from "./sampler.ts";
import { Series } from "./series.ts";

function values(...numbers: number[]): Float64Array {
  return Float64Array.from(numbers);
}

test("a series goes back over its changes", () => {
  const series = new Series(values(0, 5), 10);
  assert.equal(series.record(1, values(3, 5)), true);
  assert.equal(series.record(2, values(3, 5)), false);
  assert.equal(series.record(3, values(10, 2)), true);
  assert.deepEqual(series.values(0, [3, 2, 1, 0]), [10, 3, 3, 0]);
  assert.deepEqual(series.values(1, [3, 2, 1, 0]), [2, 5, 5, 5]);
  assert.equal(series.change(3, 0), 7);
  assert.equal(series.change(2, 0), 0);
  assert.equal(series.newestTick, 3);
});

test("a ring grows to its capacity and then forgets the oldest", () => {
  const series = new Series(values(0), 10);
  for (let tick = 1; tick <= 25; tick++) series.record(tick, values(tick * tick));
  assert.deepEqual(series.values(0, [25, 24, 16]), [625, 576, 256]);
  assert.equal(series.bytes, 8 + 10 * 2 * 4);
});

test("what is idle has no series, and one that is idle for long keeps only its values", async () => {
  let nowMs = 0;
  const idle = new QueueCounters({ readyCount: 7, unackedCount: 0 });
  const used = new ChannelCounters();
  const sampler = new Sampler({ intervalMs: 1000, samples: 20, sources: () => [idle, used], now: () => nowMs });
  const tick = async () => {
    nowMs += 1000;
    await sampler.sample();
  };
  used.publish = 100;
  await tick();
  assert.equal(idle.series, null);
  assert.deepEqual(sampler.rate(used, "publish"), { rate: 100 });
  assert.deepEqual(sampler.rate(idle, "publish"), { rate: 0 });
  const grown = used.series!.bytes;
  for (let i = 0; i < 30; i++) {
    used.publish += 10;
    await tick();
  }
  assert.ok(used.series!.bytes > grown);
  assert.deepEqual(sampler.rate(used, "publish"), { rate: 10 });
  for (let i = 0; i < 30; i++) await tick();
  assert.deepEqual(sampler.rate(used, "publish"), { rate: 0 });
  assert.equal(used.series!.bytes, grown);
});

test("samples come newest first, with their average", async () => {
  let nowMs = 50_000;
  const used = new ChannelCounters();
  const sampler = new Sampler({ intervalMs: 1000, samples: 20, sources: () => [used], now: () => nowMs });
  for (let i = 1; i <= 4; i++) {
    used.ack += i;
    nowMs += 1000;
    await sampler.sample();
  }
  assert.deepEqual(sampler.rate(used, "ack", { ageMs: 3000, incrementMs: 1000 }), {
    rate: 4,
    samples: [
      { sample: 10, timestamp: 54_000 },
      { sample: 6, timestamp: 53_000 },
      { sample: 3, timestamp: 52_000 },
      { sample: 1, timestamp: 51_000 },
    ],
    avg: 5,
    avg_rate: 3,
  });
  assert.deepEqual(sampler.rate(used, "ack", { ageMs: 4000, incrementMs: 2000 }).samples!.map(({ sample }) => sample), [
    10,
    3,
    0,
  ]);
});
