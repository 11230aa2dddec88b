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
    const waitMs = guard.waitMs("ann", "10.0.0.1");
    waits.push(waitMs);
    clock.nowMs += waitMs;
    guard.failed("ann", "10.0.0.1");
  }
  assert.deepEqual(waits.slice(0, 3), [0, 0, 0]);
  assert.ok(waits[3]! >= 100, `${waits}`);
  for (let i = 4; i < 12; i++) assert.ok(waits[i]! >= waits[i - 1]!, `${waits}`);
  assert.ok(waits.at(-1)! <= 3000, `${waits}`);
});

test("attempts that come side by side wait for each other", () => {
  const { guard } = setUp();
  for (let i = 0; i < 5; i++) guard.failed("ann", "10.0.0.1");
  const waits = Array.from({ length: 5 }, () => guard.waitMs("ann", "10.0.0.1"));
  for (let i = 1; i < 5; i++) assert.ok(waits[i]! >= waits[i - 1]! + 100, `${waits}`);
});

test("others do not wait: not another user, not another address; nor who succeeded, nor after a while", () => {
  const { guard, clock } = setUp();
  for (let i = 0; i < 9; i++) guard.failed("ann", "10.0.0.1");
  assert.equal(guard.waitMs("bob", "10.0.0.1"), 0);
  assert.equal(guard.waitMs("ann", "10.0.0.2"), 0);
  clock.nowMs += 61_000;
  assert.equal(guard.waitMs("ann", "10.0.0.1"), 0);
  for (let i = 0; i < 9; i++) guard.failed("ann", "10.0.0.1");
  guard.succeeded("ann", "10.0.0.1");
  assert.equal(guard.waitMs("ann", "10.0.0.1"), 0);
});

test("what is remembered is bounded: the oldest goes", () => {
  const { guard } = setUp();
  for (let i = 0; i < 4; i++) guard.failed("first", "10.0.0.1");
  for (let i = 0; i < 4; i++) guard.failed("second", "10.0.0.1");
  for (let i = 0; i < LOGIN_FAILURES_MAX - 1; i++) guard.failed(`u${i}`, "10.0.0.1");
  assert.equal(guard.waitMs("first", "10.0.0.1"), 0);
  assert.ok(guard.waitMs("second", "10.0.0.1") > 0);
});
