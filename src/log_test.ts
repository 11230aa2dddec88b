import assert from "node:assert/strict";
import { test } from "node:test";
import { getLogger, resetSync } from "@logtape/logtape";
import { type LogLevel, oneLine, startLog } from "./log.ts";

function logged(level: LogLevel, act: () => void): string[] {
  const lines: string[] = [];
  startLog(level, (line) => lines.push(line));
  try {
    act();
  } finally {
    resetSync();
  }
  return lines;
}

test("a record is one line of time, level, category and message", () => {
  const [line, ...rest] = logged("info", () => getLogger(["leveret", "amqp"]).warn("gone: {peer}", { peer: "a\nb" }));
  assert.match(line!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warn {2}amqp: gone: a\\nb\n$/);
  assert.deepEqual(rest, []);
});

test("records below the level are left out, and all at none", () => {
  const act = () => {
    const log = getLogger("leveret");
    log.debug("d");
    log.info("i");
    log.warn("w");
    log.error("e");
  };
  const counts = (["debug", "info", "warn", "error", "none"] as const).map((level) => logged(level, act).length);
  assert.deepEqual(counts, [4, 3, 2, 1, 0]);
});

test("an error is its message, at level debug its stack in the same line", () => {
  const act = () => getLogger("leveret").error("failed: {error}", { error: new Error("no space") });
  assert.match(logged("info", act)[0]!, /failed: no space\n$/);
  assert.match(logged("debug", act)[0]!, /failed: .*no space.*log_test.*\n$/);
});

test("control characters are escaped and passwords of URIs are hidden", () => {
  assert.equal(oneLine("a\x1b[2Jb\r\nc"), "a\\x1b[2Jb\\x0d\\nc");
  assert.equal(oneLine("to amqp://hare:carrot@host/v"), "to amqp://hare:***@host/v");
});
