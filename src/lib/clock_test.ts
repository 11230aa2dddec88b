import assert from "node:assert/strict";
import { test } from "node:test";
import { arrivalMs, CoarseClock, steadyMs } from "./clock.ts";

const HOUR_MS = 3_600_000;

test("the time is the wall clock's at the start, and does not follow it when it is set", () => {
  const trueNow = Date.now;
  const before = steadyMs();
  assert.ok(Math.abs(before - Date.now()) < HOUR_MS, "the same time as everybody's");
  const clock = new CoarseClock();
  try {
    for (const jumpMs of [-HOUR_MS, HOUR_MS, 10 * 365 * 24 * HOUR_MS]) {
      Date.now = () => trueNow() + jumpMs;
      clock.refresh();
      for (const nowMs of [steadyMs(), clock.nowMs]) {
        assert.ok(nowMs >= before && nowMs < before + HOUR_MS, `${jumpMs}`);
      }
    }
  } finally {
    Date.now = trueNow;
  }
});

test("a stamp counts from when it was made, one of a clock that was ahead from the start of the process", () => {
  const nowMs = steadyMs();
  for (const agoMs of [0, 1, HOUR_MS]) assert.equal(arrivalMs(nowMs - agoMs, nowMs), nowMs - agoMs);
  assert.equal(arrivalMs(nowMs + 5, nowMs), nowMs + 5, "a little ahead is nothing");
  const startedMs = arrivalMs(nowMs + HOUR_MS, nowMs);
  assert.ok(startedMs <= nowMs && startedMs > nowMs - HOUR_MS);
  assert.equal(arrivalMs(nowMs + 10 * HOUR_MS, nowMs + 2 * HOUR_MS), startedMs, "and goes on to do so");
});
