// The sums that management shows of virtual hosts and of the whole broker, and the sampler over everything that counts.

import type { VirtualHost } from "../virtual_host.ts";
import { ChannelCounters, type Sampled, Traffic } from "./counters.ts";
import { Registry } from "./registry.ts";
import { Sampler } from "./sampler.ts";
import type { Series } from "./series.ts";

/** Messages of several queues together. */
export class Lengths implements Sampled {
  ready = 0;
  unacknowledged = 0;
  /** Everything that was ever counted in: a series begins with it. */
  seen = 0;
  series: Series | null = null;

  get fields(): readonly string[] {
    return ["seen", "messages_ready", "messages_unacknowledged"];
  }

  get counterCount(): number {
    return 1;
  }

  read(into: Float64Array): void {
    into[0] = this.seen;
    into[1] = this.ready;
    into[2] = this.unacknowledged;
  }
}

/** What is shown of a virtual host, or of all. */
export class Totals {
  readonly counters = new ChannelCounters();
  readonly traffic = new Traffic();
  readonly lengths = new Lengths();
}

export interface StatisticsOptions {
  readonly registry: Registry;
  readonly vhosts: ReadonlyMap<string, VirtualHost>;
  readonly intervalMs: number;
  readonly samples: number;
  /** Others that count. */
  readonly others?: readonly Sampled[];
}

export class Statistics {
  readonly registry: Registry;
  readonly sampler: Sampler;
  readonly #overall = new Totals();
  readonly #byVhost = new Map<string, Totals>();
  readonly #options: StatisticsOptions;

  constructor(options: StatisticsOptions) {
    this.#options = options;
    this.registry = options.registry;
    this.sampler = new Sampler({
      intervalMs: options.intervalMs,
      samples: options.samples,
      sources: () => this.#sources(),
    });
  }

  /** The sums over everything, as of now. */
  get overall(): Totals {
    this.refresh();
    return this.#overall;
  }

  /** The sums of one virtual host, as of the last `refresh`. */
  of(vhost: string): Totals {
    let totals = this.#byVhost.get(vhost);
    if (totals === undefined) this.#byVhost.set(vhost, totals = new Totals());
    return totals;
  }

  /** The sums of some virtual hosts, as of now; without samples. */
  sumOf(vhosts: readonly string[]): Totals {
    this.refresh();
    const sum = new Totals();
    for (const name of vhosts) {
      const { counters, traffic, lengths } = this.of(name);
      sum.counters.add(counters);
      sum.traffic.add(traffic);
      sum.lengths.ready += lengths.ready;
      sum.lengths.unacknowledged += lengths.unacknowledged;
    }
    return sum;
  }

  /** Sums up anew. */
  refresh(): void {
    const { registry, vhosts } = this.#options;
    const sums = registry.totals();
    const overall = this.#overall;
    const all = new Totals();
    for (const [name, vhost] of vhosts) {
      const totals = this.of(name);
      const sum = sums.get(name);
      if (sum !== undefined) {
        assign(totals, sum);
      }
      measure(totals.lengths, vhost);
      all.lengths.ready += totals.lengths.ready;
      all.lengths.unacknowledged += totals.lengths.unacknowledged;
    }
    // What virtual hosts that are gone have counted has been.
    for (const { counters, traffic } of sums.values()) {
      all.counters.add(counters);
      all.traffic.add(traffic);
    }
    assign(overall, all);
    overall.lengths.ready = all.lengths.ready;
    overall.lengths.unacknowledged = all.lengths.unacknowledged;
    overall.lengths.seen += all.lengths.ready;
    for (const name of this.#byVhost.keys()) if (!vhosts.has(name)) this.#byVhost.delete(name);
  }

  *#sources(): Iterable<Sampled> {
    const { registry, vhosts, others } = this.#options;
    this.refresh();
    yield this.#overall.counters;
    yield this.#overall.traffic;
    yield this.#overall.lengths;
    yield registry.churn;
    yield* others ?? [];
    for (const { counters, traffic, lengths } of this.#byVhost.values()) {
      yield counters;
      yield traffic;
      yield lengths;
    }
    for (const connection of registry.connections()) {
      yield connection.traffic;
      for (const channel of connection.channels) yield channel.counters;
    }
    for (const vhost of vhosts.values()) {
      for (const exchange of vhost.exchanges.values()) yield exchange.counters;
      for (const queue of vhost.queues.values()) yield queue.counters;
    }
  }
}

function assign(totals: Totals, from: { counters: ChannelCounters; traffic: Traffic }): void {
  const { counters, traffic } = totals;
  const { series } = counters;
  const trafficSeries = traffic.series;
  Object.assign(counters, from.counters, { series });
  Object.assign(traffic, from.traffic, { series: trafficSeries });
}

function measure(lengths: Lengths, vhost: VirtualHost): void {
  let ready = 0;
  let unacknowledged = 0;
  for (const queue of vhost.queues.values()) {
    const { messages } = queue.counters;
    ready += messages.readyCount;
    unacknowledged += messages.unackedCount;
  }
  lengths.ready = ready;
  lengths.unacknowledged = unacknowledged;
  lengths.seen += ready;
}
