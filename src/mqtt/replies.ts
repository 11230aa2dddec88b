// Answers that wait for the disk (SUBACK, UNSUBACK of sessions that survive), and those behind them, in order.

import type { CommitWaiter, GroupCommit } from "../store/group_commit.ts";

export class Replies implements CommitWaiter {
  #entries: (() => void)[] = [];
  #sealed = 0;
  readonly #commit: GroupCommit;

  constructor(commit: GroupCommit) {
    this.#commit = commit;
  }

  add(toDisk: boolean, reply: () => void): void {
    if (!toDisk && this.#entries.length === 0) return reply();
    this.#entries.push(reply);
    this.#commit.wait(this);
  }

  seal(): void {
    this.#sealed = this.#entries.length;
  }

  durable(): void {
    const due = this.#entries.splice(0, this.#sealed);
    this.#sealed = 0;
    for (const reply of due) reply();
  }
}
