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
  readonly hash: number;
  readonly revision: number;
  readonly known: Known;
}

/** Most channels publish to one route or a few. */
const PLACES_MIN = 4;
const PLACES_MAX = 8192;

export class RouteCache {
  /** A route is in one of two places that lie side by side, the newer one in the first. */
  #places: (Entry | null)[] = new Array<Entry | null>(PLACES_MIN).fill(null);
  #count = 0;
  #last: Entry | null = null;

  /** Null when the route is not known, or may lead elsewhere since. Hot. */
  find(bytes: Uint8Array, at: number, size: number, revision: number): Known | null {
    const last = this.#last;
    if (last !== null && last.revision === revision && isSame(last.bytes, bytes, at, size)) return last.known;
    const places = this.#places;
    const hash = hashOf(bytes, at, size);
    const place = hash & (places.length - 1) & ~1;
    let entry = places[place]!;
    if (entry === null) return null;
    if (entry.hash !== hash) {
      entry = places[place + 1]!;
      if (entry === null || entry.hash !== hash) return null;
    }
    if (entry.revision !== revision || !isSame(entry.bytes, bytes, at, size)) return null;
    this.#last = entry;
    return entry.known;
  }

  /** `revision`: while it is the same, the route leads there. */
  add(bytes: Uint8Array, at: number, size: number, revision: number, known: Known): void {
    const own = new Uint8Array(size);
    copyBytes(bytes, at, own, 0, size);
    const entry: Entry = { bytes: own, hash: hashOf(bytes, at, size), revision, known };
    this.#last = entry;
    if (this.#count * 4 >= this.#places.length && this.#places.length < PLACES_MAX) this.#grow(revision);
    this.#put(entry);
  }

  #put(entry: Entry): void {
    const places = this.#places;
    const place = entry.hash & (places.length - 1) & ~1;
    const before = places[place]!;
    if (before !== null && before.hash !== entry.hash) {
      if (places[place + 1] === null) this.#count++;
      places[place + 1] = before;
    } else if (before === null) {
      this.#count++;
    }
    places[place] = entry;
  }

  /** What leads elsewhere by now is left behind. */
  #grow(revision: number): void {
    const entries = this.#places;
    this.#places = new Array<Entry | null>(entries.length * 4).fill(null);
    this.#count = 0;
    for (const entry of entries) if (entry !== null && entry.revision === revision) this.#put(entry);
  }
}

function isSame(known: Uint8Array, bytes: Uint8Array, at: number, size: number): boolean {
  if (known.length !== size) return false;
  // Routes differ at their ends more than at their beginnings.
  for (let i = size - 1; i >= 0; i--) if (known[i] !== bytes[at + i]) return false;
  return true;
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array, at: number, size: number): number {
  let value = 0x811C9DC5 | 0;
  for (let i = at; i < at + size; i++) value = Math.imul(value ^ bytes[i]!, 0x01000193);
  return value ^ value >>> 15;
}
