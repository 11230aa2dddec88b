// One measurement: the load generator, a process of its own, against one broker for one row.

import { spawn } from "node:child_process";
import type { PerfResult } from "../../src/perf/report.ts";
import { leveret, ROOT, type RunningBroker } from "./brokers.ts";
import type { Row } from "./rows.ts";

export interface Measurement {
  /** Messages a second. */
  readonly published: number;
  readonly consumed: number;
  /** The broker's processor time for each message, µs. */
  readonly cpuUs: number;
  readonly peakBytes: number;
  readonly latencyP50Ms: number | null;
  readonly latencyP99Ms: number | null;
}

/** Messages of the last row. */
const published = new WeakMap<RunningBroker, number>();

/** Null when the broker does not speak the row's protocol. */
export async function measure(row: Row, broker: RunningBroker, seconds: number): Promise<Measurement | null> {
  const uri = broker.uri(row.protocol);
  if (uri === null) return null;
  broker.forgetPeak();
  const before = broker.cpuSeconds();
  const count = row.count === "what was published" ? published.get(broker) : row.count;
  const length = count === undefined ? ["--duration", `${seconds}`] : ["--count", `${count}`];
  const result = await perf([row.protocol, ...row.args, ...length, "--uri", uri, "--json"]);
  published.set(broker, result.published);
  const messages = Math.max(result.published, result.consumed, 1);
  return {
    published: result.publishedPerSecond,
    consumed: result.consumedPerSecond,
    cpuUs: (broker.cpuSeconds() - before) * 1e6 / messages,
    peakBytes: broker.peakBytes(),
    latencyP50Ms: result.latencyMs?.p50 ?? null,
    latencyP99Ms: result.latencyMs?.p99 ?? null,
  };
}

async function perf(args: readonly string[]): Promise<PerfResult> {
  const [program, ...words] = leveret("bun");
  const child = spawn(program!, [...words, "perf", ...args], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  let [out, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => void (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (errors += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (code !== 0) throw new Error(`leveret perf ${args.join(" ")} ended with ${code}: ${errors.trim()}`);
  return JSON.parse(out.trim().split("\n").at(-1)!) as PerfResult;
}
