// The two ways from a hash to one of several weighted targets. Both are built of the whole list of targets and never
// changed; the same list gives the same table in every process.

import { mixBits, textHash } from "../../lib/text_hash.ts";

export interface Target<T> {
  readonly name: string;
  readonly weight: number;
  readonly value: T;
}

export interface HashTable<T> {
  /** `hash` is an unsigned 32-bit integer. Null when there are no targets. */
  pick(hash: number): T | null;
}

/** Points of a target per unit of weight: with fewer, targets of weight 1 would get very unequal shares. */
const POINTS_PER_WEIGHT = 128;
/** A point is hash * ORDINALS + the target's number: one double, exact up to 2^53, which sorts by the hash. */
const ORDINALS = 2 ** 20;
const GOLDEN = 0x9e3779b9;
const TWO_POW_32 = 2 ** 32;

/**
 * Each target has points on a ring of all hashes; a hash leads to the next point. A target that comes or goes moves only
 * the hashes before its own points, in whatever order targets stand.
 */
export class HashRing<T> implements HashTable<T> {
  readonly #points: Float64Array;
  readonly #values: T[];

  constructor(targets: readonly Target<T>[]) {
    // By name, so that of points at the same place it is always the same one that comes first.
    const ordered = [...targets].sort((a, b) => a.name < b.name ? -1 : 1);
    this.#values = ordered.map(({ value }) => value);
    const count = ordered.reduce((sum, { weight }) => sum + weight * POINTS_PER_WEIGHT, 0);
    this.#points = new Float64Array(count);
    let at = 0;
    for (const [ordinal, { name, weight }] of ordered.entries()) {
      const [start, step] = [textHash(name, 1), textHash(name, 2) | 1];
      for (let i = 0; i < weight * POINTS_PER_WEIGHT; i++) {
        this.#points[at++] = mixBits(start + Math.imul(i, step)) * ORDINALS + ordinal;
      }
    }
    this.#points.sort();
  }

  pick(hash: number): T | null {
    const points = this.#points;
    if (points.length === 0) return null;
    const wanted = hash * ORDINALS;
    let [low, high] = [0, points.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (points[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return this.#values[points[low < points.length ? low : 0]! % ORDINALS]!;
  }
}

/**
 * Jump consistent hash (Lamping and Veach, 2014): equal shares and next to no memory. A target that comes last takes only
 * its share; one that goes from the middle moves those behind it up, and with them their hashes.
 */
export class JumpTable<T> implements HashTable<T> {
  readonly #targets: readonly Target<T>[];
  /** Where each target's buckets end. */
  readonly #ends: number[] = [];

  constructor(targets: readonly Target<T>[]) {
    this.#targets = targets;
    let end = 0;
    for (const { weight } of targets) this.#ends.push(end += weight);
  }

  pick(hash: number): T | null {
    const ends = this.#ends;
    if (ends.length === 0) return null;
    const bucket = jump(hash, ends.at(-1)!);
    let [low, high] = [0, ends.length - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle]! <= bucket) low = middle + 1;
      else high = middle;
    }
    return this.#targets[low]!.value;
  }
}

function jump(hash: number, count: number): number {
  let state = hash;
  let bucket = 0;
  for (let next = 0; next < count;) {
    bucket = next;
    state = (state + GOLDEN) | 0;
    next = Math.floor((bucket + 1) * TWO_POW_32 / (mixBits(state) + 1));
  }
  return bucket;
}
