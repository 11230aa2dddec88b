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
const PLACES_MAX = 16 * 1024;
/** A route is in one of so many places that lie side by side. */
const TRIED_MAX = 8;

export class RouteCache {
  /** Of the entries, 0 where there is none: what is looked through lies close together. */
  #hashes = new Int32Array(PLACES_MIN);
  #entries = newPlaces(PLACES_MIN);
  #count = 0;
  #last: Entry | null = null;

  /** Null when the route is not known, or may lead elsewhere since. Hot. */
  find(bytes: Uint8Array, at: number, size: number, revision: number): Known | null {
    const last = this.#last;
    if (last !== null && last.revision === revision && isSame(last.bytes, bytes, at, size)) return last.known;
    const hashes = this.#hashes;
    const mask = hashes.length - 1;
    const hash = hashOf(bytes, at, size);
    for (let tried = 0; tried < TRIED_MAX; tried++) {
      const place = (hash + tried) & mask;
      if (hashes[place] !== hash) continue;
      const entry = this.#entries[place]!;
      if (!isSame(entry.bytes, bytes, at, size)) continue;
      if (entry.revision !== revision) return null;
      this.#last = entry;
      return entry.known;
    }
    return null;
  }

  /** `revision`: while it is the same, the route leads there. */
  add(bytes: Uint8Array, at: number, size: number, revision: number, known: Known): void {
    const own = new Uint8Array(size);
    copyBytes(bytes, at, own, 0, size);
    const entry: Entry = { bytes: own, hash: hashOf(bytes, at, size), revision, known };
    this.#last = entry;
    if (this.#count * 2 >= this.#hashes.length) this.#renew(revision);
    this.#put(entry);
  }

  #put(entry: Entry): void {
    const { hash, bytes, revision } = entry;
    const mask = this.#hashes.length - 1;
    let place = -1;
    for (let tried = 0; tried < TRIED_MAX; tried++) {
      const at = (hash + tried) & mask;
      const before = this.#entries[at]!;
      if (before !== null && before.hash === hash && isSame(before.bytes, bytes, 0, bytes.length)) {
        place = at;
        break;
      }
      // Above all in one that is free or of no use any more.
      if (place < 0 && (before === null || before.revision !== revision)) place = at;
    }
    if (place < 0) place = (hash + (this.#count & (TRIED_MAX - 1))) & mask;
    if (this.#entries[place] === null) this.#count++;
    this.#hashes[place] = hash;
    this.#entries[place] = entry;
  }

  /** Half full: more places, unless what leads elsewhere by now takes them up; with the most begins anew. */
  #renew(revision: number): void {
    const entries = this.#entries.filter((entry) => entry !== null && entry.revision === revision) as Entry[];
    let places = this.#hashes.length;
    if (entries.length * 4 >= places) places *= 4;
    if (places > PLACES_MAX) {
      places = PLACES_MAX;
      entries.length = 0;
    }
    this.#hashes = new Int32Array(places);
    this.#entries = newPlaces(places);
    this.#count = 0;
    for (const entry of entries) this.#put(entry);
  }
}

function newPlaces(count: number): (Entry | null)[] {
  return new Array<Entry | null>(count).fill(null);
}

function isSame(known: Uint8Array, bytes: Uint8Array, at: number, size: number): boolean {
  if (known.length !== size) return false;
  // Routes differ at their ends more than at their beginnings.
  for (let i = size - 1; i >= 0; i--) if (known[i] !== bytes[at + i]) return false;
  return true;
}

/** FNV-1a; never 0. */
function hashOf(bytes: Uint8Array, at: number, size: number): number {
  let value = 0x811C9DC5 | 0;
  for (let i = at; i < at + size; i++) value = Math.imul(value ^ bytes[i]!, 0x01000193);
  return (value ^ value >>> 15) || 1;
}
