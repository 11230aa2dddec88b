import assert from "node:assert/strict";
import { test } from "node:test";
import { DeliveryClock } from "./delivery_clock.ts";

test("a delivery is overdue when it has been out for the timeout, hardly sooner or later", () => {
  const clock = new DeliveryClock(1600);
  assert.equal(clock.overdue(5, 0), 0);
  assert.equal(clock.overdue(5, 1599), 0);
  assert.equal(clock.overdue(5, 1600), 5);
  assert.equal(clock.overdue(9, 1650), 5, "a newer one has its own time");
  assert.equal(clock.overdue(9, 3249), 5);
  assert.equal(clock.overdue(9, 3250), 9);
});

test("however many come, each is overdue in time", () => {
  const clock = new DeliveryClock(1000);
  let tag = 0;
  const sentMs = [0];
  for (let nowMs = 0; nowMs < 10_000; nowMs += 10) {
    sentMs[++tag] = nowMs;
    const overdue = clock.overdue(tag, nowMs);
    if (overdue > 0) assert.ok(nowMs - sentMs[overdue]! >= 1000, "never too early");
    const late = nowMs - 1000 - 1000 / 16 - 10;
    if (late > 0) assert.ok(sentMs[overdue + 1]! > late, `${overdue} of ${tag} at ${nowMs}`);
  }
});
