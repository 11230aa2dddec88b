import { test } from "node:test";
import assert from "node:assert/strict";
import { GroupCommit } from "../store/group_commit.ts";
import { Confirms } from "./confirms.ts";

/** A disk whose syncs end when the test says so, and a turn that ends when the test says so. */
function surroundings() {
  const running: ((fault: Error | null) => void)[] = [];
  const syncer = {
    sync: (_fds: readonly number[], done: (fault: Error | null) => void) => void running.push(done),
    close: () => Promise.resolve(),
  };
  const commit = new GroupCommit({ syncer, onFault: () => {}, lazySyncMs: 3_600_000 });
  const acks: [upTo: number, multiple: boolean][] = [];
  let due = false;
  const confirms = new Confirms(commit, (upTo, multiple) => acks.push([upTo, multiple]), () => due = true);
  const endTurn = (): void => {
    commit.endTurn();
    if (due) confirms.settleTurn();
    due = false;
  };
  const publish = (toDisk: boolean): void => {
    if (toDisk) commit.dirty(7);
    confirms.add(toDisk);
  };
  return { running, acks, publish, endTurn };
}

test("what must reach the disk is confirmed when its sync is done, and not before", () => {
  const { running, acks, publish, endTurn } = surroundings();
  publish(true);
  publish(true);
  endTurn();
  assert.deepEqual(acks, []);
  running.shift()!(null);
  assert.deepEqual(acks, [[2, true]]);
});

test("what is published while a sync runs waits for the next one", () => {
  const { running, acks, publish, endTurn } = surroundings();
  publish(true);
  endTurn();
  publish(true);
  endTurn();
  assert.equal(running.length, 1);
  running.shift()!(null);
  assert.deepEqual(acks, [[1, false]]);
  assert.equal(running.length, 1, "the next batch begins at once");
  running.shift()!(null);
  assert.deepEqual(acks, [[1, false], [2, false]]);
});

test("what needs no disk is confirmed at the end of the turn", () => {
  const { running, acks, publish, endTurn } = surroundings();
  publish(false);
  publish(false);
  assert.deepEqual(acks, []);
  endTurn();
  assert.deepEqual(acks, [[2, true]]);
  assert.equal(running.length, 0);
});

test("a confirm never overtakes an earlier one that waits for the disk", () => {
  const { running, acks, publish, endTurn } = surroundings();
  publish(true);
  endTurn();
  publish(false);
  endTurn();
  publish(false);
  publish(true);
  endTurn();
  assert.deepEqual(acks, []);
  running.shift()!(null);
  assert.deepEqual(acks, [[1, false]]);
  running.shift()!(null);
  assert.deepEqual(acks, [[1, false], [4, true]]);
});

test("after a failed sync nothing is confirmed any more", () => {
  const { running, acks, publish, endTurn } = surroundings();
  publish(true);
  endTurn();
  publish(true);
  running.shift()!(new Error("EIO"));
  endTurn();
  publish(true);
  endTurn();
  assert.deepEqual(acks, []);
  assert.equal(running.length, 0);
});
