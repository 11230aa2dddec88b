// Whether a connection's socket is read. Three things hold reading back, and all must be over for it to go on: the peer
// does not read what it asked for, or an alarm holds and it wants to publish or declare, or its login has to wait.

import type { Conn } from "../runtime/runtime.ts";

export class ReadGate {
  /** The peer does not read what it asked for. */
  #unread = false;
  /** An alarm holds. */
  #blocked = false;
  /** A login has to wait. */
  #held = false;
  readonly #conn: Conn;

  constructor(conn: Conn) {
    this.#conn = conn;
  }

  get open(): boolean {
    return !this.#unread && !this.#blocked && !this.#held;
  }

  get unread(): boolean {
    return this.#unread;
  }

  set unread(unread: boolean) {
    this.#change(unread, this.#blocked, this.#held);
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  set blocked(blocked: boolean) {
    this.#change(this.#unread, blocked, this.#held);
  }

  get held(): boolean {
    return this.#held;
  }

  /** Reads nothing for a while. */
  hold(delayMs: number, then: () => void): void {
    this.#change(this.#unread, this.#blocked, true);
    const timer = setTimeout(() => {
      this.#change(this.#unread, this.#blocked, false);
      then();
    }, delayMs);
    timer.unref();
  }

  #change(unread: boolean, blocked: boolean, held: boolean): void {
    const wasOpen = this.open;
    this.#unread = unread;
    this.#blocked = blocked;
    this.#held = held;
    if (wasOpen && !this.open) this.#conn.pause();
    if (!wasOpen && this.open) this.#conn.resume();
  }
}
