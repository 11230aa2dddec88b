// Sorting in slices: of very many items the loop is never held for longer than one slice takes.

import { Breath } from "./breath.ts";

/** Items that are sorted in one go. */
const RUN = 2_048;

/** The first `count` items in order, without sorting the others, as long as `count` is small. */
export async function firstInOrder<T>(
  items: readonly T[],
  count: number,
  compare: (a: T, b: T) => number,
): Promise<T[]> {
  if (count * 8 > items.length) return (await sorted(items, compare)).slice(0, count);
  const breath = new Breath();
  const heap: T[] = [];
  for (const item of items) {
    if (breath.due) await breath.take();
    if (heap.length < count) {
      heap.push(item);
      siftUp(heap, heap.length - 1, compare);
    } else if (count > 0 && compare(item, heap[0]!) < 0) {
      heap[0] = item;
      siftDown(heap, compare);
    }
  }
  return await sorted(heap, compare);
}

/** Stable. */
export async function sorted<T>(items: readonly T[], compare: (a: T, b: T) => number): Promise<T[]> {
  const breath = new Breath();
  let runs: T[][] = [];
  for (let at = 0; at < items.length; at += RUN) {
    runs.push(items.slice(at, at + RUN).sort(compare));
    if (items.length > RUN) await breath.take();
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(i + 1 < runs.length ? await merge(runs[i]!, runs[i + 1]!, compare, breath) : runs[i]!);
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(a: T[], b: T[], compare: (a: T, b: T) => number, breath: Breath): Promise<T[]> {
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

// A heap with the greatest on top.

function siftUp<T>(heap: T[], from: number, compare: (a: T, b: T) => number): void {
  let at = from;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (compare(heap[at]!, heap[parent]!) <= 0) return;
    [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
    at = parent;
  }
}

function siftDown<T>(heap: T[], compare: (a: T, b: T) => number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) return;
    if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) > 0) child++;
    if (compare(heap[child]!, heap[at]!) <= 0) return;
    [heap[at], heap[child]] = [heap[child]!, heap[at]!];
    at = child;
  }
}
