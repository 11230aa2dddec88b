// `npm run faults`: fault tests against a real broker, a line each; exit code 1 when one failed.
//
//   npm run faults                        all, in short
//   npm run faults -- T01 T07             some
//   npm run faults -- --full T02          as for the table in docs/reliability.md
//   --target bun|deno|executable          what the broker runs on (default: executable)
//   --seed N                              repeats the choices of an earlier run
//   --times N                             so many kills, cuts, rounds instead of the usual number
//   --record FILE                         appends the results as JSON lines: table.ts makes the table of them

import { appendFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { CASES } from "./cases.ts";
import type { FaultCase, FaultContext, FaultTarget } from "./fault_case.ts";
import { type CaseOutcome, passed, runCase } from "./run_case.ts";
import type { Row } from "./table.ts";

const TARGETS: readonly FaultTarget[] = ["bun", "deno", "executable"];

const { full, times, seed, target, record, chosen } = options();
let failed = 0;
for (const fault of chosen) {
  console.log(`${fault.name} ${fault.title}`);
  const context: FaultContext = { full, times, seed, target, mutant: null, log: (text) => console.log(`     ${text}`) };
  const outcome = await runCase(fault, context);
  report(outcome);
  if (outcome.missing.length === 0 && !passed(outcome)) failed++;
  if (record !== undefined && outcome.missing.length === 0) {
    appendFileSync(record, `${JSON.stringify(rowOf(outcome))}\n`);
  }
}
process.exit(failed > 0 ? 1 : 0);

function options() {
  try {
    const { values, positionals } = parseArgs({
      options: {
        full: { type: "boolean", default: false },
        seed: { type: "string" },
        target: { type: "string", default: "executable" },
        record: { type: "string" },
        times: { type: "string" },
      },
      allowPositionals: true,
    });
    const target = TARGETS.find((known) => known === values.target);
    if (target === undefined) throw new Error(`--target takes ${TARGETS.join(", ")}, not '${values.target}'`);
    const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed);
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) throw new Error("--seed takes a number below 2^32");
    const times = values.times === undefined ? undefined : Number(values.times);
    if (times !== undefined && !(Number.isInteger(times) && times > 0)) {
      throw new Error("--times takes a number above 0");
    }
    return { full: values.full, times, seed, target, record: values.record, chosen: choose(positionals) };
  } catch (error) {
    console.error(`faults: ${(error as Error).message}`);
    return process.exit(2);
  }
}

function choose(names: readonly string[]): readonly FaultCase[] {
  if (names.length === 0) return CASES;
  return names.map((name) => {
    const fault = CASES.find((known) => known.name === name.toUpperCase());
    if (fault === undefined) {
      throw new Error(`there is no ${name}, only ${CASES.map((known) => known.name).join(", ")}`);
    }
    return fault;
  });
}

function report(outcome: CaseOutcome): void {
  const { name, missing, result, control, controlWhat, controlFailures, seconds } = outcome;
  if (missing.length > 0) return console.log(`${name} skipped: needs ${missing.join(", ")}`);
  const verdict = passed(outcome) ? "ok" : "FAILED";
  const { counts, lost, phantom } = result;
  console.log(
    `${name} ${verdict}, ${target}: ${counts}; lost ${lost}, phantom ${phantom}; ` +
      `control${controlWhat === null ? "" : ` (${controlWhat})`}: ${control}; ${seconds.toFixed(1)} s, seed ${seed}`,
  );
  for (const failure of result.failures) console.log(`     ${failure}`);
  for (const failure of controlFailures) console.log(`     control: ${failure}`);
}

function rowOf(outcome: CaseOutcome): Row {
  const { name, title, result, control, controlWhat } = outcome;
  return {
    date: new Date().toISOString().slice(0, 10),
    name,
    title,
    target,
    full,
    counts: result.counts,
    lost: result.lost,
    phantom: result.phantom,
    passed: passed(outcome),
    controlWhat,
    control,
    seconds: Math.round(outcome.seconds),
    command: `npm run faults --${full ? " --full" : ""}${
      times === undefined ? "" : ` --times ${times}`
    } --target ${target} --seed ${seed} ${name}`,
  };
}
