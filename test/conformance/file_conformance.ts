// What every kind of segment file must do, and the thread that makes files durable, and the lock.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Runtime, SegmentFiles, Syncer } from "../../src/runtime/runtime.ts";
import { pattern } from "./recorder.ts";

const TEST_MS_MAX = 30_000;
const CAPACITY = 256 * 1024;

async function inDirectory(run: (directory: string) => Promise<void> | void): Promise<void> {
  const directory = fs.mkdtempSync(join(os.tmpdir(), "leveret-files-"));
  try {
    await run(directory);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

/** `onDisk` says that files have names, blocks and descriptors. */
export function segmentConformance(name: string, make: () => SegmentFiles, onDisk: boolean): void {
  const it = (what: string, run: (files: SegmentFiles, directory: string) => Promise<void> | void) =>
    test(`${name}: ${what}`, { timeout: TEST_MS_MAX }, () =>
      inDirectory(async (directory) => {
        const files = make();
        await run(files, directory);
        await files.close();
      }));

  it("a new file is zeros from end to end", (files, directory) => {
    const file = files.create(join(directory, "a"), CAPACITY);
    const bytes = new Uint8Array(CAPACITY).fill(1);
    file.read(0, bytes, 0, CAPACITY);
    assert.ok(bytes.every((byte) => byte === 0));
    assert.equal(file.capacity, CAPACITY);
    assert.equal(file.path, join(directory, "a"));
    file.close();
  });

  it("what is written is read again, in any size at any place", (files, directory) => {
    const file = files.create(join(directory, "a"), CAPACITY);
    for (const count of [0, 1, 24, 47, 48, 64, 4095, 4096, 4097, 65_536, 100_000]) {
      for (const at of [0, 1, 4095, CAPACITY - count]) {
        file.write(at, pattern(at, count + 10), 0, count);
        const target = new Uint8Array(count + 7).fill(0xee);
        file.read(at, target, 5, count);
        assert.equal(Buffer.compare(target.subarray(5, 5 + count), pattern(at, count)), 0, `${count} at ${at}`);
        assert.deepEqual([target[4], target[5 + count]], [0xee, 0xee]);
        file.write(at, pattern(at, count + 10), 10, count);
        file.read(at, target, 0, count);
        assert.equal(
          Buffer.compare(target.subarray(0, count), pattern(at + 10, count)),
          0,
          `${count} at ${at}, from 10`,
        );
      }
    }
    file.close();
  });

  it("a range out of bounds is an assertion fault and touches nothing", (files, directory) => {
    const file = files.create(join(directory, "a"), CAPACITY);
    const bytes = new Uint8Array(100).fill(9);
    const bad: [number, number, number][] = [
      [-1, 0, 1],
      [0, -1, 1],
      [0, 0, -1],
      [CAPACITY, 0, 1],
      [CAPACITY - 99, 0, 100],
      [0, 1, 100],
      [0, 101, 0],
      [0.5, 0, 1],
      [0, 0.5, 1],
      [0, 0, 1.5],
      [NaN, 0, 1],
      [0, NaN, 1],
      [0, 0, NaN],
      [Infinity, 0, 1],
      [2 ** 32, 0, 1],
      [2 ** 53, 0, 1],
      [undefined as unknown as number, 0, 1],
    ];
    for (const [at, from, count] of bad) {
      assert.throws(
        () => file.write(at, bytes, from, count),
        { name: "AssertionFault" },
        `write ${at} ${from} ${count}`,
      );
      assert.throws(() => file.read(at, bytes, from, count), { name: "AssertionFault" }, `read ${at} ${from} ${count}`);
    }
    const whole = new Uint8Array(CAPACITY);
    file.read(0, whole, 0, CAPACITY);
    assert.ok(whole.every((byte) => byte === 0));
    assert.ok(bytes.every((byte) => byte === 9));
    file.close();
  });

  it("a capacity that cannot be is an assertion fault", (files, directory) => {
    for (const capacity of [0, -1, 1.5, NaN, 2 ** 31]) {
      assert.throws(() => files.create(join(directory, "a"), capacity), { name: "AssertionFault" });
    }
    assert.deepEqual(fs.readdirSync(directory), []);
  });

  it("close may be called again, anything else after it is an assertion fault", (files, directory) => {
    const file = files.create(join(directory, "a"), CAPACITY);
    file.close();
    file.close();
    const bytes = new Uint8Array(8);
    assert.throws(() => file.write(0, bytes, 0, 8), { name: "AssertionFault", message: /is closed$/ });
    assert.throws(() => file.read(0, bytes, 0, 0), { name: "AssertionFault" });
    assert.throws(() => file.rename(join(directory, "b")), { name: "AssertionFault" });
  });

  it("a file that is there is not created again", (files, directory) => {
    const file = files.create(join(directory, "a"), CAPACITY);
    assert.throws(() => files.create(join(directory, "a"), CAPACITY), { name: "FileFault", code: "EEXIST" });
    file.write(0, pattern(0, 10), 0, 10);
    file.close();
  });

  it("a file that is not there is not opened", (files, directory) => {
    assert.throws(() => files.open(join(directory, "none")), { name: "FileFault", code: "ENOENT" });
  });

  it("a renamed file goes on under its new name", (files, directory) => {
    const file = files.create(join(directory, "a"), CAPACITY);
    file.write(100, pattern(0, 50), 0, 50);
    file.rename(join(directory, "b"));
    assert.equal(file.path, join(directory, "b"));
    file.write(150, pattern(50, 50), 0, 50);
    const again = files.open(join(directory, "b"));
    const bytes = new Uint8Array(100);
    again.read(100, bytes, 0, 100);
    assert.equal(Buffer.compare(bytes, pattern(0, 100)), 0);
    assert.throws(() => files.open(join(directory, "a")), { code: "ENOENT" });
    again.close();
    file.close();
  });

  it("a prepared file is as good as a created one", async (files, directory) => {
    const file = await files.prepare(join(directory, "a"), CAPACITY);
    const bytes = new Uint8Array(CAPACITY).fill(1);
    file.read(0, bytes, 0, CAPACITY);
    assert.ok(bytes.every((byte) => byte === 0));
    file.write(CAPACITY - 10, pattern(0, 10), 0, 10);
    await assert.rejects(files.prepare(join(directory, "a"), CAPACITY), { name: "FileFault", code: "EEXIST" });
    file.close();
  });

  it("files are prepared side by side", async (files, directory) => {
    const names = ["a", "b", "c", "d"].map((name) => join(directory, name));
    const made = await Promise.all(names.map((name) => files.prepare(name, CAPACITY)));
    assert.deepEqual(made.map((file) => file.path), names);
    for (const file of made) file.close();
  });

  if (!onDisk) return;

  it("every byte has its block on the disk, and nobody else may read it", async (files, directory) => {
    const made = [files.create(join(directory, "a"), CAPACITY), await files.prepare(join(directory, "b"), CAPACITY)];
    for (const file of made) {
      const stat = fs.statSync(file.path);
      assert.equal(stat.size, CAPACITY);
      assert.ok(stat.blocks * 512 >= CAPACITY, `${stat.blocks} blocks`);
      assert.equal(stat.mode & 0o777, 0o600);
      file.close();
    }
  });

  it("what is written stands in the file at once, and is there after closing", (files, directory) => {
    const file = files.create(join(directory, "a"), CAPACITY);
    file.write(1000, pattern(0, 100), 0, 100);
    file.write(5000, pattern(0, 10_000), 0, 10_000);
    assert.equal(Buffer.compare(fs.readFileSync(file.path).subarray(1000, 1100), pattern(0, 100)), 0);
    file.close();
    const again = files.open(join(directory, "a"));
    assert.equal(again.capacity, CAPACITY);
    const bytes = new Uint8Array(10_000);
    again.read(5000, bytes, 0, 10_000);
    assert.equal(Buffer.compare(bytes, pattern(0, 10_000)), 0);
    again.close();
  });

  it("a file that cannot be had leaves nothing behind", async (files, directory) => {
    const path = join(directory, "none", "a");
    assert.throws(() => files.create(path, CAPACITY), { name: "FileFault", code: "ENOENT", path });
    await assert.rejects(files.prepare(path, CAPACITY), { name: "FileFault", code: "ENOENT", path });
    fs.writeFileSync(join(directory, "empty"), "");
    assert.throws(() => files.open(join(directory, "empty")), { name: "FileFault", code: "EINVAL" });
    assert.deepEqual(fs.readdirSync(directory), ["empty"]);
  });

  it("closed files give their descriptors back", (files, directory) => {
    const seen = new Set<number>();
    for (let i = 0; i < 100; i++) {
      const file = files.create(join(directory, `${i}`), CAPACITY);
      seen.add(file.fd);
      file.close();
    }
    // Other tests of the process open and close descriptors meanwhile.
    assert.ok(seen.size < 50, `${seen.size} descriptors for 100 files, one after the other`);
  });
}

function syncOf(syncer: Syncer, fds: number[]): Promise<Error | null> {
  let within = true;
  const result = new Promise<Error | null>((resolve) =>
    syncer.sync(fds, (fault) => {
      assert.equal(within, false, "done came from within sync");
      resolve(fault);
    })
  );
  within = false;
  return result;
}

export function syncerConformance(name: string, make: () => Syncer): void {
  const it = (what: string, run: (directory: string) => Promise<void>) =>
    test(`${name}: ${what}`, { timeout: TEST_MS_MAX }, () => inDirectory(run));

  it("files and directories are synced, few and many, again and again", async (directory) => {
    const syncer = make();
    const made = Array.from({ length: 20 }, (_, i) => fs.openSync(join(directory, `${i}`), "w"));
    const directoryFd = fs.openSync(directory, "r");
    const fds = [directoryFd, ...made];
    for (const count of [0, 1, 2, 8, 9, 21, 1]) assert.equal(await syncOf(syncer, fds.slice(0, count)), null);
    await syncer.close();
    for (const fd of fds) fs.closeSync(fd);
  });

  it("a sync of what is not open is a FileFault, and the next one is heard as well", async (directory) => {
    const syncer = make();
    const fd = fs.openSync(join(directory, "a"), "w");
    assert.equal(await syncOf(syncer, [fd]), null);
    const free = fs.openSync(join(directory, "a"), "r");
    const many = Array.from({ length: 20 }, () => fs.openSync(join(directory, "a"), "r"));
    const gone = many.at(-1)!;
    fs.closeSync(gone);
    // The syncer may open one of its own, which shall not become the one that is gone.
    fs.closeSync(free);
    for (const fds of [[gone], [fd, gone], many]) {
      const fault = await syncOf(syncer, fds);
      assert.deepEqual([fault?.name, (fault as { code?: string } | null)?.code], ["FileFault", "EBADF"]);
    }
    assert.equal(await syncOf(syncer, [fd]), null);
    await syncer.close();
    for (const open of [fd, ...many.slice(0, -1)]) fs.closeSync(open);
  });

  it("a sync that may block is answered as well, within the call or behind it", async (directory) => {
    const syncer = make();
    const fd = fs.openSync(join(directory, "a"), "w");
    assert.equal(await syncOf(syncer, [fd]), null);
    const gone = fs.openSync(join(directory, "a"), "r");
    fs.closeSync(gone);
    const blocking = (fds: number[]) => new Promise<Error | null>((resolve) => syncer.sync(fds, resolve, true));
    const fault = await blocking([gone]);
    assert.deepEqual([fault?.name, (fault as { code?: string } | null)?.code], ["FileFault", "EBADF"]);
    for (const fds of [[fd], [fd], [fd, fd]]) assert.equal(await blocking(fds), null);
    await syncer.close();
    fs.closeSync(fd);
  });

  it("a second sync at a time is an assertion fault", async (directory) => {
    const syncer = make();
    const fd = fs.openSync(join(directory, "a"), "w");
    const first = syncOf(syncer, [fd]);
    assert.throws(() => syncer.sync([fd], () => {}), { name: "AssertionFault" });
    assert.equal(await first, null);
    await syncer.close();
    fs.closeSync(fd);
  });

  it("closing a syncer waits for the sync that runs", async (directory) => {
    const syncer = make();
    const fd = fs.openSync(join(directory, "a"), "w");
    let answer: Error | null | undefined;
    syncer.sync([fd], (fault) => answer = fault);
    await syncer.close();
    assert.equal(answer, null);
    await make().close();
    fs.closeSync(fd);
  });
}

/** What concerns whole processes. */
export function processConformance(name: string, make: () => Runtime): void {
  const it = (what: string, run: (runtime: Runtime, directory: string) => Promise<void> | void) =>
    test(`${name}: ${what}`, { timeout: TEST_MS_MAX }, () => inDirectory((directory) => run(make(), directory)));

  it("a process with a syncer and prepared files ends by itself once they are closed", async (_runtime, directory) => {
    const child = spawnHelper(["finish", directory]);
    const code = await new Promise((resolve) => child.once("exit", resolve));
    assert.equal(code, 0);
  });

  it("a lock is had once, also by ourselves, until it is released", (runtime, directory) => {
    const path = join(directory, "lock");
    const lock = runtime.lock(path);
    assert.ok(lock !== null);
    assert.equal(runtime.lock(path), null);
    lock.release();
    lock.release();
    const again = runtime.lock(path);
    assert.ok(again !== null);
    again.release();
    assert.throws(() => runtime.lock(join(directory, "none", "lock")), { name: "FileFault", code: "ENOENT" });
  });

  it("a lock of another process is refused, and free once that process is killed", async (runtime, directory) => {
    const path = join(directory, "lock");
    const child = spawnHelper(["hold", path]);
    await new Promise<void>((resolve, reject) => {
      child.stdout!.once("data", () => resolve());
      child.once("exit", () => reject(new Error("the helper ended early")));
    });
    assert.equal(runtime.lock(path), null);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
    const lock = runtime.lock(path);
    assert.ok(lock !== null);
    lock.release();
  });
}

/** Another process of the runtime that runs the test. */
export function spawnHelper(args: string[]): ReturnType<typeof spawn> {
  const script = fileURLToPath(new URL("./helper_process.ts", import.meta.url).href);
  const flags = "Deno" in globalThis ? ["run", "-A", script] : [script];
  return spawn(process.execPath, [...flags, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}
