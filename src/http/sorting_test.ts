import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { orderByKeys, orderByNames } from "./sort_keys.ts";
import { rangeInOrder } from "./sorting.ts";

const key = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.boolean(),
  fc.constantFrom("", "a", "b", "10"),
  fc.constant(null),
);
const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom("a", "b", "\0", "\xff", "\u0100", "\uffff") }))
  .chain((end) => fc.constantFrom("", "long prefix ").map((begin) => begin + end));
const prefixed = fc.array(text, { maxLength: 200 }).map((texts) => texts.map((one) => `many-${one}`));
const number = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(undefined), fc.constant({ rate: 1 }));

/** What comes first, told in the simplest way. */
function compare(a: unknown, b: unknown): number {
  const rank = (value: unknown) => ["number", "boolean"].includes(typeof value) ? 1 : typeof value === "string" ? 2 : 0;
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (rank(a) === 0) return 0;
  const [x, y] = rank(a) === 1 ? [Number(a), Number(b)] : [a as string, b as string];
  return x < y ? -1 : x > y ? 1 : 0;
}

test("any range of any list is what a plain sort gives, equal ones in their order", async () => {
  const range = fc.tuple(fc.nat(220), fc.nat(220)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
  const keys = fc.oneof(
    fc.array(key, { maxLength: 200 }),
    fc.array(number, { maxLength: 200 }),
    fc.array(text, { maxLength: 200 }),
    prefixed,
  );
  await fc.assert(fc.asyncProperty(keys, range, fc.constantFrom(1, -1), async (keys, [from, to], sign) => {
    const expected = keys.map((_, place) => place).sort((a, b) => sign * compare(keys[a], keys[b]) || a - b);
    const found = await rangeInOrder(keys.length, from, to, await orderByKeys(keys, sign as 1 | -1));
    assert.deepEqual([...found], expected.slice(from, to));
  }));
});

test("names stand together by groups", async () => {
  const groups = ["b", "a", "b", "a"];
  const names = ["x", "y", "w", "y"];
  const sorted = async (sign: 1 | -1) => [...await rangeInOrder(4, 0, 4, await orderByNames(groups, names, sign))];
  assert.deepEqual(await sorted(1), [1, 3, 2, 0]);
  assert.deepEqual(await sorted(-1), [0, 2, 1, 3]);
  assert.deepEqual([...await rangeInOrder(3, 0, 3, await orderByNames(["", "", ""], ["c", "a", "b"], 1))], [1, 2, 0]);
});

test("long lists are merged from runs, equal ones in their order", async () => {
  const keys = Array.from({ length: 10_000 }, (_, index) => (index * 7919) % 100);
  const expected = keys.map((_, place) => place).sort((a, b) => keys[a]! - keys[b]! || a - b);
  assert.deepEqual([...await rangeInOrder(keys.length, 0, keys.length, await orderByKeys(keys, 1))], expected);
  assert.deepEqual(
    [...await rangeInOrder(keys.length, 5_000, 5_010, await orderByKeys(keys, 1))],
    expected.slice(5_000, 5_010),
  );
});
