// Where a channel's messages went, by exchange and routing key as they stand in basic.publish, so that neither is decoded
// nor looked up anew for each message. With thousands of routes in turn what counts is how much memory is looked at: what
// is compared lies close together, and what is known of a route is one object. Hot.

import type { ExchangeCounters } from "../core/statistics/counters.ts";
import type { Target } from "../core/target.ts";
import { copyBytes } from "../lib/out_buffer.ts";

/** What is known of a route. */
export class Known {
  readonly queues: readonly Target[];
  /** When it is one. */
  readonly only: Target | null;
  readonly anyDurable: boolean;
  /** MESSAGE_PERSISTENT when one of the queues keeps messages of any delivery mode. */
  readonly keptFlags: number;
  /** Of the exchange it leads through first. */
  readonly exchangeCounters: ExchangeCounters;
  // The cache's own: while the revision is the same, the route leads there; where its bytes are.
  revision = -1;
  hash = 0;
  at = 0;
  size = 0;

  constructor(queues: readonly Target[], anyDurable: boolean, keptFlags: number, exchangeCounters: ExchangeCounters) {
    this.queues = queues;
    this.only = queues.length === 1 ? queues[0]! : null;
    this.anyDurable = anyDurable;
    this.keptFlags = keptFlags;
    this.exchangeCounters = exchangeCounters;
  }
}

/** Most channels publish to one route or a few. */
const PLACES_MIN = 4;
const PLACES_MAX = 16 * 1024;
/** A route is in one of so many places that lie side by side. */
const TRIED_MAX = 8;
const TEXT_BYTES_MIN = 128;

export class RouteCache {
  /** Of the routes, 0 where there is none: what is looked through lies close together. */
  #hashes = new Int32Array(PLACES_MIN);
  #places = newPlaces(PLACES_MIN);
  #count = 0;
  #last: Known | null = null;
  /** The routes' bytes, one behind the other. */
  #text = new Uint8Array(TEXT_BYTES_MIN);
  #textEnd = 0;

  /** Null when the route is not known, or may lead elsewhere since. Hot. */
  find(bytes: Uint8Array, at: number, size: number, revision: number): Known | null {
    const last = this.#last;
    const text = this.#text;
    if (last !== null && last.revision === revision && isSame(text, last, bytes, at, size)) return last;
    const hashes = this.#hashes;
    const mask = hashes.length - 1;
    const hash = hashOf(bytes, at, size);
    for (let tried = 0; tried < TRIED_MAX; tried++) {
      const place = (hash + tried) & mask;
      if (hashes[place] !== hash) continue;
      const known = this.#places[place]!;
      if (!isSame(text, known, bytes, at, size)) continue;
      if (known.revision !== revision) return null;
      this.#last = known;
      return known;
    }
    return null;
  }

  /** `known` is of this cache alone from here on. */
  add(bytes: Uint8Array, at: number, size: number, revision: number, known: Known): void {
    known.revision = revision;
    known.hash = hashOf(bytes, at, size);
    known.size = size;
    const before = this.#placeOf(known.hash, bytes, at, size);
    if (before >= 0) {
      known.at = this.#places[before]!.at;
      this.#places[before] = known;
    } else {
      if (this.#count * 2 >= this.#hashes.length || this.#textEnd + size > this.#text.length) {
        this.#renew(revision, size);
      }
      this.#put(known, bytes, at);
    }
    this.#last = known;
  }

  #placeOf(hash: number, bytes: Uint8Array, at: number, size: number): number {
    const mask = this.#hashes.length - 1;
    for (let tried = 0; tried < TRIED_MAX; tried++) {
      const place = (hash + tried) & mask;
      if (this.#hashes[place] === hash && isSame(this.#text, this.#places[place]!, bytes, at, size)) return place;
    }
    return -1;
  }

  /** One that is not there, whose bytes have room. */
  #put(known: Known, bytes: Uint8Array, at: number): void {
    const { hash, size, revision } = known;
    const mask = this.#hashes.length - 1;
    let place = (hash + (this.#count & (TRIED_MAX - 1))) & mask;
    for (let tried = 0; tried < TRIED_MAX; tried++) {
      const before = this.#places[(hash + tried) & mask]!;
      if (before !== null && before.revision === revision) continue;
      place = (hash + tried) & mask;
      break;
    }
    if (this.#places[place] === null) this.#count++;
    this.#hashes[place] = hash;
    this.#places[place] = known;
    copyBytes(bytes, at, this.#text, this.#textEnd, size);
    known.at = this.#textEnd;
    this.#textEnd += size;
  }

  /** Without what leads elsewhere by now, and with room for as many again; where there are too many it begins anew. */
  #renew(revision: number, moreBytes: number): void {
    const text = this.#text;
    const kept = this.#places.filter((known) => known !== null && known.revision === revision) as Known[];
    let places = this.#hashes.length;
    if (kept.length * 4 >= places) places *= 4;
    if (places > PLACES_MAX) {
      places = PLACES_MAX;
      kept.length = 0;
    }
    const bytes = kept.reduce((sum, { size }) => sum + size, moreBytes);
    this.#hashes = new Int32Array(places);
    this.#places = newPlaces(places);
    this.#count = 0;
    this.#text = new Uint8Array(Math.max(TEXT_BYTES_MIN, 2 * bytes));
    this.#textEnd = 0;
    for (const known of kept) this.#put(known, text, known.at);
  }
}

function newPlaces(count: number): (Known | null)[] {
  return new Array<Known | null>(count).fill(null);
}

function isSame(text: Uint8Array, known: Known, bytes: Uint8Array, at: number, size: number): boolean {
  if (known.size !== size) return false;
  const from = known.at;
  // Routes differ at their ends more than at their beginnings.
  for (let i = size - 1; i >= 0; i--) if (text[from + i] !== bytes[at + i]) return false;
  return true;
}

/** FNV-1a; never 0. */
function hashOf(bytes: Uint8Array, at: number, size: number): number {
  let value = 0x811C9DC5 | 0;
  for (let i = at; i < at + size; i++) value = Math.imul(value ^ bytes[i]!, 0x01000193);
  return (value ^ value >>> 15) || 1;
}
