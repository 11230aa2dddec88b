// Sorting in slices: of very many items the loop is never held for longer than one slice takes, and of a page only as
// much is sorted as the page has.

import { Breath } from "./breath.ts";

/** Items that are sorted in one go. */
const RUN = 2_048;

type Compare<T> = (a: T, b: T) => number;

/** Those from place `from` up to place `to` of all in order. `compare` finds no two equal. */
export async function rangeInOrder<T>(
  items: readonly T[],
  from: number,
  to: number,
  compare: Compare<T>,
): Promise<T[]> {
  if ((to - from) * 4 > items.length) return (await sorted(items, compare)).slice(from, to);
  const breath = new Breath();
  const all = [...items];
  await select(all, 0, from, compare, breath);
  await select(all, from, Math.min(to, all.length), compare, breath);
  return await sorted(all.slice(from, to), compare);
}

/** Stable. */
export async function sorted<T>(items: readonly T[], compare: Compare<T>): Promise<T[]> {
  if (items.length <= RUN) return [...items].sort(compare);
  const breath = new Breath();
  let runs: T[][] = [];
  for (let at = 0; at < items.length; at += RUN) {
    runs.push(items.slice(at, at + RUN).sort(compare));
    await breath.take();
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(i + 1 < runs.length ? await merge(runs[i]!, runs[i + 1]!, compare, breath) : runs[i]!);
    }
    runs = merged;
  }
  return runs[0]!;
}

/** Moves items from `low` on so that those before place `at` come before those behind it. Pivots are left to chance. */
async function select<T>(all: T[], low: number, at: number, compare: Compare<T>, breath: Breath): Promise<void> {
  let high = all.length;
  while (at > low && at < high) {
    const pivot = all[low + Math.floor(Math.random() * (high - low))]!;
    let left = low;
    let right = high - 1;
    while (left <= right) {
      if (breath.due) await breath.take();
      while (compare(all[left]!, pivot) < 0) left++;
      while (compare(all[right]!, pivot) > 0) right--;
      if (left > right) break;
      [all[left], all[right]] = [all[right]!, all[left]!];
      left++;
      right--;
    }
    // Those up to `right` come before those from `left` on; between them is the pivot alone.
    if (at <= right) high = right + 1;
    else if (at >= left) low = left;
    else return;
  }
}

async function merge<T>(a: T[], b: T[], compare: Compare<T>, breath: Breath): Promise<T[]> {
  const merged: T[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (breath.due) await breath.take();
    merged.push(compare(a[i]!, b[j]!) <= 0 ? a[i++]! : b[j++]!);
  }
  for (; i < a.length; i++) merged.push(a[i]!);
  for (; j < b.length; j++) merged.push(b[j]!);
  return merged;
}
