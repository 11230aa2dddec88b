import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clearTimeout, setTimeout } from "node:timers";
import type { Syncer } from "../runtime/runtime.ts";
import { GroupCommit } from "./group_commit.ts";
import { HeldSyncer, setUp, Waiter } from "./group_commit_testing.ts";

describe("group commit", () => {
  it("syncs at once what would have been synced lazily when a waiter asks for that, also while another sync runs", () => {
    const { syncer, commit } = setUp();
    const [first, second] = [new Waiter(), new Waiter()];
    commit.dirty(7);
    commit.wait(first);
    commit.endTurn();
    commit.dirtyLazily(5);
    commit.includeLazy();
    commit.wait(second);
    commit.endTurn();
    syncer.answer();
    assert.deepEqual(syncer.batches, [[7], [5]]);
    assert.deepEqual(second.told, ["seal"]);
    syncer.answer();
    assert.deepEqual(second.told, ["seal", "durable"]);
    commit.includeLazy();
    commit.wait(second);
    commit.endTurn();
    assert.equal(syncer.batches.length, 2, "with nothing written there is nothing to sync");
    assert.equal(second.told.length, 4);
  });

  it("tells a waiter when the sync that began after its write is done", () => {
    const { syncer, commit } = setUp();
    const waiter = new Waiter();
    commit.dirty(7);
    commit.wait(waiter);
    assert.deepEqual(waiter.told, []);
    commit.endTurn();
    assert.deepEqual(waiter.told, ["seal"]);
    assert.deepEqual(syncer.batches, [[7]]);
    syncer.answer();
    assert.deepEqual(waiter.told, ["seal", "durable"]);
    assert.equal(commit.busy, false);
  });

  it("lets who comes while a sync runs wait for the next one, also for the same file", () => {
    const { syncer, commit } = setUp();
    const early = new Waiter();
    const late = new Waiter();
    commit.dirty(7);
    commit.wait(early);
    commit.endTurn();
    commit.dirty(7);
    commit.wait(late);
    commit.endTurn();
    assert.deepEqual(late.told, []);
    syncer.answer();
    assert.deepEqual(early.told, ["seal", "durable"]);
    assert.deepEqual(late.told, ["seal"], "sealed by the second sync, not told by the first");
    assert.deepEqual(syncer.batches, [[7], [7]], "the second begins at once");
    syncer.answer();
    assert.deepEqual(late.told, ["seal", "durable"]);
  });

  it("lets who comes while a sync runs wait for it even when nothing is dirty", () => {
    const { syncer, commit } = setUp();
    const late = new Waiter();
    commit.dirty(7);
    commit.wait(new Waiter());
    commit.endTurn();
    commit.wait(late);
    commit.endTurn();
    assert.deepEqual(late.told, []);
    syncer.answer();
    assert.deepEqual(late.told, ["seal", "durable"]);
    assert.equal(syncer.batches.length, 1);
  });

  it("tells one waiter once per sync, and again for the next", () => {
    const { syncer, commit } = setUp();
    const waiter = new Waiter();
    commit.dirty(1);
    commit.wait(waiter);
    commit.wait(waiter);
    commit.endTurn();
    commit.dirty(2);
    commit.wait(waiter);
    commit.endTurn();
    syncer.answer();
    syncer.answer();
    assert.deepEqual(waiter.told, ["seal", "durable", "seal", "durable"]);
  });

  it("flushes the touched stores before the sync begins, also those that a flush touches", () => {
    const { syncer, commit } = setUp();
    const inner = { flush: () => commit.dirty(2) };
    const outer = {
      flush: () => {
        commit.dirty(1);
        commit.touch(inner);
      },
    };
    commit.touch(outer);
    commit.wait(new Waiter());
    commit.endTurn();
    assert.deepEqual(syncer.batches, [[1, 2]]);
  });

  it("flushes while a sync runs", () => {
    const { syncer, commit } = setUp();
    commit.dirty(1);
    commit.wait(new Waiter());
    commit.endTurn();
    let flushes = 0;
    commit.touch({ flush: () => flushes++ });
    commit.endTurn();
    assert.equal(flushes, 1);
    syncer.answer();
    assert.equal(flushes, 1);
  });

  it("tells at the end of the turn when nothing is dirty", () => {
    const { syncer, commit } = setUp();
    const waiter = new Waiter();
    commit.wait(waiter);
    assert.deepEqual(waiter.told, []);
    commit.endTurn();
    assert.deepEqual(waiter.told, ["seal", "durable"]);
    assert.deepEqual(syncer.batches, []);
  });

  it("ignores descriptors of memory", () => {
    const { syncer, commit } = setUp();
    commit.dirty(-1);
    commit.dirtyLazily(-1);
    let closed = 0;
    commit.release(-1, false, () => closed++);
    const waiter = new Waiter();
    commit.wait(waiter);
    commit.endTurn();
    assert.deepEqual(waiter.told, ["seal", "durable"]);
    assert.deepEqual([closed, syncer.batches.length, commit.busy], [1, 0, false]);
  });

  it("flushes and tells at the end of the turn without a syncer", () => {
    const commit = new GroupCommit({ syncer: null, onFault: assert.fail });
    const order: string[] = [];
    commit.touch({
      flush: () => {
        order.push("flush");
        commit.dirty(3);
        commit.dirtyLazily(4);
      },
    });
    commit.wait({ seal: () => order.push("seal"), durable: () => order.push("durable") });
    commit.endTurn();
    commit.release(3, false, () => order.push("close"));
    assert.deepEqual(order, ["flush", "seal", "durable", "close"]);
    assert.equal(commit.busy, false);
  });

  it("serves who waits again while being told, with a syncer and without", () => {
    for (const syncer of [null, new HeldSyncer()]) {
      const commit = new GroupCommit({ syncer, onFault: assert.fail });
      const waiter = new Waiter();
      const second = new Waiter();
      waiter.onDurable = () => {
        commit.dirty(9);
        commit.wait(second);
        commit.endTurn();
      };
      commit.dirty(8);
      commit.wait(waiter);
      commit.endTurn();
      syncer?.answer();
      assert.deepEqual(second.told, syncer === null ? ["seal", "durable"] : ["seal"]);
      syncer?.answer();
      assert.deepEqual(second.told, ["seal", "durable"]);
    }
  });

  it("copes with a syncer that answers within the call", () => {
    const syncer: Syncer = { sync: (_fds, done) => done(null), close: () => Promise.resolve() };
    const commit = new GroupCommit({ syncer, onFault: assert.fail });
    let left = 20_000;
    const waiter = new Waiter();
    waiter.onDurable = () => {
      if (--left === 0) return;
      commit.dirty(1);
      commit.wait(waiter);
    };
    commit.dirty(1);
    commit.wait(waiter);
    commit.endTurn();
    assert.equal(left, 0);
    assert.equal(commit.busy, false);
  });
});

describe("group commit, lazy files", () => {
  it("lets lazy files ride with a sync, and does not make waiters wait for them", () => {
    const { syncer, commit } = setUp();
    const first = new Waiter();
    commit.dirtyLazily(5);
    commit.wait(first);
    commit.endTurn();
    assert.deepEqual(first.told, ["seal", "durable"]);
    commit.dirty(6);
    commit.dirty(5);
    commit.wait(new Waiter());
    commit.endTurn();
    assert.deepEqual(syncer.batches, [[5, 6]]);
  });

  it("syncs lazy files by itself after a while", async () => {
    const { syncer, commit } = setUp(1);
    const keepAlive = setTimeout(() => {}, 10_000);
    commit.dirtyLazily(5);
    commit.endTurn();
    assert.equal(syncer.running, false);
    await syncer.begun();
    clearTimeout(keepAlive);
    assert.deepEqual(syncer.batches, [[5]]);
    syncer.answer();
    assert.equal(commit.busy, false);
  });

  it("syncs by itself what became dirty during a sync and nobody waits for", async () => {
    const { syncer, commit } = setUp(1);
    const keepAlive = setTimeout(() => {}, 10_000);
    commit.dirty(5);
    commit.wait(new Waiter());
    commit.endTurn();
    commit.dirty(6);
    commit.endTurn();
    syncer.answer();
    await syncer.begun();
    clearTimeout(keepAlive);
    assert.deepEqual(syncer.batches, [[5], [6]]);
    syncer.answer();
  });
});

describe("group commit, released files", () => {
  it("closes a clean file at once", () => {
    const { commit } = setUp();
    let closed = 0;
    commit.release(5, false, () => closed++);
    assert.equal(closed, 1);
  });

  it("closes a dirty file after the sync that covers it", async () => {
    const { syncer, commit } = setUp(1);
    const keepAlive = setTimeout(() => {}, 10_000);
    let closed = 0;
    commit.dirty(5);
    commit.release(5, false, () => closed++);
    await syncer.begun();
    clearTimeout(keepAlive);
    assert.equal(closed, 0);
    syncer.answer();
    assert.equal(closed, 1);
  });

  it("closes a forgotten file at once and syncs it no more", () => {
    const { syncer, commit } = setUp();
    let closed = 0;
    commit.dirty(5);
    commit.dirty(6);
    commit.release(5, true, () => closed++);
    assert.equal(closed, 1);
    commit.wait(new Waiter());
    commit.endTurn();
    assert.deepEqual(syncer.batches, [[6]]);
  });

  it("closes no file while a sync has it, forgotten or not", () => {
    const { syncer, commit } = setUp();
    const closed: number[] = [];
    for (const fd of [5, 6, 7]) commit.dirty(fd);
    commit.wait(new Waiter());
    commit.endTurn();
    commit.dirty(7);
    commit.release(5, true, () => closed.push(5));
    commit.release(6, false, () => closed.push(6));
    commit.release(7, false, () => closed.push(7));
    assert.deepEqual(closed, []);
    syncer.answer();
    assert.deepEqual(closed, [5, 6], "7 became dirty again after the sync began");
    commit.wait(new Waiter());
    commit.endTurn();
    syncer.answer();
    assert.deepEqual(closed, [5, 6, 7]);
  });
});

describe("group commit, faults", () => {
  it("tells nobody after a failed sync, reports once and never syncs again", () => {
    const { syncer, faults, commit } = setUp();
    const sealed = new Waiter();
    const waiting = new Waiter();
    commit.dirty(1);
    commit.wait(sealed);
    commit.endTurn();
    commit.dirty(1);
    commit.wait(waiting);
    commit.endTurn();
    syncer.answer(new Error("EIO"));
    commit.dirty(2);
    commit.wait(waiting);
    commit.endTurn();
    assert.deepEqual(faults.map((fault) => fault.message), ["EIO"]);
    assert.deepEqual([sealed.told, waiting.told], [["seal"], []]);
    assert.equal(syncer.batches.length, 1);
  });

  it("tells no one who waits without dirty files after a fault", () => {
    const { syncer, commit } = setUp();
    commit.dirty(1);
    commit.wait(new Waiter());
    commit.endTurn();
    syncer.answer(new Error("EIO"));
    const waiter = new Waiter();
    commit.wait(waiter);
    commit.endTurn();
    assert.deepEqual(waiter.told, []);
  });

  it("flushes the other stores when one fails, then reports, and does not tell whom a running sync covers", () => {
    const { syncer, faults, commit } = setUp();
    const waiter = new Waiter();
    commit.dirty(1);
    commit.wait(waiter);
    commit.endTurn();
    let flushes = 0;
    commit.touch({
      flush: () => {
        throw new Error("ENOSPC");
      },
    });
    commit.touch({ flush: () => flushes++ });
    commit.endTurn();
    assert.deepEqual([flushes, faults.map((fault) => fault.message)], [1, ["ENOSPC"]]);
    syncer.answer();
    assert.deepEqual(waiter.told, ["seal"]);
  });

  it("takes a syncer that throws for a fault", async () => {
    const faults: Error[] = [];
    const syncer: Syncer = {
      sync: () => {
        throw new Error("thread is gone");
      },
      close: () => Promise.resolve(),
    };
    const commit = new GroupCommit({ syncer, onFault: (fault) => faults.push(fault) });
    const waiter = new Waiter();
    commit.dirty(1);
    commit.wait(waiter);
    commit.endTurn();
    assert.deepEqual([faults.length, waiter.told], [1, ["seal"]]);
    await assert.rejects(commit.drain(), /thread is gone/);
  });
});

describe("group commit, drain", () => {
  it("resolves at once when nothing is to be done", async () => {
    const { commit } = setUp();
    await commit.drain();
    assert.equal(commit.busy, false);
  });

  it("flushes, syncs everything, lazy files too, and closes what is held", async () => {
    const { syncer, commit } = setUp();
    const closed: number[] = [];
    commit.dirty(1);
    commit.wait(new Waiter());
    commit.endTurn();
    commit.touch({ flush: () => commit.dirty(2) });
    commit.dirtyLazily(3);
    commit.release(3, false, () => closed.push(3));
    let drained = false;
    const draining = commit.drain().then(() => drained = true);
    syncer.answer();
    await Promise.resolve();
    assert.equal(drained, false);
    assert.deepEqual(syncer.batches, [[1], [2, 3]]);
    syncer.answer();
    await draining;
    assert.deepEqual(closed, [3]);
  });

  it("rejects with the fault", async () => {
    const { syncer, commit } = setUp();
    commit.dirtyLazily(1);
    const draining = commit.drain();
    syncer.answer(new Error("EIO"));
    await assert.rejects(draining, /EIO/);
    await assert.rejects(commit.drain(), /EIO/);
  });
});
