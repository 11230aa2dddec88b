// Which messages came before: the values of one header, remembered up to a count and a time, as LavinMQ does for
// exchanges and queues. In memory only: after a restart every message is new.

import { createHash } from "node:crypto";
import { DEDUPLICATION_ENTRIES_MAX } from "../limits.ts";
import type { Message } from "../store/message.ts";
import type { FieldTable } from "../wire/amqp_table.ts";
import type { Arguments, ArgumentValue } from "./arguments.ts";
import { describeType } from "./arguments.ts";
import { canonicalText } from "./canonical.ts";
import { readHeadersOrNone } from "./message_headers.ts";
import { Refusal } from "./refusal.ts";

const ENTRIES_DEFAULT = 128;
const HEADER_DEFAULT = "x-deduplication-header";
/** Characters; what is longer is kept as its hash, so that an entry's size does not depend on publishers. */
const KEY_LENGTH_MAX = 128;

/** Keys that were seen, each until its time is over; of too many the oldest goes. */
export class DeduplicationCache {
  readonly #entriesMax: number;
  /** When each key ends, milliseconds; oldest key first. */
  readonly #endMs = new Map<string, number>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#endMs.size;
  }

  has(key: string, nowMs: number): boolean {
    const endMs = this.#endMs.get(key);
    if (endMs === undefined) return false;
    if (nowMs < endMs) return true;
    this.#endMs.delete(key);
    return false;
  }

  /** For `ttlMs`, Infinity without end. */
  add(key: string, nowMs: number, ttlMs: number): void {
    this.#endMs.delete(key);
    if (this.#endMs.size >= this.#entriesMax) this.#endMs.delete(this.#endMs.keys().next().value!);
    this.#endMs.set(key, nowMs + ttlMs);
  }

  delete(key: string): void {
    this.#endMs.delete(key);
  }
}

/** The deduplication of one exchange or queue, as its arguments have it. */
export class Deduplication {
  readonly #cache: DeduplicationCache;
  readonly #header: string;
  readonly #ttlMs: number;

  constructor(entriesMax: number, header: string, ttlMs: number) {
    this.#cache = new DeduplicationCache(entriesMax);
    this.#header = header;
    this.#ttlMs = ttlMs;
  }

  /** Null without `x-message-deduplication`. `where` names exchange or queue in the text of a refusal. */
  static of(args: Arguments, where: string): Deduplication | null {
    if (!args.has("x-message-deduplication")) return null;
    const isOn = args.get("x-message-deduplication");
    if (typeof isOn !== "boolean") refuseType("x-message-deduplication", isOn, where);
    const entriesMax = wholeNumber(args, "x-cache-size", 1, DEDUPLICATION_ENTRIES_MAX, where) ?? ENTRIES_DEFAULT;
    const ttlMs = wholeNumber(args, "x-cache-ttl", 0, Number.MAX_SAFE_INTEGER, where) ?? Infinity;
    const header = args.get("x-deduplication-header") ?? HEADER_DEFAULT;
    if (typeof header !== "string") refuseType("x-deduplication-header", header, where);
    return isOn ? new Deduplication(entriesMax, header, ttlMs) : null;
  }

  /** What a message is known by; null for one without the header, which is never a duplicate. */
  keyOf(headers: FieldTable | null): string | null {
    const field = headers?.get(this.#header);
    if (field === undefined) return null;
    const key = canonicalText(field);
    return key.length <= KEY_LENGTH_MAX ? key : `#${createHash("sha256").update(key).digest("base64")}`;
  }

  isKnown(key: string, nowMs: number): boolean {
    return this.#cache.has(key, nowMs);
  }

  /** The message's own header `x-cache-ttl` goes before that of the arguments. */
  remember(key: string, headers: FieldTable | null, nowMs: number): void {
    const own = headers?.get("x-cache-ttl")?.value;
    const ttlMs = typeof own === "number" && Number.isInteger(own) && own >= 0 ? own : this.#ttlMs;
    this.#cache.add(key, nowMs, ttlMs);
  }

  /** Whether a message is new; it is remembered, then. */
  admits(message: Message, nowMs: number): boolean {
    const headers = readHeadersOrNone(message);
    const key = this.keyOf(headers);
    if (key === null) return true;
    if (this.isKnown(key, nowMs)) return false;
    this.remember(key, headers, nowMs);
    return true;
  }

  /** A message that was admitted was not taken after all: its publisher may try again. */
  retract(message: Message): void {
    const key = this.keyOf(readHeadersOrNone(message));
    if (key !== null) this.#cache.delete(key);
  }
}

function wholeNumber(args: Arguments, name: string, min: number, max: number, where: string): number | undefined {
  const value = args.get(name);
  if (value === undefined) return undefined;
  if (typeof value !== "number" && typeof value !== "bigint") refuseType(name, value, where);
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  const shown = `{value_out_of_range,${value},${min},${max}}`;
  throw new Refusal("precondition-failed", `invalid arg '${name}' for ${where}: ${shown}`);
}

function refuseType(name: string, value: ArgumentValue | undefined, where: string): never {
  const text = `invalid arg '${name}' for ${where}: {unacceptable_type,${describeType(value)}}`;
  throw new Refusal("precondition-failed", text);
}
