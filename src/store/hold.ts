// Whether the end of a turn waits a moment before it writes. Where clients publish, wait for their confirms and publish
// again, and consumers are in step with them, what these settle at once need never be in a file. So they get the chance
// to, of a moment; where they do not take it, the next ones get it less and less often.
//
// What is published meanwhile is the next batch. Nothing is written between batches, so that in the end all of it is taken
// back, or a sync covers it.

/** A store that may have nothing to write if it is given time. */
export interface Holdable {
  /** All that it has to write are a few messages in the hands of consumers, and what these have settled. Default false. */
  readonly mayHold?: boolean;
  /** Where its next message will lie. */
  readonly endPosition?: number;
  /** Nothing of what it has to write that lies before this position is in anybody's hands any more. */
  isSettledTo?(position: number): boolean;
}

const HOLD_MS = 1;
/** After a vain wait so many chances are passed over, twice as many after the next, and so on. */
const SKIPPED_MAX = 1024;
/** With more than these a sync is for so many that nothing is won. */
const STORES_MAX = 64;

export class Hold {
  /** A batch waits. */
  active = false;
  #stores: Holdable[] = [];
  /** Of each, where the batch ends. */
  #ends: number[] = [];
  #begunMs = 0;
  /** Of the batch, and when the timer was started. */
  #number = 0;
  #numberAtStart = 0;
  #skip = 0;
  #skipNext = 1;
  #timer: ReturnType<typeof setTimeout> | null = null;
  readonly #nowMs: () => number;
  readonly #onEnd: () => void;
  readonly #timeUp: () => void;

  /** `onEnd`: the batch has had its time. */
  constructor(nowMs: () => number, onEnd: () => void) {
    this.#nowMs = nowMs;
    this.#onEnd = onEnd;
    this.#timeUp = () => {
      this.#timer = null;
      if (!this.active) return;
      if (this.#number !== this.#numberAtStart) return this.#start();
      this.end();
      this.#wasVain();
      this.#onEnd();
    };
  }

  /** Whether these are stores that nothing is lost by waiting for. */
  suits(stores: readonly Holdable[]): boolean {
    return stores.length <= STORES_MAX && stores.every(({ mayHold }) => mayHold === true);
  }

  /** What stands in these stores shall wait; false when there is nothing to wait for, or it was in vain too often. */
  begin(stores: readonly Holdable[]): boolean {
    if (stores.every((store) => store.isSettledTo!(store.endPosition!))) return false;
    if (this.#skip > 0) {
      this.#skip--;
      return false;
    }
    this.active = true;
    this.#number++;
    this.#begunMs = this.#nowMs();
    for (const store of stores) {
      this.#stores.push(store);
      this.#ends.push(store.endPosition!);
    }
    if (this.#timer === null) this.#start();
    return true;
  }

  /** Consumers have settled the whole batch. It is over then. `syncMs`: what a sync would have taken. */
  isSettled(syncMs: number): boolean {
    for (let i = 0; i < this.#stores.length; i++) {
      if (!this.#stores[i]!.isSettledTo!(this.#ends[i]!)) return false;
    }
    if (this.#nowMs() - this.#begunMs > syncMs) this.#wasVain();
    else this.#skipNext = 1;
    this.end();
    return true;
  }

  /** Nothing waits any more: there is a reason to write at once, say. */
  end(): void {
    this.active = false;
    this.#stores.length = 0;
    this.#ends.length = 0;
  }

  #wasVain(): void {
    this.#skip = this.#skipNext;
    this.#skipNext = Math.min(2 * this.#skipNext, SKIPPED_MAX);
  }

  #start(): void {
    this.#numberAtStart = this.#number;
    this.#timer = setTimeout(this.#timeUp, HOLD_MS);
  }
}
