// Publisher confirms of one channel: numbers what is published and acknowledges it, all up to a number at once, when
// it is on disk. A confirm never overtakes an earlier one of its channel.

import type { CommitWaiter, GroupCommit } from "../store/group_commit.ts";

export class Confirms implements CommitWaiter {
  /** Number of the last message published. */
  published = 0;
  #confirmed = 0;
  /** What the running sync covers. */
  #sealed = 0;
  /** Asked the group commit and not yet sealed. */
  #waiting = false;
  readonly #commit: GroupCommit;
  readonly #acknowledge: (upTo: number, multiple: boolean) => void;
  readonly #endOfTurn: () => void;

  /** `acknowledge` sends basic.ack; `endOfTurn` sees to it that `settleTurn` is called when the turn ends. */
  constructor(
    commit: GroupCommit,
    acknowledge: (upTo: number, multiple: boolean) => void,
    endOfTurn: () => void,
  ) {
    this.#commit = commit;
    this.#acknowledge = acknowledge;
    this.#endOfTurn = endOfTurn;
  }

  /** A message was published; `toDisk` when its confirm must wait for the disk. Hot. */
  add(toDisk: boolean): void {
    this.published++;
    if (this.#waiting) return;
    if (toDisk || this.#sealed > this.#confirmed) {
      this.#waiting = true;
      this.#commit.wait(this);
    } else {
      this.#endOfTurn();
    }
  }

  /** At the end of the turn: what needs no disk and has nothing before it that does. */
  settleTurn(): void {
    if (!this.#waiting && this.#sealed <= this.#confirmed) this.#confirm(this.published);
  }

  seal(): void {
    this.#waiting = false;
    this.#sealed = this.published;
  }

  durable(): void {
    this.#confirm(this.#sealed);
  }

  #confirm(upTo: number): void {
    if (upTo <= this.#confirmed) return;
    const multiple = upTo - this.#confirmed > 1;
    this.#confirmed = upTo;
    this.#acknowledge(upTo, multiple);
  }
}
