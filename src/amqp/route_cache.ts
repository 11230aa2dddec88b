// Where a channel's messages went, by exchange and routing key as they stand in basic.publish, so that neither is decoded
// nor looked up anew for each message. Hot.

import type { ExchangeCounters } from "../core/statistics/counters.ts";
import type { Target } from "../core/target.ts";
import { copyBytes } from "../lib/out_buffer.ts";

/** What is known of a route. */
export interface Known {
  readonly queues: readonly Target[];
  readonly anyDurable: boolean;
  /** MESSAGE_PERSISTENT when one of the queues keeps messages of any delivery mode. */
  readonly keptFlags: number;
  /** Of the exchange it leads through first. */
  readonly exchangeCounters: ExchangeCounters;
}

interface Entry {
  readonly bytes: Uint8Array;
  readonly revision: number;
  readonly known: Known;
}

/** Most channels publish to one route or a few. */
const PLACES_MIN = 4;
const PLACES_MAX = 4096;

export class RouteCache {
  /** Each route has one place; there it replaces who was there before. */
  #places: (Entry | null)[] = new Array<Entry | null>(PLACES_MIN).fill(null);
  #last: Entry | null = null;
  /** Routes that replaced others since the places last became more. */
  #replaced = 0;

  /** Null when the route is not known, or may lead elsewhere since. Hot. */
  find(bytes: Uint8Array, at: number, size: number, revision: number): Known | null {
    const last = this.#last;
    if (last !== null && last.revision === revision && isSame(last.bytes, bytes, at, size)) return last.known;
    const entry = this.#places[hash(bytes, at, size) & (this.#places.length - 1)]!;
    if (entry === null || entry.revision !== revision || !isSame(entry.bytes, bytes, at, size)) return null;
    this.#last = entry;
    return entry.known;
  }

  /** `revision`: while it is the same, the route leads there. */
  add(bytes: Uint8Array, at: number, size: number, revision: number, known: Known): void {
    const own = new Uint8Array(size);
    copyBytes(bytes, at, own, 0, size);
    const entry: Entry = { bytes: own, revision, known };
    this.#last = entry;
    const place = hash(bytes, at, size) & (this.#places.length - 1);
    const before = this.#places[place]!;
    this.#places[place] = entry;
    if (before === null || before.revision !== revision) return;
    if (++this.#replaced * 2 > this.#places.length && this.#places.length < PLACES_MAX) this.#grow();
  }

  #grow(): void {
    const entries = this.#places;
    const places = new Array<Entry | null>(entries.length * 4).fill(null);
    for (const entry of entries) {
      if (entry !== null) places[hash(entry.bytes, 0, entry.bytes.length) & (places.length - 1)] = entry;
    }
    this.#places = places;
    this.#replaced = 0;
  }
}

function isSame(known: Uint8Array, bytes: Uint8Array, at: number, size: number): boolean {
  if (known.length !== size) return false;
  // Routes differ at their ends more than at their beginnings.
  for (let i = size - 1; i >= 0; i--) if (known[i] !== bytes[at + i]) return false;
  return true;
}

/** FNV-1a. */
function hash(bytes: Uint8Array, at: number, size: number): number {
  let value = 0x811C9DC5;
  for (let i = at; i < at + size; i++) value = Math.imul(value ^ bytes[i]!, 0x01000193);
  return (value ^ value >>> 15) >>> 0;
}
