// Sorting in slices: of very many items the loop is never held for longer than one slice takes, and of a page only as
// much is sorted as the page has. What is sorted are places, by keys that were found out before, once for each.

import { Breath } from "./breath.ts";

/** Places that are sorted in one go. */
const RUN = 2_048;

/** Negative when the item at place `a` comes before that at `b`; never 0. */
type Compare = (a: number, b: number) => number;

/** The places of those that stand from `from` up to `to` when all `count` are in order. */
export async function rangeInOrder(count: number, from: number, to: number, compare: Compare): Promise<Uint32Array> {
  const all = new Uint32Array(count);
  for (let i = 0; i < count; i++) all[i] = i;
  if ((to - from) * 4 > count) return (await sorted(all, compare)).slice(from, to);
  const breath = new Breath();
  await select(all, 0, from, compare, breath);
  await select(all, from, Math.min(to, count), compare, breath);
  return all.slice(from, to).sort(compare);
}

async function sorted(all: Uint32Array<ArrayBuffer>, compare: Compare): Promise<Uint32Array> {
  if (all.length <= RUN) return all.sort(compare);
  const breath = new Breath();
  for (let at = 0; at < all.length; at += RUN) {
    all.subarray(at, at + RUN).sort(compare);
    await breath.take();
  }
  let from = all;
  let into = new Uint32Array(all.length);
  for (let run = RUN; run < all.length; run *= 2) {
    for (let at = 0; at < all.length; at += 2 * run) await merge(from, into, at, run, compare, breath);
    [from, into] = [into, from];
  }
  return from;
}

/** Moves places from `low` on so that those before index `at` come before those behind it. Pivots are left to chance. */
async function select(all: Uint32Array, low: number, at: number, compare: Compare, breath: Breath): Promise<void> {
  let high = all.length;
  while (at > low && at < high) {
    const pivot = all[low + Math.floor(Math.random() * (high - low))]!;
    let left = low;
    let right = high - 1;
    while (left <= right) {
      if (breath.due) await breath.take();
      while (all[left] !== pivot && compare(all[left]!, pivot) < 0) left++;
      while (all[right] !== pivot && compare(all[right]!, pivot) > 0) right--;
      if (left > right) break;
      const moved = all[left]!;
      all[left++] = all[right]!;
      all[right--] = moved;
    }
    // Those up to `right` come before those from `left` on; between them is the pivot alone.
    if (at <= right) high = right + 1;
    else if (at >= left) low = left;
    else return;
  }
}

/** Two runs that stand one behind the other in `from`, the first at `at`. */
async function merge(
  from: Uint32Array,
  into: Uint32Array,
  at: number,
  run: number,
  compare: Compare,
  breath: Breath,
): Promise<void> {
  const [middle, end] = [Math.min(at + run, from.length), Math.min(at + 2 * run, from.length)];
  let [a, b] = [at, middle];
  for (let to = at; to < end; to++) {
    if (breath.due) await breath.take();
    const first = b === end || (a < middle && compare(from[a]!, from[b]!) < 0);
    into[to] = first ? from[a++]! : from[b++]!;
  }
}
