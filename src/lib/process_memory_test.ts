import assert from "node:assert/strict";
import { test } from "node:test";
import process from "node:process";
import { memoryBytes, memoryBytesLimit, type ReadText } from "./process_memory.ts";

const GIB = 2 ** 30;

function files(contents: Record<string, string>): ReadText {
  return (path) => contents[path] ?? null;
}

test("mapped files do not count as memory of the process", () => {
  const status = "VmRSS:\t  900 kB\nRssAnon:\t     152 kB\nRssFile:\t    1964 kB\nRssShmem:\t       0 kB\n";
  assert.equal(memoryBytes(files({ "/proc/self/status": status })), 152 * 1024);
});

test("where the system does not tell, everything resident counts", () => {
  const resident = process.memoryUsage.rss();
  const found = memoryBytes(files({}));
  assert.ok(found > resident / 2 && found < resident * 2, `${found} of ${resident}`);
});

test("what is really held is seen", () => {
  const before = memoryBytes();
  const held = new Uint8Array(256 * 2 ** 20).fill(1);
  const grown = memoryBytes() - before;
  assert.ok(grown > 128 * 2 ** 20, `${held.length} bytes more, ${grown} seen`);
});

test("without control groups the limit is the machine's memory", () => {
  assert.equal(memoryBytesLimit(files({}), 8 * GIB), 8 * GIB);
});

test("the tightest limit of the unified control groups above the process counts", () => {
  const read = files({
    "/proc/self/cgroup": "0::/system.slice/broker.service\n",
    "/sys/fs/cgroup/system.slice/broker.service/memory.max": "max\n",
    "/sys/fs/cgroup/system.slice/memory.max": `${2 * GIB}\n`,
  });
  assert.equal(memoryBytesLimit(read, 8 * GIB), 2 * GIB);
  assert.equal(memoryBytesLimit(read, GIB), GIB);
});

test("in a container the root of the control groups is the container's", () => {
  const read = files({ "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": `${GIB}\n` });
  assert.equal(memoryBytesLimit(read, 8 * GIB), GIB);
});

test("control groups of version 1 are found, with or without their path", () => {
  const groups = "9:name=systemd:/\n4:cpu,memory:/docker/abc\n1:cpu:/\n0::/\n";
  const unlimited = "9223372036854771712\n";
  const within = { "/proc/self/cgroup": groups, "/sys/fs/cgroup/memory/memory.limit_in_bytes": `${GIB}\n` };
  assert.equal(memoryBytesLimit(files(within), 8 * GIB), GIB);
  const outside = {
    "/proc/self/cgroup": groups,
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited,
    "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": `${3 * GIB}\n`,
  };
  assert.equal(memoryBytesLimit(files(outside), 8 * GIB), 3 * GIB);
});
