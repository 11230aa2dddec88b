// Which messages of a stream a consumer wants (x-stream-filter). As with RabbitMQ a text is looked for in the header
// x-stream-filter-value, and of several in an array one is enough. Beyond that, as with LavinMQ: a header may hold
// several values, separated by commas, and so may a text, which then asks for all of them; a table asks for values of
// any headers; x-filter-match-type says whether of all that is asked for `any` is enough, or `all` it must be.

import { STREAM_FILTER_VALUES_MAX } from "../limits.ts";
import type { Message } from "../store/message.ts";
import type { Field, FieldTable } from "../wire/amqp_table.ts";
import { readHeadersOrNone } from "./message_headers.ts";
import { Refusal } from "./refusal.ts";

const FILTER_HEADER = "x-stream-filter-value";

interface Condition {
  readonly header: string;
  readonly value: string;
}

export class StreamFilter {
  /** One of these must hold; of each of them all conditions. */
  readonly #alternatives: readonly (readonly Condition[])[];
  readonly #matchUnfiltered: boolean;

  /** Null when the arguments ask for no filter. `refuse` throws. */
  static of(args: FieldTable, where: string): StreamFilter | null {
    const filter = args.get("x-stream-filter");
    const unfiltered = readFlag(args, "x-stream-match-unfiltered", where);
    if (filter === undefined) return null;
    const entries = readEntries(filter, where).filter((entry) => entry.length > 0);
    const all = entries.flat();
    if (all.length > STREAM_FILTER_VALUES_MAX) {
      refuse("x-stream-filter", `more than ${STREAM_FILTER_VALUES_MAX} values`, where);
    }
    const matchType = args.get("x-filter-match-type");
    const match = matchType === undefined ? "" : String(matchType.value).toLowerCase();
    if (!["", "any", "all"].includes(match)) refuse("x-filter-match-type", "expected 'any' or 'all'", where);
    if (all.length === 0) return null;
    const alternatives = match === "all" ? [all] : match === "any" ? all.map((condition) => [condition]) : entries;
    return new StreamFilter(alternatives, unfiltered);
  }

  private constructor(alternatives: readonly (readonly Condition[])[], matchUnfiltered: boolean) {
    this.#alternatives = alternatives;
    this.#matchUnfiltered = matchUnfiltered;
  }

  matches(message: Message): boolean {
    const headers = readHeadersOrNone(message);
    if (this.#matchUnfiltered && headers?.has(FILTER_HEADER) !== true) return true;
    if (headers === null) return false;
    return this.#alternatives.some((conditions) => conditions.every((condition) => holds(condition, headers)));
  }
}

function holds({ header, value }: Condition, headers: FieldTable): boolean {
  const field = headers.get(header);
  if (field === undefined) return false;
  const found = textOf(field);
  if (found === null) return false;
  return found === value || (header === FILTER_HEADER && found.split(",").some((one) => one.trim() === value));
}

function readEntries(filter: Field, where: string): Condition[][] {
  if (filter.type === "A") return (filter.value as readonly Field[]).map((field) => readEntry(field, where));
  return [readEntry(filter, where)];
}

function readEntry(field: Field, where: string): Condition[] {
  if (field.type === "F") {
    return [...field.value as FieldTable].flatMap(([header, member]) => {
      const value = textOf(member);
      if (value === null) refuse("x-stream-filter", "a text or a number was expected in a table", where);
      return header === "x-stream-filter" || header === FILTER_HEADER ? valuesIn(value) : [{ header, value }];
    });
  }
  if (typeof field.value !== "string") {
    refuse("x-stream-filter", "x-stream-filter must be a string, table, or array", where);
  }
  return valuesIn(field.value);
}

function valuesIn(text: string): Condition[] {
  return text.split(",").map((one) => ({ header: FILTER_HEADER, value: one.trim() }));
}

function textOf({ value }: Field): string | null {
  return value === null || typeof value === "object" ? null : String(value);
}

export function readFlag(args: FieldTable, name: string, where: string): boolean {
  const field = args.get(name);
  if (field === undefined) return false;
  if (field.value === "true" || field.value === "false") return field.value === "true";
  if (typeof field.value !== "boolean") refuse(name, "a boolean was expected", where);
  return field.value;
}

function refuse(name: string, why: string, where: string): never {
  throw new Refusal("precondition-failed", `invalid arg '${name}' for ${where}: ${why}`);
}
