// What a full disk does to the store: nothing is lost, nobody is told what is not so, and all goes on when there is room.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers";
import { FileFault } from "../runtime/fault.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import type { SegmentFile, SegmentFiles, Syncer } from "../runtime/runtime.ts";
import { DiskReserve } from "./disk_reserve.ts";
import { type CommitWaiter, type Flushable, GroupCommit } from "./group_commit.ts";
import { consume, filesOf, numbers, publish, SMALL, takeAll, testHosts } from "./queue_store_testing.ts";
import { SpareSegments } from "./segment_pool.ts";

const full = () => new FileFault("write", "file", "ENOSPC");

/** Syncs at once. */
const syncer: Syncer = { sync: (_, done) => done(null), close: () => Promise.resolve() };

/** A store on a disk that is full while the test says so. */
class Store implements Flushable {
  isFull = true;
  written = 0;
  readonly #commit: () => GroupCommit;

  constructor(commit: () => GroupCommit) {
    this.#commit = commit;
  }

  flush(): void {
    if (this.isFull) throw full();
    this.written++;
    this.#commit().dirty(1);
  }
}

function setUp(makeRoom: () => boolean = () => false, lazySyncMs = 60_000) {
  const faults: Error[] = [];
  const commit: GroupCommit = new GroupCommit({ syncer, onFault: (fault) => faults.push(fault), makeRoom, lazySyncMs });
  const store = new Store(() => commit);
  const told: string[] = [];
  const waiter: CommitWaiter = { seal: () => told.push("seal"), durable: () => told.push("durable") };
  return { commit, store, waiter, told, faults };
}

describe("group commit on a full disk", () => {
  it("tells nobody until what could not be written is, and is no fault", () => {
    const { commit, store, waiter, told, faults } = setUp();
    commit.touch(store);
    commit.dirty(2);
    commit.wait(waiter);
    commit.endTurn();
    commit.endTurn();
    assert.deepEqual([told, faults, commit.stuck, commit.busy], [[], [], true, true]);
    store.isFull = false;
    commit.endTurn();
    assert.deepEqual([told, store.written, commit.stuck], [["seal", "durable"], 1, false]);
  });

  it("tells nobody without syncs either", () => {
    const { commit, store, waiter, told } = setUp();
    commit.syncing = false;
    commit.touch(store);
    commit.wait(waiter);
    commit.endTurn();
    assert.deepEqual(told, []);
    store.isFull = false;
    commit.endTurn();
    assert.deepEqual(told, ["seal", "durable"]);
  });

  it("tries again by itself after a while", async () => {
    const { commit, store, waiter, told } = setUp(() => false, 10);
    commit.touch(store);
    commit.wait(waiter);
    commit.endTurn();
    store.isFull = false;
    while (told.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(store.written, 1);
  });

  it("tries again at once when room was made", () => {
    const { commit, store, waiter, told } = setUp(() => {
      store.isFull = false;
      return true;
    });
    commit.touch(store);
    commit.wait(waiter);
    commit.endTurn();
    assert.deepEqual([told, store.written], [["seal", "durable"], 1]);
  });

  it("syncs meanwhile what others have written, and tells nobody", async () => {
    const { commit, store, waiter, told } = setUp(() => false, 10);
    commit.touch(store);
    commit.wait(waiter);
    let closed = false;
    commit.dirtyLazily(5);
    commit.release(5, false, () => closed = true);
    commit.endTurn();
    while (!closed) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.deepEqual(told, []);
  });

  it("says at the end what could not be written", async () => {
    const { commit, store, faults } = setUp();
    commit.touch(store);
    await assert.rejects(commit.drain(), /ENOSPC/);
    assert.deepEqual(faults, []);
  });

  it("takes any other error for a fault, also in the second try", () => {
    const { commit, faults } = setUp(() => true);
    const errors = [full(), new Error("EIO")];
    commit.touch({
      flush: () => {
        throw errors.shift()!;
      },
    });
    commit.endTurn();
    assert.deepEqual(faults.map((fault) => fault.message), ["write file: ENOSPC"]);
    assert.equal(commit.stuck, false);
  });
});

describe("space that is set aside", () => {
  it("is allocated, let go once, and found again by the next broker", async () => {
    const directory = mkdtempSync(join(tmpdir(), "leveret-reserve-"));
    try {
      const files = (await filesOf("plain"))!;
      const path = join(directory, "reserve");
      const reserve = new DiskReserve(path, files, 8192);
      assert.equal(reserve.letGo(), false);
      assert.equal(reserve.hold(), true);
      assert.deepEqual([statSync(path).size, statSync(path).blocks * 512], [8192, 8192]);
      assert.equal(new DiskReserve(path, files, 8192).hold(), true);
      assert.deepEqual([reserve.letGo(), reserve.letGo()], [true, false]);
      assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
      writeFileSync(path, "cut");
      assert.equal(reserve.hold(), true);
      assert.equal(statSync(path).size, 8192);
      await files.close();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("is not there where the disk does not give it", () => {
    const files = new MemoryFiles();
    files.create = () => {
      throw full();
    };
    assert.equal(new DiskReserve("/nowhere/reserve", files).hold(), false);
  });
});

/** Files of which the test says when there is no room for another. */
class LimitedFiles implements SegmentFiles {
  readonly kind: SegmentFiles["kind"];
  readonly disk: SegmentFiles["disk"];
  isFull = false;
  /** Nor for another name. */
  isUnnameable = false;
  readonly #files: SegmentFiles;

  constructor(files: SegmentFiles) {
    this.kind = files.kind;
    this.disk = files.disk;
    this.#files = files;
  }

  create(path: string, capacity: number): SegmentFile {
    if (this.isFull) throw new FileFault("allocate", path, "ENOSPC");
    const file = this.#files.create(path, capacity);
    const rename = file.rename.bind(file);
    file.rename = (to) => {
      if (this.isUnnameable) throw new FileFault("rename", path, "ENOSPC");
      rename(to);
    };
    return file;
  }

  open(path: string): SegmentFile {
    return this.#files.open(path);
  }

  prepare(path: string, capacity: number): Promise<SegmentFile> {
    return this.isFull
      ? Promise.reject(new FileFault("allocate", path, "ENOSPC"))
      : this.#files.prepare(path, capacity);
  }

  close(): Promise<void> {
    return this.#files.close();
  }
}

const hostOf = testHosts();

describe("a queue on a full disk", () => {
  it("tells of every file that it allocates, and when it gets none", async () => {
    const files = new LimitedFiles((await filesOf("plain"))!);
    const host = hostOf(files);
    const said: unknown[] = [];
    host.space = { allocated: (bytes) => said.push(bytes), full: () => said.push("full"), makeRoom: () => false };
    const store = host.open(SMALL);
    publish(store, 0, 1);
    files.isFull = true;
    assert.throws(() => publish(store, 1, 1000), FileFault);
    assert.deepEqual(said, [4096, "full"]);
    const kept = store.readyCount;
    files.isFull = false;
    publish(store, kept, kept + 5);
    assert.deepEqual(takeAll(store), numbers(0, kept + 5));
  });

  it("goes on under the same name when a segment came about only by half", async () => {
    const host = hostOf((await filesOf("plain"))!);
    const store = host.open(SMALL);
    const { dirty } = host.commit;
    publish(store, 0, 1);
    host.commit.dirty = () => {
      throw full();
    };
    assert.throws(() => publish(store, 1, 1000), FileFault);
    host.commit.dirty = dirty;
    const kept = store.readyCount;
    publish(store, kept, kept + 100);
    assert.deepEqual(takeAll(store), numbers(0, kept + 100));
  });

  it("lets a settled segment go whose file cannot be given another name", async () => {
    const plain = (await filesOf("plain"))!;
    const files = new LimitedFiles(plain);
    const host = hostOf(files);
    const given: SegmentFile[] = [];
    host.pool = { segmentBytes: 4096, take: () => null, give: (file) => void given.push(file) };
    const store = host.open(SMALL);
    publish(store, 0, 200);
    host.commit.endTurn();
    // A sync refers to the files.
    host.commit.beginSync();
    files.isUnnameable = true;
    for (let count = 0; count < 150; count++) consume(store);
    host.commit.endTurn();
    host.commit.endSync();
    assert.deepEqual(given, []);
    store.close();
    host.commit.sync();
    assert.deepEqual(takeAll(host.open(SMALL)), numbers(150, 200));
  });

  it(
    "asks for room for acknowledgements, and keeps them where there is none",
    { skip: !existsSync("/dev/full") },
    async () => {
      const host = hostOf((await filesOf("plain"))!);
      const store = host.open(SMALL);
      publish(store, 0, 3);
      host.commit.endTurn();
      symlinkSync("/dev/full", join(host.queueDirectory, "acks.0000000001"));
      let asked = 0;
      host.space = { allocated: () => {}, full: () => {}, makeRoom: () => ++asked > 0 };
      assert.equal(consume(store), "message 0");
      host.commit.endTurn();
      assert.deepEqual([asked, host.events.map(({ kind }) => kind)], [1, ["acks-delayed"]]);
      assert.deepEqual([consume(store), consume(store), store.unackedCount], ["message 1", "message 2", 0]);
    },
  );
});

describe("spare segments on a full disk", () => {
  it("tell of it, and are not prepared while the disk is short", async () => {
    const directory = mkdtempSync(join(tmpdir(), "leveret-spare-"));
    const files = new LimitedFiles((await filesOf("plain"))!);
    const said: unknown[] = [];
    let mayPrepare = false;
    const pool = new SpareSegments({
      directory: join(directory, "spare"),
      segmentBytes: 4096,
      files,
      report: () => {},
      space: { allocated: (bytes) => said.push(bytes), full: () => said.push("full"), makeRoom: () => false },
      mayPrepare: () => mayPrepare,
    });
    const until = async (condition: () => boolean) => {
      while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    try {
      assert.equal(pool.take(join(directory, "a")), null);
      assert.equal(pool.readyCount, 0);
      mayPrepare = true;
      files.isFull = true;
      pool.take(join(directory, "a"));
      await until(() => said.length === 1);
      files.isFull = false;
      pool.take(join(directory, "a"));
      // It may be seen only when one more is ready.
      await until(() => pool.readyCount >= 2);
      assert.deepEqual(said.slice(0, 3), ["full", 4096, 4096]);
    } finally {
      await pool.close();
      await files.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
