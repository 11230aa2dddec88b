import assert from "node:assert/strict";
import { test } from "node:test";
import { failureReports, tally } from "./tally.mjs";

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

test("Bun's failures are told with their file and what they said, each once", () => {
  const output = [
    "src/a_test.ts:",
    "(pass) good [3.03ms]",
    "said on the way",
    "error: why",
    "(fail) bad [2.23ms]",
    "(pass) good too [0.06ms]",
    "",
    "# Unhandled error between tests",
    "error: nobody waited",
    "",
    "1 tests failed:",
    "(fail) bad [2.23ms]",
    "",
    " 2 pass",
    " 1 fail",
    " 1 error",
    "Ran 3 tests across 1 file. [42.00ms]",
  ].join("\n");
  const [bad, unhandled, ...others] = failureReports(output);
  assert.equal(bad, "src/a_test.ts:\nsaid on the way\nerror: why\n(fail) bad [2.23ms]");
  assert.match(unhandled, /^src\/a_test.ts:\n# Unhandled error between tests\nerror: nobody waited/);
  assert.deepEqual(others, []);
});

test("Deno's failures are told with what they said", () => {
  const output = [
    "bad ... FAILED (7ms)",
    "\x1b[31m ERRORS \x1b[0m",
    "",
    "bad => ./src/a_test.ts:4:1",
    "error: Error: why",
    "",
    "worse => ./src/a_test.ts:6:1",
    "error: Error: why not",
    "",
    " FAILURES ",
    "",
    "bad => ./src/a_test.ts:4:1",
    "worse => ./src/a_test.ts:6:1",
    "",
    "FAILED | 2 passed | 2 failed (28ms)",
  ].join("\n");
  assert.deepEqual(failureReports(output), [
    "bad => ./src/a_test.ts:4:1\nerror: Error: why",
    "worse => ./src/a_test.ts:6:1\nerror: Error: why not",
  ]);
});

test("of a run that died its last lines are told, of one that passed nothing", () => {
  const [report, ...others] = failureReports(`${"(pass) something\n".repeat(100)}Segmentation fault`);
  assert.match(report, /^(\(pass\) something\n){39}Segmentation fault$/);
  assert.deepEqual(others, []);
  assert.deepEqual(failureReports("(pass) 9 pass\n\n 1 pass\n 0 fail\nRan 1 tests across 1 file. [1.2s]\n"), []);
});
