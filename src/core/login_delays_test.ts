import assert from "node:assert/strict";
import { test } from "node:test";
import { LOGIN_FAILURES_MAX } from "../limits.ts";
import { LoginDelays } from "./login_delays.ts";

function failTimes(delays: LoginDelays, count: number, name = "guest", address = "10.0.0.1"): void {
  for (let done = 0; done < count; done++) delays.failed(name, address, 0);
}

test("the first failures cost nothing, those that follow ever more, up to a limit", () => {
  const delays = new LoginDelays();
  const found: number[] = [];
  for (let count = 0; count < 14; count++) {
    found.push(delays.delayMs("guest", "10.0.0.1", 0));
    failTimes(delays, 1);
  }
  assert.deepEqual(found, [0, 0, 0, 0, 0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
});

test("other names and other addresses do not pay for it", () => {
  const delays = new LoginDelays();
  failTimes(delays, 10);
  assert.equal(delays.delayMs("guest", "10.0.0.2", 0), 0);
  assert.equal(delays.delayMs("other", "10.0.0.1", 0), 0);
});

test("a login that succeeds, or time, makes up for it", () => {
  const delays = new LoginDelays();
  failTimes(delays, 10);
  assert.ok(delays.delayMs("guest", "10.0.0.1", 300_000) > 0);
  assert.equal(delays.delayMs("guest", "10.0.0.1", 300_001), 0);
  delays.succeeded("guest", "10.0.0.1");
  assert.equal(delays.delayMs("guest", "10.0.0.1", 0), 0);
});

test("of too many those are forgotten that failed first", () => {
  const delays = new LoginDelays();
  failTimes(delays, 10, "first");
  failTimes(delays, 10, "second");
  for (let count = 0; count < LOGIN_FAILURES_MAX - 1; count++) delays.failed(`${count}`, "10.0.0.1", 0);
  assert.equal(delays.delayMs("first", "10.0.0.1", 0), 0);
  assert.ok(delays.delayMs("second", "10.0.0.1", 0) > 0);
});
