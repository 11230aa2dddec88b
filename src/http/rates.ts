// Counters as RabbitMQ shows them: `publish` beside `publish_details` with its rate, and samples where the request asks
// for some (`msg_rates_age`, `msg_rates_incr`, ...).

import { z } from "@hono/zod-openapi";
import type { Sampled } from "../core/statistics/counters.ts";
import { type Rate, type Sampler, type SampleRange, sumOfRates } from "../core/statistics/sampler.ts";

const SECONDS_MAX = 86_400 * 30;
const seconds = z.string().regex(/^\d{1,9}$/, "expected a whole number of seconds").transform(Number)
  .refine((value) => value <= SECONDS_MAX, `at most ${SECONDS_MAX} seconds`);

function rangeQuery<Name extends string>(name: Name, what: string) {
  return {
    [`${name}_age`]: seconds.optional().describe(`samples of ${what} that go back so many seconds`),
    [`${name}_incr`]: seconds.optional().describe("seconds between them"),
  } as Record<`${Name}_age` | `${Name}_incr`, z.ZodOptional<typeof seconds>>;
}

/** What the answer about one thing understands: which samples are wanted, and which fields. */
export const ratesQuery = z.object({
  columns: z.string().max(4096).optional().describe("fields that are answered, with commas between them"),
  ...rangeQuery("msg_rates", "messages"),
  ...rangeQuery("lengths", "lengths of queues"),
  ...rangeQuery("data_rates", "octets sent and received"),
  ...rangeQuery("node_stats", "the node's own numbers"),
});

export type RatesQuery = z.output<typeof ratesQuery>;

/** Which samples belong to which numbers. */
export class Rates {
  readonly messages: SampleRange | null;
  readonly lengths: SampleRange | null;
  readonly data: SampleRange | null;
  readonly node: SampleRange | null;
  readonly #sampler: Sampler;

  constructor(sampler: Sampler, query: Partial<RatesQuery> = {}) {
    this.#sampler = sampler;
    this.messages = rangeOf(query.msg_rates_age, query.msg_rates_incr);
    this.lengths = rangeOf(query.lengths_age, query.lengths_incr);
    this.data = rangeOf(query.data_rates_age, query.data_rates_incr);
    this.node = rangeOf(query.node_stats_age, query.node_stats_incr);
  }

  of(source: Sampled, field: string, range: SampleRange | null): Rate {
    return this.#sampler.rate(source, field, range);
  }

  /** Each of `fields` and its details. */
  all(source: Sampled, fields: readonly string[], range: SampleRange | null): Record<string, unknown> {
    const values = valuesOf(source);
    const result: Record<string, unknown> = {};
    for (const field of fields) {
      result[field] = values.get(field) ?? 0;
      result[`${field}_details`] = this.of(source, field, range);
    }
    return result;
  }

  /** `message_stats`; undefined when nothing has happened yet. */
  messageStats(source: Sampled, range = this.messages): Record<string, unknown> | undefined {
    const values = valuesOf(source);
    const happened = (fields: readonly string[]) => fields.some((field) => (values.get(field) ?? 0) > 0);
    const published = PUBLISHED.filter((field) => values.has(field));
    const delivered = DELIVERED.filter((field) => values.has(field));
    if (!happened(published) && !happened(delivered)) return undefined;
    return {
      ...(happened(delivered) ? { ...this.all(source, delivered, range), ...this.#deliverGet(source, range) } : {}),
      ...(happened(published) ? this.all(source, published, range) : {}),
    };
  }

  #deliverGet(source: Sampled, range: SampleRange | null): Record<string, unknown> {
    const values = valuesOf(source);
    return {
      deliver_get: DELIVER_GET.reduce((sum, field) => sum + (values.get(field) ?? 0), 0),
      deliver_get_details: DELIVER_GET.map((field) => this.of(source, field, range)).reduce(sumOfRates),
    };
  }

  /** `messages` and its parts, each with details. */
  lengthsOf(source: Sampled, range = this.lengths): Record<string, unknown> {
    const values = valuesOf(source);
    const ready = this.of(source, "messages_ready", range);
    const unacknowledged = this.of(source, "messages_unacknowledged", range);
    return {
      messages: values.get("messages_ready")! + values.get("messages_unacknowledged")!,
      messages_details: sumOfRates(ready, unacknowledged),
      messages_ready: values.get("messages_ready")!,
      messages_ready_details: ready,
      messages_unacknowledged: values.get("messages_unacknowledged")!,
      messages_unacknowledged_details: unacknowledged,
    };
  }
}

const PUBLISHED: readonly string[] = ["publish", "confirm", "return_unroutable", "drop_unroutable"];
const DELIVERED: readonly string[] = [
  "ack",
  "deliver",
  "deliver_no_ack",
  "get",
  "get_empty",
  "get_no_ack",
  "redeliver",
];
const DELIVER_GET: readonly string[] = ["deliver", "deliver_no_ack", "get", "get_no_ack"];

export function valuesOf(source: Sampled): Map<string, number> {
  const values = new Float64Array(source.fields.length);
  source.read(values);
  return new Map(source.fields.map((field, index) => [field, values[index]!]));
}

function rangeOf(age: number | undefined, increment: number | undefined): SampleRange | null {
  if (age === undefined) return null;
  return { ageMs: age * 1000, incrementMs: Math.max(1, increment ?? 5) * 1000 };
}
