// x-expires: a queue that nobody has used for so long goes. In use it is while it has consumers; a get, a declare and
// the last consumer's leaving start its clock again.

import { steadyMs } from "../lib/clock.ts";
import type { Timer, Timers } from "./timers.ts";

export class Lease {
  readonly #expiresMs: number;
  readonly #timers: Timers;
  readonly #inUse: () => boolean;
  readonly #onEnd: () => void;
  #timer: Timer | null = null;
  #endMs = 0;

  constructor(expiresMs: number, timers: Timers, { inUse, onEnd }: { inUse: () => boolean; onEnd: () => void }) {
    this.#expiresMs = expiresMs;
    this.#timers = timers;
    this.#inUse = inUse;
    this.#onEnd = onEnd;
    this.renew();
  }

  renew(): void {
    this.#endMs = steadyMs() + this.#expiresMs;
    // One that is under way sees that the end has moved.
    if (this.#timer === null) this.#wait();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #wait(): void {
    this.#timer = this.#timers.after(Math.max(0, this.#endMs - steadyMs()), () => {
      this.#timer = null;
      // The last consumer renews it.
      if (this.#inUse()) return;
      if (steadyMs() < this.#endMs) this.#wait();
      else this.#onEnd();
    });
  }
}
