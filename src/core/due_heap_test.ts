import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { DueHeap } from "./due_heap.ts";

test("what is due first comes out first, and of those due together what came first", () => {
  const heap = new DueHeap();
  for (const [dueMs, position] of [[30, 1], [10, 4], [20, 3], [10, 2]] as const) heap.push(dueMs, position);
  const order: number[][] = [];
  for (; heap.count > 0; heap.pop()) order.push([heap.firstDueMs, heap.firstPosition]);
  assert.deepEqual(order, [[10, 2], [10, 4], [20, 3], [30, 1]]);
});

test("a heap behaves as a sorted list does", () => {
  const command = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("push"), value: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("pop"), value: fc.constant(0) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove"), value: fc.nat() }) },
  );
  fc.assert(fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
    const heap = new DueHeap();
    let list: [number, number][] = [];
    let position = 0;
    for (const { kind, value } of commands) {
      if (kind === "push") {
        heap.push(value, ++position);
        list.push([value, position]);
        list.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      } else if (kind === "pop" && list.length > 0) {
        heap.pop();
        list.shift();
      } else if (kind === "remove" && list.length > 0) {
        const gone = list[value % list.length]![1];
        assert.equal(heap.remove(gone), true);
        assert.equal(heap.remove(gone), false);
        list = list.filter(([, other]) => other !== gone);
      }
      assert.equal(heap.count, list.length);
      if (list.length > 0) assert.deepEqual([heap.firstDueMs, heap.firstPosition], list[0]);
    }
  }));
});
