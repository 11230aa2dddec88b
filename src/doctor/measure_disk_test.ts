import assert from "node:assert/strict";
import { test } from "node:test";
import { diskText } from "./disk_text.ts";
import { describeFileSystem } from "./file_system.ts";
import { reportOf, type SyncTimes } from "./measure_disk.ts";

function row(bytes: number, files: number, ms: number): SyncTimes {
  return { bytes, files, syncs: 10, meanMs: ms, p50Ms: ms, p95Ms: ms, p99Ms: ms, maxMs: ms };
}

const EXT4 = describeFileSystem(0xef53);

test("file systems on which a confirm means little are warned of, good ones are not", () => {
  assert.deepEqual([0xef53, 0x58465342].map((type) => describeFileSystem(type)), [
    { name: "ext4", warning: null },
    { name: "xfs", warning: null },
  ]);
  // As some runtimes give them, with a sign.
  const bad = { nfs: 0x6969, tmpfs: 0x01021994, fuse: 0x65735546, overlay: 0x794c7630, btrfs: 0x9123683e | 0 };
  for (const [name, type] of Object.entries(bad)) {
    const found = describeFileSystem(type);
    assert.equal(found.name, name);
    assert.ok(found.warning !== null);
  }
  assert.deepEqual(describeFileSystem(0x1234).name, "0x1234");
  assert.ok(describeFileSystem(0x1234).warning !== null);
});

test("what syncs take says how many confirms they allow, one at a time and a thousand together", () => {
  const rows = [row(1024, 1, 2), row(4096, 1, 2), row(1_024_000, 1, 5), row(4096, 6, 9)];
  const report = reportOf("/srv", EXT4, 0.05, rows);
  assert.deepEqual([report.confirmsOneByOne, report.confirmsOutstanding, report.warnings], [500, 200_000, []]);
  const text = diskText(report);
  assert.match(text, /one at a time {2,}500\n {2}1,000 outstanding {2,}200,000\n$/);
  assert.match(text, /\n {2}4 KiB to each of 6 files {2,}9\.000/);
});

test("a sync that is faster than any disk is suspicious, one that only costs its way to the thread is not hidden by it", () => {
  const rows = [row(1024, 1, 0.06), row(4096, 1, 0.06), row(1_024_000, 1, 0.3)];
  assert.match(reportOf("/srv", EXT4, 0.055, rows).warnings.join(), /faster than a disk can write/);
  assert.deepEqual(reportOf("/srv", EXT4, 0.02, rows).warnings, []);
});
