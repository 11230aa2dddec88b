// For tests of the group commit: a syncer that is moved by hand, and somebody who waits.

import assert from "node:assert/strict";
import type { Syncer } from "../runtime/runtime.ts";
import { type CommitWaiter, GroupCommit } from "./group_commit.ts";

/** Answers when the test says so. */
export class HeldSyncer implements Syncer {
  readonly batches: number[][] = [];
  /** Of each batch, whether the syncer might have done it within the call. */
  readonly mayBlock: boolean[] = [];
  #done: ((fault: Error | null) => void) | null = null;
  #begun: (() => void) | null = null;

  get running(): boolean {
    return this.#done !== null;
  }

  sync(fds: readonly number[], done: (fault: Error | null) => void, mayBlock = false): void {
    assert.equal(this.#done, null, "one sync at a time");
    assert.ok(fds.length > 0, "a sync of nothing");
    this.mayBlock.push(mayBlock);
    this.batches.push([...fds].sort((a, b) => a - b));
    this.#done = done;
    this.#begun?.();
  }

  answer(fault: Error | null = null): void {
    const done = this.#done!;
    this.#done = null;
    done(fault);
  }

  /** Resolves when a sync runs. */
  begun(): Promise<void> {
    return new Promise((resolve) => this.running ? resolve() : this.#begun = resolve);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export class Waiter implements CommitWaiter {
  readonly told: string[] = [];
  onDurable: () => void = () => {};

  seal(): void {
    this.told.push("seal");
  }

  durable(): void {
    this.told.push("durable");
    this.onDurable();
  }
}

export function setUp(lazySyncMs = 60_000) {
  const syncer = new HeldSyncer();
  const faults: Error[] = [];
  const clock = { nowMs: 0 };
  const nowMs = () => clock.nowMs;
  const commit = new GroupCommit({ syncer, onFault: (fault) => faults.push(fault), lazySyncMs, nowMs });
  return { syncer, faults, commit, clock };
}
