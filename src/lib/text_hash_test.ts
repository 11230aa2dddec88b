import { test } from "node:test";
import assert from "node:assert/strict";
import { mixBits, textHash } from "./text_hash.ts";

test("hashes are those of every earlier version", () => {
  assert.deepEqual(["", "a", "ü", "order.42"].map((text) => textHash(text)), [
    2872998923,
    444641715,
    134528209,
    505343933,
  ]);
  assert.deepEqual(["", "a"].map((text) => textHash(text, 1)), [3987542849, 3196263168]);
  assert.deepEqual([0, 1, -1].map(mixBits), [0, 1364076727, 2180083513]);
});

test("texts that are alike are spread evenly", () => {
  const buckets = new Uint32Array(64);
  const count = 64_000;
  for (let i = 0; i < count; i++) buckets[Math.floor(textHash(`key.${i}`) / 2 ** 26)]!++;
  for (const found of buckets) assert.ok(Math.abs(found - count / 64) < 200, `${found}`);
});
