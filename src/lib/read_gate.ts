// Whether a connection's socket is read. Five things hold reading back, and all must be over for it to go on: the peer
// does not read what it asked for, it asked for too much that waits for the disk, an alarm holds and it wants to publish
// or declare, its login has to wait, or it publishes faster than its consumers take.

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
  /** A login has to wait. */
  #held = false;
  /** Too many replies wait for the disk. */
  #waiting = false;
  /** It publishes faster than consumers take. */
  #paced = false;
  readonly #conn: Pausable;
  readonly #opened: () => void;

  /** `opened` is called when nothing holds reading back any more; it goes on with what was read and kept. */
  constructor(conn: Pausable, opened: () => void) {
    this.#conn = conn;
    this.#opened = opened;
  }

  get open(): boolean {
    return !this.#unread && !this.#blocked && !this.#waiting && !this.#held && !this.#paced;
  }

  get unread(): boolean {
    return this.#unread;
  }

  set unread(unread: boolean) {
    this.#change(() => this.#unread = unread);
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  set blocked(blocked: boolean) {
    this.#change(() => this.#blocked = blocked);
  }

  get waiting(): boolean {
    return this.#waiting;
  }

  set waiting(waiting: boolean) {
    this.#change(() => this.#waiting = waiting);
  }

  set paced(paced: boolean) {
    this.#change(() => this.#paced = paced);
  }

  get held(): boolean {
    return this.#held;
  }

  /** Reads nothing for a while, then does `work`, and reads on if that says so. */
  hold(delayMs: number, work: () => boolean): void {
    this.#change(() => this.#held = true);
    const timer = setTimeout(() => {
      if (work()) this.#change(() => this.#held = false);
    }, delayMs);
    timer.unref();
  }

  #change(change: () => void): void {
    const wasOpen = this.open;
    change();
    if (wasOpen && !this.open) this.#conn.pause();
    if (wasOpen || !this.open) return;
    this.#conn.resume();
    this.#opened();
  }
}
