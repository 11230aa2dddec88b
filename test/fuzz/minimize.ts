// Makes a failing input smaller while it still fails: pieces are left out, then octets, then octets become zero.

import { joined } from "./mutate.ts";

/** So many tries at most: a small case is a comfort, not a duty. */
const TRIES_MAX = 4000;

export interface MinimizeOptions {
  /** Frames, lines and the like. */
  readonly pieces?: ((input: Uint8Array) => readonly Uint8Array[]) | undefined;
  readonly msMax: number;
}

/** The smallest input found for which `fails` says true. */
export async function minimize(
  input: Uint8Array,
  fails: (candidate: Uint8Array) => Promise<boolean>,
  { pieces, msMax }: MinimizeOptions,
): Promise<Uint8Array> {
  const endMs = performance.now() + msMax;
  let tries = 0;
  const still = async (candidate: Uint8Array): Promise<boolean> => {
    if (tries >= TRIES_MAX || performance.now() > endMs) return false;
    tries++;
    return await fails(candidate);
  };
  let smallest = input;
  if (pieces !== undefined) {
    smallest = joined(...await leaveOut([...pieces(smallest)], (list) => still(joined(...list))));
  }
  const octets = await leaveOut(Array.from(smallest), (list) => still(Uint8Array.from(list)));
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at]!;
    if (octet === 0) continue;
    octets[at] = 0;
    if (!await still(Uint8Array.from(octets))) octets[at] = octet;
  }
  return Uint8Array.from(octets);
}

/** Leaves out runs, halves first, then ever shorter ones. */
async function leaveOut<T>(list: T[], still: (list: T[]) => Promise<boolean>): Promise<T[]> {
  for (let count = list.length >>> 1; count > 0; count >>>= 1) {
    for (let at = 0; at < list.length;) {
      const shorter = [...list.slice(0, at), ...list.slice(at + count)];
      if (await still(shorter)) list = shorter;
      else at += count;
    }
  }
  return list;
}
