// Clients that wait for each confirm: when a sync is done at once, and when nothing is written yet.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setUp, Waiter } from "./group_commit_testing.ts";

describe("group commit, for one alone", () => {
  const round = () => new Promise((resolve) => setImmediate(resolve));

  it("lets a sync block for who publishes, waits and publishes again, once in a round of the event loop", async () => {
    const { syncer, commit } = setUp();
    const publish = (waits = 1) => {
      commit.dirty(5);
      for (let count = 0; count < waits; count++) commit.wait(new Waiter());
      commit.endTurn();
    };
    const publishAlone = (waits = 1) => {
      publish(waits);
      syncer.answer();
    };
    publishAlone();
    publishAlone();
    publishAlone();
    assert.deepEqual(syncer.mayBlock, [false, true, false], "the third was in the same round");
    await round();
    publishAlone();
    assert.equal(syncer.mayBlock.at(-1), true);
    await round();
    publishAlone(2);
    await round();
    assert.equal(syncer.mayBlock.at(-1), false, "two waited");
    publishAlone();
    assert.equal(syncer.mayBlock.at(-1), false, "the last sync was for two");
    await round();
    publish();
    assert.equal(syncer.mayBlock.at(-1), true);
    publish();
    syncer.answer();
    assert.equal(syncer.mayBlock.at(-1), false, "somebody came while a sync ran");
    syncer.answer();
    await round();
    commit.dirtyLazily(6);
    publishAlone();
    assert.equal(syncer.mayBlock.at(-1), false, "two files");
  });

  /** What was published lies with consumers until `settled`. */
  function publisher() {
    const { syncer, commit, clock } = setUp();
    commit.dirty(5);
    commit.wait(new Waiter());
    commit.endTurn();
    clock.nowMs += 8;
    syncer.answer();
    const publish = (mayHold = true) => {
      let isSettled = false;
      const store = {
        mayHold,
        endPosition: 1,
        isSettledTo: () => isSettled,
        flush: () => {
          if (!isSettled) commit.dirty(5);
        },
      };
      const waiter = new Waiter();
      commit.touch(store);
      commit.wait(waiter);
      commit.endTurn();
      const settle = () => {
        isSettled = true;
        commit.endTurn();
      };
      return { waiter, settle };
    };
    return { syncer, commit, clock, publish };
  }

  it("lets consumers in step settle first: what they have settled needs no disk", () => {
    const { syncer, publish } = publisher();
    for (let count = 0; count < 3; count++) {
      const { waiter, settle } = publish();
      assert.deepEqual([waiter.told, syncer.running], [["seal"], false]);
      settle();
      assert.deepEqual([waiter.told, syncer.running], [["seal", "durable"], false]);
    }
  });

  it("waits for them no more than a moment, and less often when that was in vain", async () => {
    const { syncer, publish } = publisher();
    for (const expected of [0, 1, 2, 4]) {
      let atOnce = 0;
      let { waiter } = publish();
      for (; syncer.running; { waiter } = publish()) {
        syncer.answer();
        atOnce++;
      }
      await syncer.begun();
      assert.deepEqual([atOnce, waiter.told], [expected, ["seal"]]);
      syncer.answer();
      assert.deepEqual(waiter.told, ["seal", "durable"]);
    }
  });

  it("waits less often for consumers that take longer than syncs", () => {
    const { syncer, clock, publish } = publisher();
    publish().settle();
    const slow = publish();
    clock.nowMs += 3;
    slow.settle();
    assert.deepEqual([slow.waiter.told, syncer.running], [["seal", "durable"], false]);
    publish();
    assert.equal(syncer.running, true);
    syncer.answer();
    publish();
    assert.equal(syncer.running, false);
  });

  it("tells those of a batch whose messages are settled while others go on", () => {
    const { syncer, publish } = publisher();
    const [first, second] = [publish(), publish()];
    assert.deepEqual([first.waiter.told, second.waiter.told], [["seal"], []]);
    first.settle();
    assert.deepEqual([first.waiter.told, second.waiter.told], [["seal", "durable"], ["seal"]]);
    second.settle();
    assert.deepEqual([second.waiter.told, syncer.running], [["seal", "durable"], false]);
  });

  it("has one sync for those who were held and those who came behind them, when something else is to be written", () => {
    const { syncer, publish } = publisher();
    const { waiter } = publish();
    const second = publish();
    assert.deepEqual([waiter.told, second.waiter.told, syncer.running], [["seal"], [], false]);
    const third = publish(false);
    assert.equal(syncer.running, true);
    syncer.answer();
    for (const { told } of [waiter, second.waiter, third.waiter]) assert.deepEqual(told, ["seal", "durable"]);
    assert.equal(syncer.running, false);
  });

  it("syncs what was settled before also for those whose messages need no disk", () => {
    const { syncer, commit, publish } = publisher();
    commit.dirtyLazily(7);
    const { waiter, settle } = publish();
    const second = publish();
    assert.equal(syncer.running, false);
    settle();
    assert.deepEqual([syncer.batches.at(-1), waiter.told, second.waiter.told], [[7], ["seal"], []]);
    second.settle();
    const third = publish();
    assert.deepEqual(third.waiter.told, [], "while a sync runs nobody else is told");
    syncer.answer();
    assert.deepEqual([waiter.told, syncer.running], [["seal", "durable"], false]);
    third.settle();
    assert.deepEqual([second.waiter.told, third.waiter.told], [["seal", "durable"], ["seal", "durable"]]);
    assert.equal(syncer.batches.length, 2);
  });
});
