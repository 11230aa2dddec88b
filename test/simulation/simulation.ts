// One run: a machine, a broker on it, lives that end in crashes, and a last look at what is left. Everything follows
// from the seed.

import { Contradicted, LifeOver, Machine } from "./machine.ts";
import { Model } from "./model.ts";
import type { ProcessPlan } from "./process.ts";
import type { Product } from "./product.ts";
import { Random } from "./random.ts";
import { Script } from "./script.ts";
import { Topology } from "./topology.ts";
import { World } from "./world.ts";

const LIVES_MAX = 6;
/** A process that dies over its recovery is started again; in the end it is let live. */
const STARTS_MAX = 4;

export interface Outcome {
  readonly seed: number;
  /** What was wrong, null when nothing was. */
  readonly violation: string | null;
  /** The same for two runs of one seed. */
  readonly hash: string;
  readonly events: number;
  readonly published: number;
  readonly confirmed: number;
  readonly delivered: number;
  readonly crashes: number;
  /** The last things that happened. */
  last(count: number): string[];
}

const NO_DEATH: ProcessPlan = { dieAtChange: 0, dieInSync: 0, failSync: 0, syncMsMax: 5 };

export async function simulate(seed: number, product: Product): Promise<Outcome> {
  const random = new Random(seed);
  const world = new World(random);
  const model = new Model(world);
  const machine = new Machine(world, model, product, {
    segmentBytes: random.pick([4096, 4096, 8192, 16_384]),
    kernelBytes: random.pick([4096, 16_384, 65_536]),
    writeBackChance: random.pick([0, 0.01, 0.1]),
  });
  await world.within(async () => {
    try {
      await live(machine);
    } catch (error) {
      if (!(error instanceof Contradicted)) {
        model.violate(error instanceof Error ? error.stack ?? error.message : `${error}`);
      }
    }
    machine.process?.die();
    world.clear();
  });
  return {
    seed,
    violation: model.violations[0] ?? null,
    hash: world.trace.hash,
    events: world.trace.count,
    published: model.publishedCount,
    confirmed: model.confirmedCount,
    delivered: model.deliveredCount,
    crashes: machine.crashes,
    last: (count) => world.trace.last(count),
  };
}

async function live(machine: Machine): Promise<void> {
  const { random } = machine.world;
  const topology = new Topology(machine);
  const lives = random.between(1, LIVES_MAX);
  let starts = 0;
  for (let life = 0; life < lives; starts++) {
    const plan = starts < STARTS_MAX ? drawPlan(random) : NO_DEATH;
    const dieAtStep = starts < STARTS_MAX && random.chance(0.3) ? early(random, 11.5) : Infinity;
    try {
      await machine.start(plan, dieAtStep);
      life++;
      starts = 0;
      const script = new Script(machine, topology, life);
      // Short lives too: what one left half done, the next one builds on.
      await script.run(random.below(random.pick([5, 30, 100])));
      if (random.chance(0.4)) await script.finish();
      if (random.chance(0.3)) await machine.stop();
      else throw new LifeOver();
    } catch (error) {
      if (!(error instanceof LifeOver)) throw error;
      machine.crash(random.chance(0.6) ? "power cut" : "kill");
    }
  }
  await machine.start(NO_DEATH, Infinity);
  const script = new Script(machine, topology, lives + 1);
  await script.run(0);
  await script.finish();
  await machine.stop();
}

function drawPlan(random: Random): ProcessPlan {
  const death = random.weighted({ none: 3, change: 4, sync: 3 });
  return {
    dieAtChange: death === "change" ? early(random, 10) : 0,
    dieInSync: death === "sync" ? early(random, 6) : 0,
    failSync: random.chance(0.1) ? early(random, 6) : 0,
    syncMsMax: random.pick([0.5, 5, 30]),
  };
}

/** Up to 2^bits: often small, over the recovery and just after it, sometimes large. */
function early(random: Random, bits: number): number {
  return Math.ceil(2 ** (random.fraction() * bits));
}
