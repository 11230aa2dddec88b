// The simulation itself: that a seed is a run, that nothing is found in the broker, and that what is broken on purpose
// is found. LEVERET_TEST_SEED says where to begin; `npm run simulate -- --seed N` replays what failed here.

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { buildMutant } from "../faults/mutant.ts";
import { findSeed, MUTANTS } from "./mutants.ts";
import { loadProduct } from "./product.ts";
import { simulate } from "./simulation.ts";

const product = await loadProduct();
const isBun = process.versions["bun"] !== undefined;
const now = performance.now.bind(performance);

/** Milliseconds of simulation; the other runtime runs the same JavaScript. */
const RUN_MS = isBun ? 45_000 : 5_000;
/** A machine may have much else to do. */
const LONG = { timeout: 600_000 };
/** Found violations once. */
const REGRESSIONS = [8, 83, 195, 247, 1352, 3328, 3430, 4577, 5029, 10_091, 11_359];

test("two runs of one seed are the same run", LONG, async () => {
  for (const seed of [1, 2, 3, 5, 8]) {
    const [first, second] = [await simulate(seed, product), await simulate(seed, product)];
    assert.ok(first.events > 10, `seed ${seed}: something happens`);
    assert.equal(first.hash, second.hash, `seed ${seed}`);
    assert.deepEqual(first.last(1000), second.last(1000), `seed ${seed}`);
  }
});

test("whatever is asked, and however it crashes, the broker keeps its promises", LONG, async () => {
  const endMs = now() + RUN_MS;
  const from = Number(process.env["LEVERET_TEST_SEED"] ?? 1);
  let confirmed = 0;
  let crashes = 0;
  const check = async (seed: number): Promise<void> => {
    const outcome = await simulate(seed, product);
    assert.equal(outcome.violation, null, `npm run simulate -- --seed ${seed}`);
    confirmed += outcome.confirmed;
    crashes += outcome.crashes;
  };
  for (const seed of REGRESSIONS) await check(seed);
  for (let seed = from; now() < endMs; seed++) await check(seed);
  assert.ok(confirmed > 0 && crashes > 0, "messages were confirmed, and processes died");
});

if (isBun) {
  for (const mutant of MUTANTS) {
    test(`it is found when ${mutant.what}`, LONG, async () => {
      const broken = await loadProduct(buildMutant(mutant));
      const seed = await findSeed(mutant, broken);
      assert.ok(seed !== null, "no seed found it");
      assert.equal((await simulate(seed, product)).violation, null, `seed ${seed} without the mutation`);
    });
  }
}
