// Whether a connection's socket is read. Three things hold reading back, and all must be over for it to go on: the peer
// does not read what it asked for, it asked for more than the disk has answered yet, or an alarm holds and it wants to
// publish or declare.

import { REPLIES_WAITING_MAX } from "../limits.ts";
import type { Conn } from "../runtime/runtime.ts";

export class ReadGate {
  /** The peer does not read what it asked for. */
  #unread = false;
  /** An alarm holds. */
  #blocked = false;
  /** Too many replies wait for the disk. */
  #unanswered = false;
  #repliesWaiting = 0;
  readonly #conn: Conn;
  readonly #goOn: () => void;

  /** `goOn`: replies were written, on behalf of somebody else, and reading is to go on. */
  constructor(conn: Conn, goOn: () => void) {
    this.#conn = conn;
    this.#goOn = goOn;
  }

  get open(): boolean {
    return !this.#unread && !this.#blocked && !this.#unanswered;
  }

  get unread(): boolean {
    return this.#unread;
  }

  set unread(unread: boolean) {
    this.#change(unread, this.#blocked, this.#unanswered);
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  set blocked(blocked: boolean) {
    this.#change(this.#unread, blocked, this.#unanswered);
  }

  /** So many replies more, or, below 0, fewer wait for the disk. What was read already is still worked on. */
  waitForReplies(count: number): void {
    this.#repliesWaiting += count;
    if (!this.#unanswered) {
      if (this.#repliesWaiting >= REPLIES_WAITING_MAX) this.#change(this.#unread, this.#blocked, true);
    } else if (this.#repliesWaiting === 0) {
      this.#change(this.#unread, this.#blocked, false);
      if (this.open) queueMicrotask(this.#goOn);
    }
  }

  #change(unread: boolean, blocked: boolean, unanswered: boolean): void {
    const wasOpen = this.open;
    this.#unread = unread;
    this.#blocked = blocked;
    this.#unanswered = unanswered;
    if (wasOpen && !this.open) this.#conn.pause();
    if (!wasOpen && this.open) this.#conn.resume();
  }
}
