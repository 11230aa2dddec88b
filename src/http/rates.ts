// Counters as RabbitMQ shows them: `publish` beside `publish_details` with its rate, and samples where the request asks
// for some (`msg_rates_age`, `msg_rates_incr`, ...).

import { z } from "@hono/zod-openapi";
import type { Sampled } from "../core/statistics/counters.ts";
import type { FieldPath } from "./shape.ts";
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

  /** A fast way to what lies at a path, for sorting; null where there is none. `path` begins with a field of a queue. */
  keyAt([top, ...inner]: FieldPath): RateKey | null {
    if (top === "message_stats") return RateKey.ofStats(this.#sampler, inner);
    return top === undefined ? null : RateKey.ofLengths(this.#sampler, [top, ...inner]);
  }

  of(source: Sampled, field: string, range: SampleRange | null): Rate {
    return this.#sampler.rate(source, field, range);
  }

  /** Each of `fields` and its details. */
  all(source: Sampled, fields: readonly string[], range: SampleRange | null): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    this.#put(result, source, valuesOf(source), fields, range);
    return result;
  }

  #put(
    result: Record<string, unknown>,
    source: Sampled,
    values: Values,
    fields: readonly string[],
    range: SampleRange | null,
  ): void {
    for (const field of fields) {
      result[field] = values.get(field) ?? 0;
      result[`${field}_details`] = this.of(source, field, range);
    }
  }

  /** `message_stats`; undefined when nothing has happened yet. */
  messageStats(source: Sampled, range = this.messages): Record<string, unknown> | undefined {
    const values = valuesOf(source);
    const published = values.someOf(PUBLISHED);
    const delivered = values.someOf(DELIVERED);
    if (!published && !delivered) return undefined;
    const result: Record<string, unknown> = {};
    if (delivered) {
      this.#put(result, source, values, values.known(DELIVERED), range);
      result["deliver_get"] = DELIVER_GET.reduce((sum, field) => sum + (values.get(field) ?? 0), 0);
      result["deliver_get_details"] = DELIVER_GET.map((field) => this.of(source, field, range)).reduce(sumOfRates);
    }
    if (published) this.#put(result, source, values, values.known(PUBLISHED), range);
    return result;
  }

  /** `messages_details`. */
  lengthOf(source: Sampled, range = this.lengths): Rate {
    return LENGTHS.map((field) => this.of(source, field, range)).reduce(sumOfRates);
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

/**
 * What lies at a path of one of the above, without the rest of it being made: `publish`, `publish_details.rate`. For very
 * many sources of one kind. Null for what is no number.
 */
export class RateKey {
  readonly #sampler: Sampler;
  readonly #isRate: boolean;
  /** They are summed up. */
  readonly #names: readonly string[];
  /** Unless one of these has ever been counted there is none; null where that does not matter. */
  readonly #group: readonly string[] | null;
  #fields: readonly string[] | null = null;
  #indexes: readonly number[] = [];
  #groupIndexes: readonly number[] = [];
  #values = new Float64Array(0);

  private constructor(
    sampler: Sampler,
    isRate: boolean,
    names: readonly string[],
    group: readonly string[] | null,
  ) {
    this.#sampler = sampler;
    this.#isRate = isRate;
    this.#names = names;
    this.#group = group;
  }

  /** `path`: within `message_stats`. */
  static ofStats(sampler: Sampler, path: FieldPath): RateKey | null {
    const number = numberAt(path);
    if (number === null) return null;
    const { name, isRate } = number;
    if (name === "deliver_get") return new RateKey(sampler, isRate, DELIVER_GET, DELIVERED);
    const group = [PUBLISHED, DELIVERED].find((group) => group.includes(name)) ?? null;
    return group === null ? null : new RateKey(sampler, isRate, [name], group);
  }

  /** `path`: `messages_details.rate` and its parts. */
  static ofLengths(sampler: Sampler, path: FieldPath): RateKey | null {
    const number = numberAt(path);
    if (number === null || !number.isRate) return null;
    if (number.name === "messages") return new RateKey(sampler, true, LENGTHS, null);
    return LENGTHS.includes(number.name) ? new RateKey(sampler, true, [number.name], null) : null;
  }

  /** Undefined where there is none. */
  of(source: Sampled): number | undefined {
    if (source.fields !== this.#fields) this.#learn(source.fields);
    const values = this.#values;
    source.read(values);
    if (this.#indexes.length === 0) return undefined;
    if (this.#group !== null && !this.#groupIndexes.some((index) => values[index]! > 0)) return undefined;
    let sum = 0;
    for (const index of this.#indexes) sum += this.#isRate ? this.#sampler.rateAt(source, index) : values[index]!;
    return sum;
  }

  #learn(fields: readonly string[]): void {
    const indexesOf = (names: readonly string[]) => names.map((name) => fields.indexOf(name)).filter((at) => at >= 0);
    this.#fields = fields;
    this.#indexes = indexesOf(this.#names);
    this.#groupIndexes = indexesOf(this.#group ?? []);
    this.#values = new Float64Array(fields.length);
  }
}

const DETAILS = "_details";

/** `publish` and `publish_details.rate`; null for other paths. */
function numberAt([name, member, ...more]: FieldPath): { readonly name: string; readonly isRate: boolean } | null {
  if (name === undefined || more.length > 0) return null;
  if (member === undefined) return name.endsWith(DETAILS) ? null : { name, isRate: false };
  return member === "rate" && name.endsWith(DETAILS) ? { name: name.slice(0, -DETAILS.length), isRate: true } : null;
}

const LENGTHS: readonly string[] = ["messages_ready", "messages_unacknowledged"];
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

/** The numbers of a source as of now, by name. */
class Values {
  readonly #fields: readonly string[];
  readonly #values: Float64Array;

  constructor(source: Sampled) {
    this.#fields = source.fields;
    this.#values = new Float64Array(this.#fields.length);
    source.read(this.#values);
  }

  get(field: string): number | undefined {
    return this.#values[this.#fields.indexOf(field)];
  }

  known(fields: readonly string[]): readonly string[] {
    return fields.filter((field) => this.#fields.includes(field));
  }

  someOf(fields: readonly string[]): boolean {
    return fields.some((field) => (this.get(field) ?? 0) > 0);
  }
}

export function valuesOf(source: Sampled): Values {
  return new Values(source);
}

function rangeOf(age: number | undefined, increment: number | undefined): SampleRange | null {
  if (age === undefined) return null;
  return { ageMs: age * 1000, incrementMs: Math.max(1, increment ?? 5) * 1000 };
}
