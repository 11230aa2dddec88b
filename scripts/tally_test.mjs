import assert from "node:assert/strict";
import { test } from "node:test";
import { tally } from "./tally.mjs";

test("Bun's summary is read, errors counting as failures", () => {
  const output =
    "(pass) 9 pass\n\n 54 pass\n 1 skip\n 2 fail\n 1 error\n 7 expect() calls\nRan 57 tests across 6 files. [1.2s]\n";
  assert.deepEqual(tally(output), { passed: 54, failed: 3, skipped: 1 });
});

test("Deno's summary is read through its colours", () => {
  const output =
    "ok | 1 passed | 0 failed (3ms)\n\x1b[31mFAILED\x1b[0m | 54 passed (3 steps) | 2 failed | 1 ignored (2s)\n";
  assert.deepEqual(tally(output), { passed: 54, failed: 2, skipped: 1 });
});

test("a run that died has no summary", () => {
  assert.equal(tally("(pass) something\nSegmentation fault\n 3 pass\n"), null);
});
