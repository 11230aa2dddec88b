// Publisher confirms of one channel: numbers what is published and acknowledges it, all up to a number at once, when
// it is on disk. A confirm never overtakes an earlier one of its channel. What a queue refused is said at once, by a
// basic.nack of its own, and is never the number of an ack; one for several may pass over it.

import type { CommitWaiter, GroupCommit } from "../store/group_commit.ts";

/** Where confirms go. */
export interface ConfirmsHost {
  /** Sends basic.ack, which confirms `count` messages. */
  acknowledge(upTo: number, multiple: boolean, count: number): void;
  /** Sends basic.nack of this one. */
  refuse(number: number): void;
  /** Sees to it that `settleTurn` is called when the turn ends. */
  endOfTurn(): void;
}

export class Confirms implements CommitWaiter {
  /** Number of the last message published. */
  published = 0;
  #confirmed = 0;
  /** What the running sync covers. */
  #sealed = 0;
  /** Asked the group commit and not yet sealed. */
  #waiting = false;
  /** Refused ones above #confirmed, ascending. */
  #refused: number[] = [];
  readonly #commit: GroupCommit;
  readonly #host: ConfirmsHost;

  constructor(commit: GroupCommit, host: ConfirmsHost) {
    this.#commit = commit;
    this.#host = host;
  }

  /** Published, and neither confirmed nor refused. */
  get openCount(): number {
    return this.published - this.#confirmed - this.#refused.length;
  }

  /** A message was published; `toDisk` when its confirm must wait for the disk. Hot. */
  add(toDisk: boolean, refused: boolean): void {
    this.published++;
    if (refused) return this.#refuse();
    if (this.#waiting) return;
    if (toDisk || this.#sealed > this.#confirmed) {
      this.#waiting = true;
      this.#commit.wait(this);
    } else {
      this.#host.endOfTurn();
    }
  }

  #refuse(): void {
    if (this.#confirmed === this.published - 1) this.#confirmed = this.published;
    else this.#refused.push(this.published);
    this.#host.refuse(this.published);
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
    if (this.#refused.length > 0) return this.#confirmAround(upTo);
    const count = upTo - this.#confirmed;
    this.#confirmed = upTo;
    this.#host.acknowledge(upTo, count > 1, count);
  }

  /** Some were refused: they are told already. */
  #confirmAround(upTo: number): void {
    const refused = this.#refused;
    let within = refused.findIndex((number) => number > upTo);
    if (within < 0) within = refused.length;
    let last = upTo;
    for (let i = within; i > 0 && refused[i - 1] === last; i--) last--;
    const count = upTo - this.#confirmed - within;
    this.#confirmed = upTo;
    // Those that follow at once count as confirmed too: nothing waits for them.
    while (refused[within] === this.#confirmed + 1) {
      this.#confirmed++;
      within++;
    }
    refused.splice(0, within);
    if (count > 0) this.#host.acknowledge(last, count > 1, count);
  }
}
