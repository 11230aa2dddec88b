// Whether a connection's socket is read. Two things hold reading back, and both must be over for it to go on: the peer
// does not read what it asked for, or an alarm holds and it wants to publish or declare.

/** What is held back. */
export interface Pausable {
  pause(): void;
  resume(): void;
}

export class ReadGate {
  /** The peer does not read what it asked for. */
  #unread = false;
  /** An alarm holds. */
  #blocked = false;
  readonly #conn: Pausable;

  constructor(conn: Pausable) {
    this.#conn = conn;
  }

  get open(): boolean {
    return !this.#unread && !this.#blocked;
  }

  get unread(): boolean {
    return this.#unread;
  }

  set unread(unread: boolean) {
    this.#change(unread, this.#blocked);
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  set blocked(blocked: boolean) {
    this.#change(this.#unread, blocked);
  }

  #change(unread: boolean, blocked: boolean): void {
    const wasOpen = this.open;
    this.#unread = unread;
    this.#blocked = blocked;
    if (wasOpen && !this.open) this.#conn.pause();
    if (!wasOpen && this.open) this.#conn.resume();
  }
}
