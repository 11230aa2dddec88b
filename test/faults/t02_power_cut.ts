// T02: the power goes under load. What was on disk at that moment is given to another broker, while the first one, which
// knows nothing of it, goes on.

import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { failuresOf, Load, together } from "./load.ts";
import { IN_STEP, type LoadPlan, MIXED } from "./load_plan.ts";
import { fileSystems, PowerDisk, run } from "./power_disk.ts";
import { Random } from "./random.ts";
import { Releases } from "./releases.ts";

const CUTS = { full: 200, short: 3, control: 1 };
/** Then a new broker on a new disk. */
const CUTS_PER_LIFE = 10;
const BETWEEN_MS_MAX = 1_000;
const CONFIRMED_MIN = 200;
/** Of every so many cuts the power goes again as soon as the broker is up. */
const TWICE_EVERY = 3;
const FAILURES_MAX = 20;
/** One of so many cuts is under a load of clients in step with each other. */
const IN_STEP_PART = 3;
const PLAN: LoadPlan = { ...MIXED, ratePerSecond: 1_500, backlogMax: 2_000, topology: true };

export const powerCut: FaultCase = {
  name: "T02",
  title: "power cut under load",
  needs: ["root", "loop", "reflink"],
  run: async (context) => {
    const cuts = context.times ?? (context.full ? CUTS.full : CUTS.short);
    const inStep = Math.floor(cuts / IN_STEP_PART);
    const mixed = await cutPower(context, cuts - inStep, [], PLAN);
    return inStep === 0 ? mixed : together(mixed, await cutPower(context, inStep, [], IN_STEP));
  },
  control: {
    what: "--no-sync",
    run: (context) => cutPower(context, CUTS.control, ["--no-sync"], PLAN),
  },
};

interface Tally {
  cuts: number;
  confirmed: number;
  confirmedInLife: number;
  again: number;
  lost: number;
  phantom: number;
  readonly failures: string[];
}

async function cutPower(
  context: FaultContext,
  cuts: number,
  args: readonly string[],
  plan: LoadPlan,
): Promise<FaultResult> {
  const releases = new Releases();
  const tally: Tally = { cuts: 0, confirmed: 0, confirmedInLife: 0, again: 0, lost: 0, phantom: 0, failures: [] };
  try {
    const disk = new PowerDisk(releases);
    const random = new Random(context.seed);
    let lives = 0;
    for (; tally.cuts < cuts; lives++) {
      const kinds = fileSystems();
      const dataDir = join(disk.fresh(kinds[lives % kinds.length]!), "data");
      await live(context, disk, dataDir, random, Math.min(cuts, tally.cuts + CUTS_PER_LIFE), args, plan, tally);
      if (tally.failures.length > FAILURES_MAX) break;
      context.log(`${tally.cuts} cuts, ${tally.confirmed} confirmed, lost ${tally.lost}`);
    }
    const { confirmed, again, lost, phantom, failures } = tally;
    const counts =
      `${tally.cuts} cuts of ${lives} brokers on ${fileSystems().slice(0, lives).join(" and ")}, ${
        confirmed.toLocaleString("en-US")
      } confirmed before a ` +
      `cut, ${again.toLocaleString("en-US")} delivered again`;
    return { lost, phantom, counts, failures };
  } finally {
    releases.close();
  }
}

/** One broker on a disk of its own, whose power goes until `cuts` is reached. */
async function live(
  context: FaultContext,
  disk: PowerDisk,
  dataDir: string,
  random: Random,
  cuts: number,
  args: readonly string[],
  plan: LoadPlan,
  tally: Tally,
): Promise<void> {
  tally.confirmedInLife = 0;
  const load = new Load({ ...plan, seed: random.next() });
  const broker = await startFaultBroker(context, { dataDir, args: ["--log-level", "warn", ...args] });
  try {
    await load.open(broker.port);
    let confirmed = 0;
    while (tally.cuts < cuts) {
      confirmed = await load.confirmedBeyond(confirmed + CONFIRMED_MIN);
      await new Promise((resolve) => setTimeout(resolve, random.between(0, BETWEEN_MS_MAX)));
      const command = disk.cutCommand();
      const cut = await load.cut(command.program, command.args);
      tally.cuts++;
      await judge(context, disk, load, cut, command.name, tally.cuts % TWICE_EVERY === 0, tally);
    }
  } finally {
    load.dispose();
    await broker.dispose();
    disk.unmountDisk();
  }
}

/** The power is back: the machine runs another time, which the broker tells from its boot id. */
function startMachine(dataDir: string): void {
  const path = join(dataDir, "run");
  if (!existsSync(path)) return;
  writeFileSync(path, readFileSync(path, "utf8").replace(/^running \S+/, `running ${randomUUID()}`));
}

/** A broker on what the cut left, and the verdict over what it delivers; `twice`: its power goes at once, too. */
async function judge(
  context: FaultContext,
  disk: PowerDisk,
  load: Load,
  cut: number,
  name: string,
  twice: boolean,
  tally: Tally,
): Promise<void> {
  const { path, remove } = disk.mountCut(name);
  startMachine(join(path, "data"));
  let next: string | null = null;
  try {
    const broker = await startFaultBroker(context, { dataDir: join(path, "data"), args: ["--log-level", "warn"] });
    try {
      if (twice) {
        const command = disk.cutCommand(name);
        run(command.program, ...command.args);
        next = command.name;
      } else {
        const verdict = await load.judge(cut, broker.port);
        tally.confirmed += verdict.confirmed - tally.confirmedInLife;
        tally.confirmedInLife = verdict.confirmed;
        tally.again += verdict.redelivered;
        tally.lost += verdict.lost;
        tally.phantom += verdict.phantom;
        tally.failures.push(...failuresOf(verdict, `cut ${tally.cuts}`));
      }
    } finally {
      await broker.dispose();
    }
  } finally {
    remove();
  }
  if (next !== null) await judge(context, disk, load, cut, next, false, tally);
}
