// What a run has measured, and how it is shown.

import type { LatencyHistogram } from "./latency_histogram.ts";

export interface LatencyMs {
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** What `--json` prints, in this shape. */
export interface PerfResult {
  readonly publishedPerSecond: number;
  readonly consumedPerSecond: number;
  readonly published: number;
  readonly consumed: number;
  readonly elapsedMs: number;
  /** Null when no message of this run with room for a stamp was consumed. */
  readonly latencyMs: LatencyMs | null;
}

export function latencyMsOf(histogram: LatencyHistogram): LatencyMs | null {
  if (histogram.count === 0) return null;
  const ms = (us: number) => Math.round(us) / 1000;
  return {
    min: ms(histogram.min),
    p50: ms(histogram.percentile(0.5)),
    p95: ms(histogram.percentile(0.95)),
    p99: ms(histogram.percentile(0.99)),
    max: ms(histogram.max),
  };
}

export function secondLine(second: number, publishedPerSecond: number, consumedPerSecond: number): string {
  return `${`${second}`.padStart(4)} s  published ${rate(publishedPerSecond)}  consumed ${rate(consumedPerSecond)}`;
}

export function resultLines(result: PerfResult): string[] {
  const lines = [
    `published ${rate(result.publishedPerSecond)}  (${result.published} messages)`,
    `consumed  ${rate(result.consumedPerSecond)}  (${result.consumed} messages)`,
    `measured  ${(result.elapsedMs / 1000).toFixed(3)} s`,
  ];
  const latency = result.latencyMs;
  if (latency !== null) {
    const parts = [`min ${latency.min}`, `p50 ${latency.p50}`, `p95 ${latency.p95}`, `p99 ${latency.p99}`];
    lines.push(`latency   ${parts.join("  ")}  max ${latency.max} ms`);
  }
  return lines;
}

function rate(perSecond: number): string {
  return `${Math.round(perSecond).toLocaleString("en-US").padStart(11)}/s`;
}
