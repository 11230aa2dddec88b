import fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { InFlight } from "./stream_in_flight.ts";

test("what was settled without a gap is told, in whatever order it is settled", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5000), { maxLength: 400 }), fc.integer({ min: 1, max: 3000 }), (picks, count) => {
      const inFlight = new InFlight();
      const open: number[] = [];
      let settledTo = -1;
      for (let i = 0; i < count; i++) {
        inFlight.add(i * 2, 1000 + i);
        open.push(i * 2);
      }
      for (const pick of [...picks, ...new Array(count).fill(0)]) {
        if (open.length === 0) break;
        const [offset] = open.splice(pick % open.length, 1) as [number];
        assert.equal(inFlight.positionOf(offset), 1000 + offset / 2);
        const told = inFlight.settle(offset);
        const expected = open.length === 0 ? (count - 1) * 2 : open[0]! - 2;
        assert.equal(told, expected > settledTo ? expected : -1);
        settledTo = Math.max(settledTo, expected);
        assert.equal(inFlight.count, open.length);
      }
    }),
    { numRuns: 50 },
  );
});
