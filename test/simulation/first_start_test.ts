// The first start of a broker, cut at every change that it makes to its disk: the next one is one that can be used.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LifeOver, Machine } from "./machine.ts";
import { type CrashKind, Model } from "./model.ts";
import { loadProduct } from "./product.ts";
import { Random } from "./random.ts";
import { Topology } from "./topology.ts";
import { World } from "./world.ts";

/** More than a first start makes. */
const CHANGES_MAX = 60;
const product = await loadProduct();

/** True when the start came to its end. */
async function cut(seed: number, dieAtChange: number, kind: CrashKind): Promise<boolean> {
  const world = new World(new Random(seed));
  const model = new Model(world);
  const machine = new Machine(world, model, product, { segmentBytes: 4096, kernelBytes: 4096, writeBackChance: 0.1 });
  let isWhole = false;
  await world.within(async () => {
    const quiet = { dieAtChange: 0, dieInSync: 0, failSync: 0, syncMsMax: 5 };
    try {
      await machine.start({ ...quiet, dieAtChange }, Infinity);
      await new Topology(machine).connect();
      await machine.sleep(50);
      isWhole = true;
    } catch (error) {
      assert.ok(error instanceof LifeOver, `${error}`);
    }
    machine.crash(kind);
    await machine.start(quiet, Infinity);
    // Logs in.
    await new Topology(machine).connect();
    machine.process.die();
    world.clear();
  });
  return isWhole;
}

for (const kind of ["kill", "power cut"] as const) {
  test(`a first start that ends in a ${kind} leaves a broker that its default user can log in to`, async () => {
    for (let seed = 1; seed <= 5; seed++) {
      let change = 1;
      while (!(await cut(seed, change, kind))) change++;
      assert.ok(change > 10 && change < CHANGES_MAX, `cut at ${change - 1} changes`);
    }
  });
}
