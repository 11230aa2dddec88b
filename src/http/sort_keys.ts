// What items are compared by: found out once for each, and kept so that two of them are compared fast.

import { Breath } from "./breath.ts";

/** In order of places where the keys are equal. */
export type PlaceOrder = (a: number, b: number) => number;

/** What is not there comes first, then numbers and switches, then texts. `sign`: -1 for the greatest first. */
export async function orderByKeys(keys: readonly unknown[], sign: 1 | -1): Promise<PlaceOrder> {
  const numbers = await numbersOf(keys);
  if (numbers !== null) return (a, b) => sign * compareNumbers(numbers[a]!, numbers[b]!) || a - b;
  if (areTexts(keys)) {
    const byText = await orderByTexts(keys);
    return (a, b) => sign * byText(a, b) || a - b;
  }
  return (a, b) => sign * compareValues(keys[a], keys[b]) || a - b;
}

/** By a group, and within it by name. */
export async function orderByNames(
  groups: readonly string[],
  names: readonly string[],
  sign: 1 | -1,
): Promise<PlaceOrder> {
  const byText = await orderByTexts(names);
  const byName: PlaceOrder = (a, b) => sign * byText(a, b) || a - b;
  if (groups.every((group) => group === groups[0])) return byName;
  return (a, b) => sign * compareTexts(groups[a]!, groups[b]!) || byName(a, b);
}

/**
 * By their characters. Most pairs are told apart by a number made of the first ones behind those that all have in common:
 * texts themselves are compared ten times as slowly.
 */
async function orderByTexts(texts: readonly string[]): Promise<PlaceOrder> {
  const from = await commonLength(texts);
  // Six characters of 8 bits, or three of 16 where there are such: a double has 53.
  const heads = await headsOf(texts, from, 6, 0x100) ?? await headsOf(texts, from, 3, 0x10000);
  return (a, b) => compareNumbers(heads![a]!, heads![b]!) || compareTexts(texts[a]!, texts[b]!);
}

async function commonLength(texts: readonly string[]): Promise<number> {
  const breath = new Breath();
  const first = texts[0] ?? "";
  let length = first.length;
  for (const text of texts) {
    if (breath.due) await breath.take();
    let same = 0;
    while (same < length && text.charCodeAt(same) === first.charCodeAt(same)) same++;
    length = same;
  }
  return length;
}

/** Where a text ends, a head has 0. Null when a character is too large. */
async function headsOf(
  texts: readonly string[],
  from: number,
  length: number,
  radix: number,
): Promise<Float64Array | null> {
  const breath = new Breath();
  const heads = new Float64Array(texts.length);
  for (let place = 0; place < texts.length; place++) {
    if (breath.due) await breath.take();
    const text = texts[place]!;
    let head = 0;
    for (let at = from; at < from + length; at++) {
      const code = at < text.length ? text.charCodeAt(at) : 0;
      if (code >= radix) return null;
      head = head * radix + code;
    }
    heads[place] = head;
  }
  return heads;
}

function areTexts(keys: readonly unknown[]): keys is readonly string[] {
  return keys.every((key) => typeof key === "string");
}

/** Null when there are others. What is not there is less than any number. */
async function numbersOf(keys: readonly unknown[]): Promise<Float64Array | null> {
  const breath = new Breath();
  const numbers = new Float64Array(keys.length);
  for (let i = 0; i < keys.length; i++) {
    if (breath.due) await breath.take();
    const key = keys[i];
    if (typeof key === "string") return null;
    numbers[i] = rankOf(key) === 0 ? -Infinity : Number(key);
  }
  return numbers;
}

/** Infinities are equal to themselves. */
function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareValues(a: unknown, b: unknown): number {
  if (typeof a === "string" && typeof b === "string") return compareTexts(a, b);
  const [rankA, rankB] = [rankOf(a), rankOf(b)];
  if (rankA !== rankB) return rankA - rankB;
  return rankA === 1 ? compareNumbers(Number(a), Number(b)) : 0;
}

function rankOf(value: unknown): number {
  if (typeof value === "number" || typeof value === "boolean") return 1;
  return typeof value === "string" ? 2 : 0;
}
