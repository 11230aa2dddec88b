// When each message of a publisher was sent and confirmed, on the wall clock that tracers use too.

import type { PublisherClock } from "./load_publisher.ts";

export interface TimesReport {
  /** By message: ms since 1970; 0 for never. */
  readonly publishedMs: readonly number[];
  readonly confirmedMs: readonly number[];
}

export class Times implements PublisherClock {
  readonly #publishedMs: number[] = [];
  readonly #confirmedMs: number[] = [];

  published(number: number): void {
    this.#publishedMs[number] = Date.now();
    this.#confirmedMs[number] = 0;
  }

  confirmed(number: number): void {
    this.#confirmedMs[number] = Date.now();
  }

  report(): TimesReport {
    return { publishedMs: this.#publishedMs, confirmedMs: this.#confirmedMs };
  }
}
