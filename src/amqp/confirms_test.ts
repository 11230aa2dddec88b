import { test } from "node:test";
import assert from "node:assert/strict";
import { GroupCommit } from "../store/group_commit.ts";
import fc from "fast-check";
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
  const nacks: number[] = [];
  let due = false;
  const confirms = new Confirms(commit, {
    acknowledge: (upTo, multiple) => acks.push([upTo, multiple]),
    refuse: (number) => nacks.push(number),
    endOfTurn: () => due = true,
  });
  const endTurn = (): void => {
    commit.endTurn();
    if (due) confirms.settleTurn();
    due = false;
  };
  const publish = (toDisk: boolean, refused = false): void => {
    if (toDisk) commit.dirty(7);
    confirms.add(toDisk, refused);
  };
  return { running, acks, nacks, publish, endTurn };
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

test("what is refused is said at once, and no ack ends on it", () => {
  const { running, acks, nacks, publish, endTurn } = surroundings();
  publish(true);
  publish(true, true);
  assert.deepEqual(nacks, [2]);
  endTurn();
  running.shift()!(null);
  assert.deepEqual(acks, [[1, false]]);
  publish(true, true);
  publish(true);
  publish(true, true);
  publish(true);
  publish(true, true);
  endTurn();
  running.shift()!(null);
  assert.deepEqual(acks, [[1, false], [6, true]]);
  assert.deepEqual(nacks, [2, 3, 5, 7]);
});

test("whatever is published, accepted, refused and synced in whatever order, each number is told once and rightly", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("publish"), toDisk: fc.boolean(), refused: fc.boolean() }) },
    { weight: 2, arbitrary: fc.constant({ kind: "turn", toDisk: false, refused: false }) },
    { weight: 2, arbitrary: fc.constant({ kind: "synced", toDisk: false, refused: false }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { running, acks, nacks, publish, endTurn } = surroundings();
      const open = new Set<number>();
      const onDisk = new Set<number>();
      const refusals: number[] = [];
      let [number, read] = [0, 0];
      // Numbers up to which the sync that runs covers, and those that are done have covered.
      let [begun, covered] = [0, 0];
      const check = (): void => {
        for (; read < acks.length; read++) {
          const [upTo, multiple] = acks[read]!;
          assert.ok(open.has(upTo), `${upTo} is acknowledged, which is told already`);
          const told = multiple ? [...open].filter((tag) => tag <= upTo) : [upTo];
          assert.equal(Math.min(...open), told[0], "the oldest is told first");
          for (const tag of told) {
            assert.ok(!onDisk.has(tag) || tag <= covered, `${tag} is not on disk`);
            open.delete(tag);
          }
        }
        if (running.length > 0 && begun <= covered) begun = number;
      };
      const sync = (): void => {
        covered = begun;
        running.shift()!(null);
      };
      for (const { kind, toDisk, refused } of steps) {
        if (kind === "publish") {
          number++;
          if (refused) refusals.push(number);
          else open.add(number);
          if (toDisk) onDisk.add(number);
          publish(toDisk, refused);
        } else if (kind === "turn") {
          endTurn();
        } else if (running.length > 0) {
          sync();
        }
        check();
      }
      endTurn();
      check();
      while (running.length > 0) {
        sync();
        check();
      }
      assert.deepEqual(nacks, refusals);
      assert.deepEqual([...open], [], "everything is told in the end");
    }),
    { numRuns: 300 },
  );
});
