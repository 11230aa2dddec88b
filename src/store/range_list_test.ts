import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { RangeList } from "./range_list.ts";

function covered(list: RangeList): Set<number> {
  const all = new Set<number>();
  for (let i = 0; i < list.count; i++) {
    for (let unit = list.from[i]!; unit < list.to[i]!; unit++) all.add(unit);
  }
  return all;
}

test("a range that continues the last one is joined with it", () => {
  const list = new RangeList();
  for (let i = 0; i < 1000; i++) list.add(8 + i * 5, 13 + i * 5);
  assert.deepEqual([list.count, list.from[0], list.to[0]], [1, 8, 5008]);
});

test("normalised ranges cover the same, in order and apart", () => {
  const range = fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 20 }));
  fc.assert(fc.property(fc.array(range, { maxLength: 100 }), (ranges) => {
    const list = new RangeList();
    const expected = new Set<number>();
    for (const [from, count] of ranges) {
      list.add(from, from + count);
      for (let unit = from; unit < from + count; unit++) expected.add(unit);
    }
    list.normalise();
    assert.deepEqual(covered(list), expected);
    for (let i = 1; i < list.count; i++) assert.ok(list.to[i - 1]! < list.from[i]!);
  }));
});

test("the largest offsets sort exactly", () => {
  const list = new RangeList();
  const top = 2 ** 27;
  for (let i = 1; i <= 5000; i++) list.add(top - i * 3, top - i * 3 + 1);
  list.normalise();
  assert.equal(list.count, 5000);
  assert.deepEqual([list.from[0], list.to[4999]], [top - 15000, top - 2]);
});
