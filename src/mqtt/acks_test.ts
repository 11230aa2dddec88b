import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CommitWaiter, GroupCommit } from "../store/group_commit.ts";
import { PUBACK, PUBREC } from "../wire/mqtt_packet.ts";
import { Acks } from "./acks.ts";

/** A commit whose syncs begin and end when the test says so. */
class SlowCommit {
  readonly #waiters = new Set<CommitWaiter>();
  #sealed: CommitWaiter[] | null = null;

  wait(waiter: CommitWaiter): void {
    this.#waiters.add(waiter);
  }

  begin(): void {
    if (this.#sealed !== null) return;
    this.#sealed = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of this.#sealed) waiter.seal();
  }

  end(): void {
    const sealed = this.#sealed ?? [];
    this.#sealed = null;
    for (const waiter of sealed) waiter.durable();
  }
}

test("acknowledgements keep the order of their messages, and none is ahead of the disk [MQTT-4.6.0-2]", () => {
  const steps = fc.array(fc.constantFrom("memory", "disk", "turn", "begin", "end"), { maxLength: 120 });
  fc.assert(fc.property(steps, (all) => {
    const commit = new SlowCommit();
    const said: number[] = [];
    let turnAsked = false;
    const acks = new Acks(commit as unknown as GroupCommit, {
      acknowledge: (type, id, code) => {
        assert.deepEqual([type, code], id % 2 === 0 ? [PUBACK, 0] : [PUBREC, 0x10]);
        said.push(id);
      },
      endOfTurn: () => void (turnAsked = true),
    });
    let id = 0;
    /** Identifiers whose message is not on disk yet; those that the running sync covers; those that need no disk. */
    const dirty = new Set<number>();
    let covered: number[] | null = null;
    for (const step of all) {
      if (step === "memory" || step === "disk") {
        id++;
        if (step === "disk") dirty.add(id);
        acks.add(id % 2 === 0 ? PUBACK : PUBREC, id, id % 2 === 0 ? 0 : 0x10, step === "disk");
      } else if (step === "turn") {
        if (turnAsked) acks.settleTurn();
        turnAsked = false;
      } else if (step === "begin") {
        if (covered === null) covered = [...dirty];
        commit.begin();
      } else {
        for (const one of covered ?? []) dirty.delete(one);
        covered = null;
        commit.end();
      }
      assert.deepEqual(said, said.map((_, index) => index + 1), "in order, each once");
      for (const one of dirty) assert.ok(!said.includes(one), `${one} is not on disk yet`);
    }
    commit.end();
    commit.begin();
    commit.end();
    if (turnAsked) acks.settleTurn();
    assert.equal(said.length, id, "in the end all are said");
    assert.equal(acks.pubacksPending, 0);
  }));
});
