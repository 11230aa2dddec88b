import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Requeued } from "./requeued.ts";

test("positions come out in order, whatever order they went in", () => {
  const step = fc.oneof(fc.nat(1e6), fc.constant(-1));
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    const requeued = new Requeued();
    const model: number[] = [];
    for (const position of steps) {
      if (position >= 0) {
        requeued.push(position);
        model.push(position);
        model.sort((a, b) => a - b);
      } else if (model.length > 0) {
        assert.equal(requeued.first, model[0]);
        assert.equal(requeued.pop(), model.shift());
      }
      assert.equal(requeued.count, model.length);
    }
    while (model.length > 0) assert.equal(requeued.pop(), model.shift());
  }));
});
