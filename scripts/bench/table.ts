// The matrix as text: medians with minimum and maximum, and ratios within one run.

import type { BrokerName, Protocol } from "./brokers.ts";
import type { Measurement } from "./measure.ts";
import { type Row, ROWS } from "./rows.ts";

/** Whom users would compare with. */
const PEERS: { readonly [protocol in Protocol]: BrokerName } = { amqp: "rabbitmq", mqtt: "mosquitto" };

export interface Sample extends Measurement {
  readonly row: string;
  readonly broker: BrokerName;
  readonly round: number;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A Markdown table; a line per row and broker. */
export function matrix(samples: readonly Sample[]): string {
  const lines = [
    "| row | broker | messages/s (min, max) | times a peer's | µs | RSS MB | latency p50, p99 ms | part of |",
    "|---|---|---|---|---|---|---|---|",
  ];
  for (const row of ROWS) {
    for (const broker of new Set(samples.map((sample) => sample.broker))) {
      const line = lineOf(row, broker, samples);
      if (line !== null) lines.push(line);
    }
  }
  return `${lines.join("\n")}\n`;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

function lineOf(row: Row, broker: BrokerName, samples: readonly Sample[]): string | null {
  const mine = samples.filter((sample) => sample.row === row.name && sample.broker === broker);
  if (mine.length === 0) return null;
  const rate = spread(mine.map((sample) => sample[row.rate]));
  const rates = `${whole(rate.median)} (${whole(rate.min)}, ${whole(rate.max)})`;
  const cpu = spread(mine.map((sample) => sample.cpuUs)).median.toFixed(2);
  const rss = Math.round(Math.max(...mine.map((sample) => sample.peakBytes)) / 1e6);
  const cells = [row.name, broker, rates, times(row, broker, samples), cpu, rss, latency(mine)];
  return `| ${cells.join(" | ")} | ${part(row, broker, samples)} |`;
}

function latency(samples: readonly Sample[]): string {
  const [p50, p99] = [samples.map((sample) => sample.latencyP50Ms), samples.map((sample) => sample.latencyP99Ms)];
  if (p50.includes(null) || p99.includes(null)) return "";
  return `${spread(p50 as number[]).median.toFixed(2)}, ${spread(p99 as number[]).median.toFixed(2)}`;
}

/** Of the rate of the peer that was measured in the same run, the median over the rounds. */
function times(row: Row, broker: BrokerName, samples: readonly Sample[]): string {
  const peer = PEERS[row.protocol];
  if (broker === peer) return "";
  const ratios = ratiosOf(samples, row, broker, row, peer);
  return ratios.length === 0 ? "" : spread(ratios).median.toFixed(1);
}

/** Of the rate of the row that this one is compared with, the median over the rounds. */
function part(row: Row, broker: BrokerName, samples: readonly Sample[]): string {
  const other = ROWS.find((candidate) => candidate.name === row.relativeTo);
  if (other === undefined) return "";
  const ratios = ratiosOf(samples, row, broker, other, broker);
  return ratios.length === 0 ? "" : `${Math.round(spread(ratios).median * 100)} % of ${other.name}`;
}

/** Of a row's rate to that of another row or broker, round by round. */
function ratiosOf(samples: readonly Sample[], row: Row, broker: BrokerName, other: Row, peer: BrokerName): number[] {
  const ratios: number[] = [];
  for (const sample of samples) {
    if (sample.row !== row.name || sample.broker !== broker) continue;
    const base = samples.find((one) => one.row === other.name && one.broker === peer && one.round === sample.round);
    if (base !== undefined) ratios.push(sample[row.rate] / base[other.rate]);
  }
  return ratios;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
