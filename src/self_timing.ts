// What the broker watches of itself: how long syncs take, and how late its event loop is.

import type { Histogram } from "./core/statistics/histogram.ts";
import type { Syncer } from "./runtime/runtime.ts";

/** How often the loop is looked at, milliseconds. */
const LOOK_MS = 500;

/** A syncer that notes how long each sync takes. */
export function timedSyncer(syncer: Syncer, durations: Histogram): Syncer {
  return {
    sync(fds, done) {
      const begunMs = performance.now();
      syncer.sync(fds, (fault) => {
        durations.observe((performance.now() - begunMs) / 1000);
        done(fault);
      });
    },
    close: () => syncer.close(),
  };
}

/** How much later than asked for a timer runs. */
export class LoopLag {
  readonly #lags: Histogram;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(lags: Histogram) {
    this.#lags = lags;
  }

  start(): void {
    const dueMs = performance.now() + LOOK_MS;
    this.#timer = setTimeout(() => {
      this.#lags.observe(Math.max(0, performance.now() - dueMs) / 1000);
      this.start();
    }, LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
