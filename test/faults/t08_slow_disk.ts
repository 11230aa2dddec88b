// T08: every sync takes half a second and more. Confirms wait for it, and nobody else does: other connections are
// served, heartbeats come and are heard.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/broker_process.ts";
import { RawAmqp } from "../support/raw_amqp.ts";
import { HEARTBEAT } from "../support/raw_bytes.ts";
import { basic, queue } from "../support/raw_methods.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { Load, resultOf } from "./load.ts";
import { type LoadPlan, MIXED } from "./load_plan.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { TracedBroker } from "./traced_broker.ts";

const SYNC_MS = 500;
const RUN_MS = { full: 60_000, short: 3_000 };
const PING_EVERY_MS = 20;
/** Most pings need less, on a machine with other work, too; who waits for a sync needs more. */
const PING_MEDIAN_MS_MAX = SYNC_MS / 4;
/** As agreed with the broker: it says something every half of it, and drops who says nothing for twice as long. */
const HEARTBEAT_S = 1;
/** Clocks of whole milliseconds. */
const CLOCK_MS = 2;
const HEARTBEAT_FRAME = Uint8Array.of(HEARTBEAT, 0, 0, 0, 0, 0, 0, 0xce);

const QUEUE = MIXED.queues[0]!;
const PLAN: LoadPlan = {
  ...MIXED,
  queues: [QUEUE],
  routes: [1],
  ratePerSecond: 1_000,
  consuming: false,
  timed: true,
};

const SYNCS_ITSELF: Mutant = {
  name: "syncs-itself",
  edits: [{
    file: "runtime/syncer.ts",
    find: "return libc === null ? new CallbackSyncer() : new ThreadSyncer(libc);",
    replace: `return {
    sync(fds, done) {
      for (const fd of fds) libc!.syncFile(fd);
      setTimeout(() => done(null), 0);
    },
    close: () => Promise.resolve(),
  };`,
  }],
};

export const slowDisk: FaultCase = {
  name: "T08",
  title: "slow disk",
  needs: ["strace"],
  run: slow,
  control: {
    what: "syncs on the main thread",
    run: (context) => slow({ ...context, full: false, mutant: buildMutant(SYNCS_ITSELF) }),
  },
};

async function slow(context: FaultContext): Promise<FaultResult> {
  const directory = temporaryDirectory();
  const dataDir = join(directory, "data");
  mkdirSync(dataDir);
  const traced = await TracedBroker.start(context, {
    dataDir,
    directory,
    calls: "fdatasync,syncfs",
    inject: `fdatasync,syncfs:delay_enter=${SYNC_MS * 1000}`,
  });
  const load = new Load({ ...PLAN, seed: context.seed });
  try {
    const { port } = traced.broker;
    await load.open(port);
    const runMs = context.full ? RUN_MS.full : RUN_MS.short;
    const [pings, beats] = await Promise.all([ping(port, runMs), listen(port, runMs)]);
    await load.quiesce();
    const times = await load.times();
    await traced.kill9();
    await load.end();

    const failures: string[] = [];
    const median = quantile(pings, 0.5);
    if (median > PING_MEDIAN_MS_MAX) failures.push(`half of the pings took more than ${Math.round(median)} ms`);
    if (beats < Math.floor(runMs / 1000 / HEARTBEAT_S / 2)) failures.push(`${beats} heartbeats came in ${runMs} ms`);
    const waits = times.flatMap(({ publishedMs, confirmedMs }) =>
      confirmedMs.map((ms, number) => ms === 0 ? Infinity : ms - publishedMs[number]!)
    );
    const early = waits.filter((ms) => ms < SYNC_MS - CLOCK_MS);
    if (early.length > 0) failures.push(`${early.length} confirms came before a sync could be done`);

    const again = await startFaultBroker(context, { dataDir, args: ["--log-level", "warn"] });
    try {
      await load.open(again.port);
      const verdict = await load.finish();
      const counts =
        `syncs of ${SYNC_MS} ms for ${runMs / 1000} s, ${verdict.confirmed.toLocaleString("en-US")} confirmed; ` +
        `${pings.length} pings, median ${median.toFixed(1)} ms, p99 ${quantile(pings, 0.99).toFixed(1)} ms; ` +
        `${beats} heartbeats`;
      return resultOf(verdict, counts, failures);
    } finally {
      await again.dispose();
    }
  } finally {
    load.dispose();
    await traced.dispose();
  }
}

/** Asks for something on disk and sends something through a transient queue, in turns; how long each took, ms. */
async function ping(port: number, runMs: number): Promise<number[]> {
  const client = await RawAmqp.open(port, { channels: 1 });
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  await client.call("basic.consume-ok", basic.consume(1, name, { noAck: true }));
  const samples: number[] = [];
  const endMs = performance.now() + runMs;
  while (performance.now() < endMs) {
    const begin = performance.now();
    if (samples.length % 2 === 0) {
      await client.call("queue.declare-ok", queue.declare(1, QUEUE.name, { passive: true }));
    } else {
      client.send(basic.publish(1, name, "ping"));
      await client.message();
    }
    samples.push(performance.now() - begin);
    await new Promise((resolve) => setTimeout(resolve, PING_EVERY_MS));
  }
  await client.close();
  return samples;
}

/** A connection that does nothing but beat; how many heartbeats it got. */
async function listen(port: number, runMs: number): Promise<number> {
  const client = await RawAmqp.open(port, { heartbeat: HEARTBEAT_S });
  const timer = setInterval(() => client.send(HEARTBEAT_FRAME), HEARTBEAT_S * 500);
  const endMs = performance.now() + runMs;
  let count = 0;
  try {
    while (performance.now() < endMs) {
      const frame = await client.next();
      if (frame === null) break;
      if (frame.type === HEARTBEAT) count++;
    }
  } finally {
    clearInterval(timer);
    client.reset();
  }
  return count;
}

function quantile(samples: readonly number[], part: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Infinity;
}
