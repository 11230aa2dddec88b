import assert from "node:assert/strict";
import { test } from "node:test";
import { readDurationMs } from "./duration.ts";

test("durations are a whole number and one unit", () => {
  const day = 24 * 3_600_000;
  const cases: [string, number | null][] = [
    ["10s", 10_000],
    ["30m", 30 * 60_000],
    ["12h", 12 * 3_600_000],
    ["7D", 7 * day],
    ["1M", 30 * day],
    ["1Y", 365 * day],
  ];
  for (const [text, durationMs] of cases) assert.equal(readDurationMs(text), durationMs, text);
  for (const text of ["", "7", "D", "7d", "0s", "-1h", "1.5h", "1h ", "1h30m", "1w", "7DD"]) {
    assert.equal(readDurationMs(text), null, text);
  }
});
