import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rangeInOrder, sorted } from "./sorting.ts";

const byNumber = (a: number, b: number): number => a - b;

test("any range of any list is what a plain sort gives", async () => {
  await fc.assert(fc.asyncProperty(
    fc.uniqueArray(fc.integer(), { maxLength: 200 }),
    fc.nat(220),
    fc.nat(220),
    async (items, a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      const expected = [...items].sort(byNumber);
      assert.deepEqual(await rangeInOrder(items, from, to, byNumber), expected.slice(from, to));
      assert.deepEqual(await sorted(items, byNumber), expected);
    },
  ));
});

test("long lists are merged from runs, equal ones in their order", async () => {
  const items = Array.from({ length: 10_000 }, (_, index) => ({ key: (index * 7919) % 100, index }));
  const expected = [...items].sort((a, b) => a.key - b.key);
  assert.deepEqual(await sorted(items, (a, b) => a.key - b.key), expected);
});
