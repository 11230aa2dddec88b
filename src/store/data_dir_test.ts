import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Disk, systemDisk } from "../runtime/disk.ts";
import { FileFault } from "../runtime/fault.ts";
import type { FileLock } from "../runtime/runtime.ts";
import { DataDir, DataDirFault } from "./data_dir.ts";

/** Locks within this process. */
class Locks {
  readonly disk: Disk = systemDisk;
  readonly taken = new Set<string>();

  lock(path: string): FileLock | null {
    if (this.taken.has(path)) return null;
    this.taken.add(path);
    return { release: () => this.taken.delete(path) };
  }
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

describe("data directory", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "leveret-"));
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  it("is made with its folders, for its own user alone, whatever the umask", () => {
    const umask = process.umask(0o277);
    try {
      DataDir.open(join(root, "a", "b"), new Locks()).close();
    } finally {
      process.umask(umask);
    }
    assert.deepEqual(readdirSync(join(root, "a", "b")).sort(), ["queues", "spare"]);
    for (const path of ["a", "a/b", "a/b/queues", "a/b/spare"]) assert.equal(modeOf(join(root, path)), 0o700, path);
  });

  it("is used as it stands when it is there", () => {
    mkdirSync(join(root, "data"), { mode: 0o750 });
    const dataDir = DataDir.open(join(root, "data"), new Locks());
    assert.equal(modeOf(dataDir.path), 0o750);
    assert.equal(dataDir.definitionsPath, join(root, "data", "definitions.log"));
    assert.equal(dataDir.sparePath, join(root, "data", "spare"));
  });

  it("is on disk with its folders at every start, since a killed process may have left them to the page cache", () => {
    const data = join(root, "data");
    DataDir.open(data, new Locks()).close();
    const opened = new Map<number, string>();
    const synced = new Set<string>();
    const disk: Disk = {
      ...systemDisk,
      open(path, flags) {
        const fd = systemDisk.open(path, flags);
        opened.set(fd, path);
        return fd;
      },
      sync(fd) {
        synced.add(opened.get(fd)!);
        systemDisk.sync(fd);
      },
    };
    DataDir.open(data, Object.assign(new Locks(), { disk })).close();
    assert.deepEqual([...synced].sort(), [root, data, join(data, "queues")]);
  });

  it("is refused while another has its lock, and free again after close", () => {
    const locks = new Locks();
    const first = DataDir.open(root, locks);
    assert.deepEqual([...locks.taken], [join(root, "lock")]);
    assert.throws(
      () => DataDir.open(root, locks),
      new DataDirFault(`data directory ${root} is in use by another process`),
    );
    first.close();
    first.close();
    DataDir.open(root, locks).close();
  });

  it("is refused in one line when it, or what it stands in, is a file", () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    assert.throws(
      () => DataDir.open(file, new Locks()),
      new DataDirFault(`data directory ${file} cannot be used: ${file} is a file`),
    );
    assert.throws(
      () => DataDir.open(join(file, "a", "b"), new Locks()),
      new DataDirFault(`data directory ${join(file, "a", "b")} cannot be used: ${file} is a file`),
    );
  });

  it("gives its lock back when one of its folders is a file", () => {
    writeFileSync(join(root, "queues"), "");
    const locks = new Locks();
    assert.throws(() => DataDir.open(root, locks), /cannot be used: .*queues is a file$/);
    assert.equal(locks.taken.size, 0);
  });

  it("is refused in one line when it is not writable", () => {
    const denied = (code: string) => ({
      disk: systemDisk,
      lock: (path: string): FileLock | null => {
        throw new FileFault("lock", path, code);
      },
    });
    assert.throws(
      () => DataDir.open(root, denied("EACCES")),
      new DataDirFault(`data directory ${root} is not writable: permission denied (EACCES)`),
    );
    assert.throws(
      () => DataDir.open(root, denied("EROFS")),
      new DataDirFault(`data directory ${root} is not writable: the file system is read-only (EROFS)`),
    );
  });

  it("lists the folders of queues in order of their ids and passes over everything else", () => {
    const dataDir = DataDir.open(root, new Locks());
    for (const id of [4294967295, 12, 3]) mkdirSync(dataDir.queuePath(id));
    mkdirSync(join(root, "queues", "12"));
    mkdirSync(join(root, "queues", "9999999999"));
    writeFileSync(join(root, "queues", "0000000004"), "");
    assert.deepEqual(dataDir.queueIds(), [3, 12, 4294967295]);
    assert.equal(dataDir.queuePath(12), join(root, "queues", "0000000012"));
  });

  it("removes a queue's folder with all that is in it, and no other", () => {
    const dataDir = DataDir.open(root, new Locks());
    for (const id of [1, 2]) {
      mkdirSync(join(dataDir.queuePath(id), "quarantine"), { recursive: true });
      writeFileSync(join(dataDir.queuePath(id), "msgs.0000000001"), "x");
    }
    dataDir.removeQueue(1);
    dataDir.removeQueue(7);
    assert.deepEqual(dataDir.queueIds(), [2]);
    assert.deepEqual(readdirSync(dataDir.queuePath(2)).sort(), ["msgs.0000000001", "quarantine"]);
  });
});
