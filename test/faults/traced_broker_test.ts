import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTrace } from "./traced_broker.ts";

const TRACE = `100 1700000000.000100 fsync(6)        = 0
101 1700000000.500000 fdatasync(14 <unfinished ...>
100 1700000000.600000 pwrite64(17, "= -1 ", 16, 40) = 16
101 1700000001.000000 <... fdatasync resumed>) = 0
101 1700000001.100000 fdatasync(16)   = -1 EIO (Input/output error) (INJECTED)
101 1700000001.200000 syncfs(16 <unfinished ...>
100 1700000001.300000 +++ exited with 1 +++
`;

test("a trace gives the calls with when they began and ended", () => {
  const calls = parseTrace(TRACE);
  assert.deepEqual(calls.map(({ name, failed, injected }) => [name, failed, injected]), [
    ["fsync", false, false],
    ["fdatasync", false, false],
    ["pwrite64", false, false],
    ["fdatasync", true, true],
    ["syncfs", false, false],
  ]);
  assert.deepEqual([calls[1]!.startMs, calls[1]!.endMs], [1700000000500, 1700000001000]);
  assert.equal(calls[4]!.endMs, Infinity, "it never came back");
});
