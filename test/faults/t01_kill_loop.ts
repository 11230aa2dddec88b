// T01: kill -9 at random moments under load, again and again on the same directory.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { Load, resultOf, together } from "./load.ts";
import { IN_STEP, type LoadPlan, MIXED } from "./load_plan.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { Random } from "./random.ts";

const KILLS = { full: 500, short: 6, control: 2 };
/** One of so many kills is under a load of clients in step with each other. */
const IN_STEP_PART = 3;
const PLAN: LoadPlan = { ...MIXED, topology: true };
const LIFE_MS_MIN = 200;
const LIFE_MS_MAX = 3_000;
/** In short. */
const SHORT_LIFE_MS_MAX = 1_200;
/** However slow the machine: each life does something. */
const LIFE_CONFIRMED_MIN = 100;
/** Until the ready line: 1 s, and 1 s for each GiB on disk; what others do with the disk may delay a few. */
const READY_MS_MAX = 1_000;
const READY_MS_MAX_SHORT = 30_000;
const READY_LATE_MAX = 0.02;
const GIB = 2 ** 30;

/** What was written in a turn stays in memory for a while, and the sync that confirms it knows nothing of it. */
const CONFIRMS_AHEAD: Mutant = {
  name: "confirms-ahead",
  edits: [{
    file: "store/group_commit.ts",
    find: "    this.#touched.push(store);",
    replace: "    setTimeout(() => this.#touched.push(store), 300);",
  }],
};

export const killLoop: FaultCase = {
  name: "T01",
  title: "kill -9 under load",
  needs: [],
  run: async (context) => {
    const kills = context.times ?? (context.full ? KILLS.full : KILLS.short);
    const inStep = Math.floor(kills / IN_STEP_PART);
    const mixed = await kill(context, kills - inStep, PLAN);
    return inStep === 0 ? mixed : together(mixed, await kill(context, inStep, IN_STEP));
  },
  control: {
    what: "confirms before the bytes are in the file",
    run: (context) => kill({ ...context, mutant: buildMutant(CONFIRMS_AHEAD) }, KILLS.control, PLAN),
  },
};

async function kill(context: FaultContext, kills: number, plan: LoadPlan): Promise<FaultResult> {
  const random = new Random(context.seed);
  const broker = await startFaultBroker(context, { args: ["--log-level", "warn"] });
  const load = new Load({ ...plan, seed: context.seed });
  const failures: string[] = [];
  let slowestMs = 0;
  let late = 0;
  try {
    await load.open(broker.port);
    let confirmedBefore = 0;
    for (let kill = 1; kill <= kills; kill++) {
      confirmedBefore = await load.confirmedBeyond(confirmedBefore + LIFE_CONFIRMED_MIN);
      await sleep(random.between(LIFE_MS_MIN, context.full ? LIFE_MS_MAX : SHORT_LIFE_MS_MAX));
      await broker.kill9();
      await load.end();
      const started = performance.now() - waitedForProcessorMs(process.pid);
      await broker.restart();
      const ended = performance.now() - waitedForProcessorMs(process.pid);
      const readyMs = ended - started - waitedForProcessorMs(broker.pid);
      slowestMs = Math.max(slowestMs, readyMs);
      const readyMsMax = (context.full ? READY_MS_MAX : READY_MS_MAX_SHORT) + bytesBelow(broker.dataDir) / GIB * 1_000;
      if (readyMs > readyMsMax) late++;
      await load.open(broker.port);
      if (kill % 20 === 0) {
        const { confirmed, deliveries } = await load.counts();
        context.log(`${kill} kills, ${confirmed} confirmed, ${deliveries} deliveries, slowest start ${ms(slowestMs)}`);
      }
    }
    const verdict = await load.finish();
    if (late > kills * READY_LATE_MAX) failures.push(`${late} starts were late, the slowest took ${ms(slowestMs)}`);
    await load.end();
    if (await broker.terminate() !== 0) failures.push(`it did not stop in good order: ${broker.stderr}`);
    const { confirmed, delivered, redelivered } = verdict;
    const counts = `${kills} kills, ${number(confirmed)} confirmed, ${number(delivered)} delivered and ` +
      `${number(redelivered)} again, slowest start ${ms(slowestMs)}`;
    return resultOf(verdict, counts, failures);
  } finally {
    load.dispose();
    await broker.dispose();
  }
}

/** How long a process could have run and others did, ms: not its fault. */
function waitedForProcessorMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[1]) / 1e6;
  } catch {
    return 0;
  }
}

function bytesBelow(directory: string): number {
  let bytes = 0;
  for (const path of readdirSync(directory, { recursive: true })) {
    bytes += statSync(join(directory, String(path)), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}
