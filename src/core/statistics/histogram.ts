// How long something takes, in buckets as Prometheus has them.

import type { StoreEventKind } from "../../store/store_event.ts";

/** Upper bounds, seconds. */
const BOUNDS: readonly number[] = [
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
];

export class Histogram {
  readonly bounds = BOUNDS;
  sum = 0;
  count = 0;
  readonly #counts = new Float64Array(BOUNDS.length + 1);

  observe(seconds: number): void {
    let index = 0;
    while (index < BOUNDS.length && seconds > BOUNDS[index]!) index++;
    this.#counts[index] = this.#counts[index]! + 1;
    this.sum += seconds;
    this.count++;
  }

  /** For each bound, how many took no longer. */
  cumulative(): number[] {
    let total = 0;
    return BOUNDS.map((_, index) => total += this.#counts[index]!);
  }
}

/** What the broker watches of itself beside messages. */
export class Observations {
  readonly syncs = new Histogram();
  readonly loopLag = new Histogram();
  /** What the store had to report, by kind. */
  readonly storeEvents = new Map<StoreEventKind, number>();

  storeEvent(kind: StoreEventKind): void {
    this.storeEvents.set(kind, (this.storeEvents.get(kind) ?? 0) + 1);
  }
}
