import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Queue } from "../core/queue.ts";
import { type Delivery, Unacked } from "./unacked.ts";

const queue = { name: "q" } as unknown as Queue;

function push(unacked: Unacked, tag: number): void {
  unacked.push(tag, queue, null, tag * 10, tag + 1, tag + 2);
}

test("a delivery comes out as it went in, once", () => {
  const unacked = new Unacked();
  push(unacked, 7);
  const seen: Delivery[] = [];
  assert.ok(unacked.has(7));
  assert.ok(unacked.take(7, (delivery) => seen.push({ ...delivery })));
  assert.deepEqual(seen, [{ tag: 7, queue, consumer: null, position: 70, recordBytes: 8, bodyBytes: 9 }]);
  assert.ok(!unacked.has(7));
  assert.ok(!unacked.take(7, () => assert.fail("settled twice")));
  assert.equal(unacked.count, 0);
});

test("any order of pushing, taking one and taking many behaves like a plain list", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("push"), value: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ kind: fc.constant("take"), value: fc.nat(300) }),
    fc.record({ kind: fc.constant("upTo"), value: fc.nat(300) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const unacked = new Unacked();
      let model: number[] = [];
      let tag = 0;
      for (const { kind, value } of steps) {
        const taken: number[] = [];
        const settle = (delivery: Delivery): void => void taken.push(delivery.tag);
        if (kind === "push") {
          for (let i = 0; i < value; i++) {
            push(unacked, ++tag);
            model.push(tag);
          }
        } else if (kind === "take") {
          assert.equal(unacked.take(value, settle), model.includes(value));
          assert.deepEqual(taken, model.includes(value) ? [value] : []);
          model = model.filter((other) => other !== value);
        } else {
          unacked.takeUpTo(value, settle);
          assert.deepEqual(taken, model.filter((other) => other <= value));
          model = model.filter((other) => other > value);
        }
        assert.equal(unacked.count, model.length);
      }
      const rest: number[] = [];
      unacked.takeUpTo(Infinity, (delivery) => rest.push(delivery.tag));
      assert.deepEqual(rest, model);
    }),
    { numRuns: 500 },
  );
});

test("one delivery that is never settled does not make the ring grow without bound", () => {
  const unacked = new Unacked();
  push(unacked, 1);
  for (let tag = 2; tag < 200_000; tag++) {
    push(unacked, tag);
    assert.ok(unacked.take(tag, () => {}));
  }
  assert.equal(unacked.count, 1);
  assert.ok(unacked.has(1));
});
