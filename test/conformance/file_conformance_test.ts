// Runs the files' half of the suite: every kind of segment file, and the threads and locks of the current runtime.

import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { currentRuntime } from "../../src/runtime/current.ts";
import { lockFile } from "../../src/runtime/file_lock.ts";
import { FilePreparer } from "../../src/runtime/file_thread.ts";
import { LoopbackRuntime } from "../../src/runtime/loopback.ts";
import { MemoryFiles } from "../../src/runtime/memory_file.ts";
import { PlainFiles } from "../../src/runtime/plain_file.ts";
import { createSyncer } from "../../src/runtime/syncer.ts";
import { processConformance, segmentConformance, syncerConformance } from "./file_conformance.ts";

const native = await currentRuntime();

if (process.platform === "linux") {
  segmentConformance(`${native.name} mapped`, () => native.mappedFiles()!, true);
} else {
  test("there are no mapped files on this system", () => assert.equal(native.mappedFiles(), null));
}
segmentConformance(`${native.name} plain`, () => native.plainFiles(), true);
segmentConformance("plain without libc", () => new PlainFiles(null, new FilePreparer()), true);
segmentConformance("memory", () => new MemoryFiles(), false);
segmentConformance("loopback", () => new LoopbackRuntime().plainFiles(), false);
segmentConformance(
  "memory, all spilled",
  () => new MemoryFiles(0, { files: native.mappedFiles() ?? native.plainFiles(), directory: os.tmpdir() }),
  false,
);
syncerConformance(native.name, () => native.startSyncer());
syncerConformance("syncer without libc", () => createSyncer(null));
processConformance(native.name, () => native);

test("memory files spill beyond their budget, to files without a name, and come back below it", async () => {
  const directory = fs.mkdtempSync(join(os.tmpdir(), "leveret-spill-"));
  const disk = native.plainFiles();
  const files = new MemoryFiles(150_000, { files: disk, directory });
  const first = files.create("a", 100_000);
  const second = files.create("b", 100_000);
  assert.equal(files.usedBytes, 100_000);
  assert.deepEqual(fs.readdirSync(directory), []);
  second.write(99_990, Uint8Array.of(1, 2, 3), 0, 3);
  const bytes = new Uint8Array(3);
  second.read(99_990, bytes, 0, 3);
  assert.deepEqual([...bytes], [1, 2, 3]);
  assert.deepEqual([first.fd, second.fd], [-1, -1]);
  first.close();
  assert.equal(files.usedBytes, 0);
  files.create("c", 150_000).close();
  second.close();
  assert.equal(files.usedBytes, 0);
  await disk.close();
  fs.rmSync(directory, { recursive: true });
});

test("without libc a lock counts as long as the process lives that it names", () => {
  const directory = fs.mkdtempSync(join(os.tmpdir(), "leveret-lock-"));
  const path = join(directory, "lock");
  const lock = lockFile(path, null);
  assert.ok(lock !== null);
  assert.equal(lockFile(path, null), null);
  lock.release();
  // Beyond the largest process id there is.
  fs.writeFileSync(path, "99999999\n");
  const again = lockFile(path, null);
  assert.ok(again !== null);
  again.release();
  fs.writeFileSync(path, "");
  assert.equal(lockFile(path, null), null);
  fs.rmSync(directory, { recursive: true });
});
