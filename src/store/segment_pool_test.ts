import assert from "node:assert/strict";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setImmediate } from "node:timers";
import { FileFault } from "../runtime/fault.ts";
import { systemDisk } from "../runtime/disk.ts";
import type { SegmentFile, SegmentFiles } from "../runtime/runtime.ts";
import { SpareSegments } from "./segment_pool.ts";

const CAPACITY = 4096;

class TestFile implements SegmentFile {
  path: string;
  readonly capacity: number;
  readonly fd: number;
  closed = false;

  constructor(path: string, capacity: number) {
    this.path = path;
    this.capacity = capacity;
    writeFileSync(path, "");
    this.fd = openSync(path, "r+");
  }

  write(): void {}

  read(): void {}

  rename(path: string): void {
    renameSync(this.path, path);
    this.path = path;
  }

  close(): void {
    if (!this.closed) closeSync(this.fd);
    this.closed = true;
  }
}

/** Prepares when the test says so. */
class TestFiles implements SegmentFiles {
  readonly kind = "plain";
  readonly disk = systemDisk;
  readonly made: TestFile[] = [];
  asked = 0;
  #pending: (() => void)[] = [];
  fault: Error | null = null;

  create(path: string, capacity: number): TestFile {
    const file = new TestFile(path, capacity);
    this.made.push(file);
    return file;
  }

  open(path: string): TestFile {
    return this.create(path, CAPACITY);
  }

  prepare(path: string, capacity: number): Promise<SegmentFile> {
    this.asked += 1;
    return new Promise((resolve, reject) => {
      this.#pending.push(() => this.fault === null ? resolve(this.create(path, capacity)) : reject(this.fault));
    });
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** Answers everything that is asked for, and what is asked for thereupon. */
  async work(): Promise<void> {
    while (this.#pending.length > 0) {
      for (const answer of this.#pending.splice(0)) answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  close(): Promise<void> {
    for (const file of this.made) file.close();
    return Promise.resolve();
  }
}

describe("spare segments", () => {
  let root = "";
  let files = new TestFiles();
  let reports: string[] = [];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "leveret-"));
    files = new TestFiles();
    reports = [];
  });
  afterEach(async () => {
    await files.close();
    rmSync(root, { recursive: true, force: true });
  });

  function start(): SpareSegments {
    return new SpareSegments({
      directory: join(root, "spare"),
      segmentBytes: CAPACITY,
      files,
      report: (fault) => reports.push(fault.message),
    });
  }

  function spares(): number {
    return readdirSync(join(root, "spare")).length;
  }

  it("remove earlier ones at start, leave alone what is none, and prepare nothing before they are asked", () => {
    mkdirSync(join(root, "spare", "folder"), { recursive: true });
    writeFileSync(join(root, "spare", "notes"), "mine");
    writeFileSync(join(root, "spare", "0000000001"), "old");
    start();
    assert.deepEqual([readdirSync(join(root, "spare")).sort(), files.asked], [["folder", "notes"], 0]);
  });

  it("prepare two, one at a time, after the first question", async () => {
    const pool = start();
    assert.equal(pool.take(join(root, "a")), null);
    assert.equal(files.pending, 1);
    await files.work();
    assert.deepEqual([pool.readyCount, spares(), files.asked], [2, 2, 2]);
  });

  it("move a file to where it is wanted and prepare the next", async () => {
    const pool = start();
    pool.take(join(root, "a"));
    await files.work();
    const file = pool.take(join(root, "b"));
    assert.equal(file?.path, join(root, "b"));
    assert.ok(existsSync(join(root, "b")));
    assert.deepEqual([pool.readyCount, files.pending], [1, 1]);
    await files.work();
    assert.deepEqual([pool.readyCount, spares()], [2, 2]);
  });

  it("keep up to four when they are taken faster than prepared", async () => {
    const pool = start();
    for (let i = 0; i < 10; i++) pool.take(join(root, "a"));
    await files.work();
    assert.equal(pool.readyCount, 4);
  });

  it("take a consumed file back without preparing another", async () => {
    const pool = start();
    pool.take(join(root, "a"));
    await files.work();
    const file = pool.take(join(root, "b"))!;
    pool.give(file);
    assert.deepEqual([pool.readyCount, existsSync(join(root, "b")), spares()], [2, false, 2]);
    assert.equal(pool.take(join(root, "c")), file);
  });

  it("remove what is given back when enough stand ready, or is of another size, or nobody ever asked", async () => {
    const pool = start();
    const early = files.create(join(root, "early"), CAPACITY);
    pool.give(early);
    pool.take(join(root, "a"));
    const small = files.create(join(root, "small"), CAPACITY / 2);
    pool.give(small);
    await files.work();
    const surplus = files.create(join(root, "surplus"), CAPACITY);
    pool.give(surplus);
    assert.deepEqual([early.closed, small.closed, surplus.closed], [true, true, true]);
    assert.deepEqual(readdirSync(root), ["spare"]);
    assert.equal(pool.readyCount, 2);
  });

  it("report a full disk once, ask again at the next take, and recover", async () => {
    const pool = start();
    files.fault = new FileFault("allocate", "spare", "ENOSPC");
    pool.take(join(root, "a"));
    await files.work();
    assert.equal(files.asked, 1, "not tried in a loop");
    assert.equal(pool.take(join(root, "a")), null);
    await files.work();
    assert.deepEqual([files.asked, reports], [2, ["allocate spare: ENOSPC"]]);
    files.fault = null;
    pool.take(join(root, "a"));
    await files.work();
    assert.equal(pool.readyCount, 2, "failures are no load");
    files.fault = new FileFault("allocate", "spare", "ENOSPC");
    pool.take(join(root, "b"));
    await files.work();
    assert.equal(reports.length, 2, "a new row of failures is reported again");
  });

  it("report a file that cannot be moved and give none", async () => {
    const pool = start();
    pool.take(join(root, "a"));
    await files.work();
    assert.equal(pool.take(join(root, "no such folder", "b")), null);
    assert.equal(reports.length, 1);
    assert.deepEqual([pool.readyCount, spares(), files.made.filter((file) => file.closed).length], [1, 1, 1]);
  });

  it("are removed on close, also the one that is being prepared", async () => {
    const pool = start();
    pool.take(join(root, "a"));
    await files.work();
    const taken = pool.take(join(root, "b"))!;
    const closing = pool.close();
    await files.work();
    await closing;
    pool.give(taken);
    assert.equal(pool.take(join(root, "c")), null);
    assert.deepEqual([spares(), files.pending, files.made.every((file) => file.closed)], [0, 0, true]);
    assert.deepEqual(readdirSync(root), ["spare"]);
  });
});
