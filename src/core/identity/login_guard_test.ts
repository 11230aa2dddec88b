import assert from "node:assert/strict";
import { test } from "node:test";
import { LOGIN_FAILURES_MAX } from "../../limits.ts";
import { LoginGuard } from "./login_guard.ts";

function setUp() {
  const clock = { nowMs: 1_000_000 };
  return { clock, guard: new LoginGuard(() => clock.nowMs) };
}

test("the first failures cost nothing, each further one more, up to a limit", () => {
  const { guard, clock } = setUp();
  const waits: number[] = [];
  for (let i = 0; i < 12; i++) {
    const waitMs = guard.waitMs("ann", "10.0.0.1")!;
    waits.push(waitMs);
    clock.nowMs += waitMs;
    guard.failed("ann", "10.0.0.1");
  }
  assert.deepEqual(waits, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000]);
});

test("attempts that come side by side wait for each other", () => {
  const { guard } = setUp();
  for (let i = 0; i < 5; i++) guard.failed("ann", "10.0.0.1");
  const waits = Array.from({ length: 5 }, () => guard.waitMs("ann", "10.0.0.1"));
  assert.deepEqual(waits, [100, 200, 300, 400, 500]);
});

test("others do not wait: not another user, not another address; nor who succeeded, nor after a while", () => {
  const { guard, clock } = setUp();
  for (let i = 0; i < 9; i++) guard.failed("ann", "10.0.0.1");
  assert.equal(guard.waitMs("bob", "10.0.0.1"), 0);
  assert.equal(guard.waitMs("ann", "10.0.0.2"), 0);
  clock.nowMs += 300_001;
  assert.equal(guard.waitMs("ann", "10.0.0.1"), 0);
  for (let i = 0; i < 9; i++) guard.failed("ann", "10.0.0.1");
  guard.succeeded("ann", "10.0.0.1");
  assert.equal(guard.waitMs("ann", "10.0.0.1"), 0);
});

test("what is remembered is bounded: the oldest goes", () => {
  const { guard } = setUp();
  for (let i = 0; i < 6; i++) guard.failed("first", "10.0.0.1");
  for (let i = 0; i < 6; i++) guard.failed("second", "10.0.0.1");
  for (let i = 0; i < LOGIN_FAILURES_MAX - 1; i++) guard.failed(`u${i}`, "10.0.0.1");
  assert.equal(guard.waitMs("first", "10.0.0.1"), 0);
  assert.ok(guard.waitMs("second", "10.0.0.1") === 200);
});

test("beyond what anybody can wait for an attempt is refused, and soon after the last one it is heard again", () => {
  const { guard, clock } = setUp();
  for (let i = 0; i < 20; i++) guard.failed("ann", "10.0.0.1");
  const waits = Array.from({ length: 1000 }, () => guard.waitMs("ann", "10.0.0.1"));
  assert.deepEqual([waits[0], new Set(waits.slice(1))], [5000, new Set([null])]);
  clock.nowMs += 5000;
  assert.equal(guard.waitMs("ann", "10.0.0.1"), 5000);
});
