import assert from "node:assert/strict";
import { test } from "node:test";
import { LatencyHistogram } from "./latency_histogram.ts";

test("percentiles are within 1.6 percent of the sorted values", () => {
  const histogram = new LatencyHistogram();
  const values: number[] = [];
  let seed = 12345;
  for (let i = 0; i < 20_000; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    const value = Math.floor(2 ** (seed / 2 ** 32 * 31.9));
    values.push(value);
    histogram.record(value);
  }
  values.sort((a, b) => a - b);
  for (const share of [0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999]) {
    const exact = values[Math.ceil(share * values.length) - 1]!;
    assert.ok(Math.abs(histogram.percentile(share) - exact) <= exact * 0.016, `${share}: ${exact}`);
  }
  assert.deepEqual([histogram.min, histogram.max], [values[0], values.at(-1)]);
});

test("small values are exact, and a single value is every percentile", () => {
  const histogram = new LatencyHistogram();
  histogram.record(1_234_567);
  assert.deepEqual([0, 0.5, 1].map((share) => histogram.percentile(share)), [1_234_567, 1_234_567, 1_234_567]);
  const small = new LatencyHistogram();
  for (let value = 0; value < 64; value++) small.record(value);
  assert.equal(small.percentile(0.5), 31);
});

test("both ends of the range have a bucket", () => {
  const histogram = new LatencyHistogram();
  histogram.record(0);
  histogram.record(0xFFFF_FFFF);
  assert.deepEqual([histogram.percentile(0.5), histogram.percentile(1)], [0, 2 ** 32 - 2 ** 24]);
});

test("added histograms count as one", () => {
  const a = new LatencyHistogram();
  const b = new LatencyHistogram();
  a.record(10);
  b.record(20);
  b.record(30);
  a.add(b);
  assert.deepEqual([a.count, a.min, a.percentile(0.5), a.max], [3, 10, 20, 30]);
});
