// The mark in the first 8 bytes of a body from which latency is told: 4 bytes that are this run's own, so that what an
// earlier run or somebody else left in the queue is not measured, then 4 bytes of monotonic clock in µs. Such a stamp
// means nothing outside the process that wrote it; differences hold up to 71 minutes.

import { performance } from "node:perf_hooks";

export const STAMP_BYTES = 8;

/** Monotonic, µs, modulo 2^32. */
export function clockUs(): number {
  return (performance.now() * 1000) >>> 0;
}

/** A run's own mark: random, never 0. */
export function newRunMark(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0]! | 1) >>> 0;
}
