// Whether the end of a turn waits a moment before it writes. One client publishes, waits for its confirm, publishes again,
// and consumers are in step with it: what they settle at once need never be in a file. So they get the chance to, of a
// millisecond; where they do not take it, the next ones get it less and less often.

/** A store that may have nothing to write if it is given time. */
export interface Holdable {
  /** Messages in the hands of consumers, when they and what was settled of them are all that is to be written; else -1. */
  readonly heldCount?: number;
}

const HOLD_MS = 1;
/** After a vain wait so many chances are passed over, twice as many after the next, and so on. */
const SKIPPED_MAX = 1024;

export class Hold {
  #active = false;
  /** Of the one that is active, and when the timer was started. */
  #number = 0;
  #numberAtStart = 0;
  #skip = 0;
  #skipNext = 1;
  #timer: ReturnType<typeof setTimeout> | null = null;
  readonly #onEnd: () => void;
  readonly #timeUp: () => void;

  /** `onEnd`: they had their time. */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#timeUp = () => {
      this.#timer = null;
      if (!this.#active) return;
      if (this.#number !== this.#numberAtStart) return this.#start();
      this.#active = false;
      this.#skip = this.#skipNext;
      this.#skipNext = Math.min(2 * this.#skipNext, SKIPPED_MAX);
      this.#onEnd();
    };
  }

  /** True when what `stores` have to write should wait. */
  waits(stores: readonly Holdable[]): boolean {
    let held = 0;
    for (const { heldCount = -1 } of stores) {
      if (heldCount < 0) return this.#active = false;
      held += heldCount;
    }
    if (held === 0) {
      if (this.#active) this.#skipNext = 1;
      return this.#active = false;
    }
    if (this.#active) return true;
    if (this.#skip > 0) {
      this.#skip--;
      return false;
    }
    this.#active = true;
    this.#number++;
    if (this.#timer === null) this.#start();
    return true;
  }

  /** There are reasons to write at once. */
  end(): void {
    this.#active = false;
  }

  #start(): void {
    this.#numberAtStart = this.#number;
    this.#timer = setTimeout(this.#timeUp, HOLD_MS);
  }
}
