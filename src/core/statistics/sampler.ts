// Takes samples of everything that counts, every few seconds, in slices so that messages do not wait for it, and answers
// what rates follow from them.

import type { Sampled } from "./counters.ts";
import { Series } from "./series.ts";

/** How many things are looked at before others have their turn. */
const SLICE = 2_000;
/** What all samples together may take, bytes; beyond it new ones keep only what a rate needs. */
const SERIES_BYTES_MAX = 64 * 1024 * 1024;
/** Room for the numbers of one sample. */
const NUMBERS_MAX = 32;

export interface SamplerOptions {
  readonly intervalMs: number;
  /** Samples that are kept of each thing. */
  readonly samples: number;
  /** Everything of which samples are taken. */
  readonly sources: () => Iterable<Sampled>;
  readonly now?: () => number;
}

/** A sampled number: what it changes by per second, and how it came there if that was asked for. */
export interface Rate {
  readonly rate: number;
  readonly samples?: readonly { readonly sample: number; readonly timestamp: number }[];
  readonly avg?: number;
  readonly avg_rate?: number;
}

/** Which samples are asked for: how far back, and how far apart. */
export interface SampleRange {
  readonly ageMs: number;
  readonly incrementMs: number;
}

export class Sampler {
  readonly intervalMs: number;
  /** Samples that are kept. */
  readonly samples: number;
  readonly #options: SamplerOptions;
  readonly #now: () => number;
  readonly #values = new Float64Array(NUMBERS_MAX);
  /** When the ticks were that are still of interest; tick n stands at n modulo length. */
  readonly #times: Float64Array;
  #tick = 0;
  #seriesBytes = 0;
  #timer: ReturnType<typeof setInterval> | null = null;
  #running = false;
  #wasReset = false;

  constructor(options: SamplerOptions) {
    this.#options = options;
    this.intervalMs = options.intervalMs;
    this.samples = options.samples;
    this.#now = options.now ?? (() => Date.now());
    this.#times = new Float64Array(options.samples + 1);
    this.#times[0] = this.#now();
  }

  start(): void {
    this.#timer = setInterval(() => void this.sample(), this.intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Takes one sample of everything. One that still runs is not run over. */
  async sample(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      const tick = this.#tick + 1;
      this.#times[tick % this.#times.length] = this.#now();
      let inSlice = 0;
      let bytes = 0;
      for (const source of this.#options.sources()) {
        this.#record(source, tick);
        bytes += source.series?.bytes ?? 0;
        if (++inSlice < SLICE) continue;
        inSlice = 0;
        await new Promise((resolve) => setImmediate(resolve));
      }
      this.#seriesBytes = bytes;
      this.#tick = tick;
      this.#wasReset = false;
    } finally {
      this.#running = false;
    }
  }

  /** Forgets all samples. */
  reset(): void {
    this.#wasReset = true;
    for (const source of this.#options.sources()) source.series = null;
  }

  #record(source: Sampled, tick: number): void {
    const count = source.fields.length;
    const values = this.#values.subarray(0, count);
    source.read(values);
    if (source.series === null) {
      if (!someCounted(values, source.counterCount)) return;
      // Counters began at 0, unless all was forgotten; what a gauge was before is not known.
      const first = new Float64Array(count);
      const unknown = this.#wasReset ? 0 : source.counterCount;
      first.set(values.subarray(unknown), unknown);
      source.series = new Series(first, this.#seriesBytes < SERIES_BYTES_MAX ? this.#options.samples : 1);
    } else if (tick - source.series.newestTick > this.#options.samples && source.series.newestTick >= 0) {
      // All that it knows is too old to be asked for.
      source.series = new Series(source.series.last, this.#options.samples);
    }
    source.series.record(tick, values);
  }

  /** The rate of a number at the last tick, with samples if `range` asks for them. */
  rate(source: Sampled, field: string, range: SampleRange | null = null): Rate {
    const index = source.fields.indexOf(field);
    const { series } = source;
    if (series === null || index < 0) return range === null ? NO_RATE : this.#withSamples(0, range, () => 0);
    const rate = this.rateAt(source, index);
    if (range === null) return { rate };
    const ticks = this.#ticksOf(range);
    const values = series.values(index, ticks);
    return this.#withSamples(rate, range, (place) => values[place]!);
  }

  /** The rate alone of the number that stands at `index` of the source's fields. */
  rateAt({ series }: Sampled, index: number): number {
    return series === null ? 0 : perSecond(series.change(this.#tick, index), this.#times, this.#tick);
  }

  /** Ticks that lie in the range, newest first. */
  #ticksOf({ ageMs, incrementMs }: SampleRange): number[] {
    const step = Math.max(1, Math.round(incrementMs / this.intervalMs));
    const count = Math.min(this.#options.samples, Math.floor(ageMs / this.intervalMs)) + 1;
    const ticks: number[] = [];
    for (let back = 0; back < count && this.#tick - back >= 0; back += step) ticks.push(this.#tick - back);
    return ticks;
  }

  #withSamples(rate: number, range: SampleRange, valueAt: (place: number) => number): Rate {
    const ticks = this.#ticksOf(range);
    const samples = ticks.map((tick, place) => ({
      sample: valueAt(place),
      timestamp: Math.round(this.#times[tick % this.#times.length]!),
    }));
    const [newest, oldest] = [samples[0]!, samples.at(-1)!];
    const seconds = (newest.timestamp - oldest.timestamp) / 1000;
    const sum = samples.reduce((total, { sample }) => total + sample, 0);
    return {
      rate,
      samples,
      avg: sum / samples.length,
      avg_rate: seconds > 0 ? (newest.sample - oldest.sample) / seconds : 0,
    };
  }
}

const NO_RATE: Rate = { rate: 0 };

/** Two rates of numbers that are shown as one. */
export function sumOfRates(a: Rate, b: Rate): Rate {
  const { samples } = a;
  if (samples === undefined || b.samples === undefined) return { rate: a.rate + b.rate };
  return {
    rate: a.rate + b.rate,
    samples: samples.map(({ sample, timestamp }, place) => ({ sample: sample + b.samples![place]!.sample, timestamp })),
    avg: (a.avg ?? 0) + (b.avg ?? 0),
    avg_rate: (a.avg_rate ?? 0) + (b.avg_rate ?? 0),
  };
}

function perSecond(change: number, times: Float64Array, tick: number): number {
  if (tick === 0) return 0;
  const elapsedMs = times[tick % times.length]! - times[(tick - 1) % times.length]!;
  return elapsedMs > 0 ? change * 1000 / elapsedMs : 0;
}

function someCounted(values: Float64Array, counterCount: number): boolean {
  for (let i = 0; i < counterCount; i++) if (values[i] !== 0) return true;
  return false;
}
