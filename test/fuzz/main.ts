// `npm run fuzz`: fuzzes for as long as one likes.
//
//   npm run fuzz -- --minutes 10                       all targets, the time shared among them
//   npm run fuzz -- --target tables --cases 1000000    one target (may be given several times), so many cases
//   npm run fuzz -- --target tables --case 12345       the case that a failure named
//   npm run fuzz -- --target tables --hex '00 00'      this input; --file PATH for one of a corpus or elsewhere
//   npm run fuzz -- --seed N                           the cases of an earlier run
//
// Exit code 1 when something failed; what failed is kept in test/fuzz/corpus.

import process from "node:process";
import { parseArgs } from "node:util";
import { fromHex, keep, readCorpus, readEntry } from "./corpus.ts";
import { failureText, fuzz, type FuzzReport, inputOf, replay } from "./fuzz.ts";
import type { FuzzTarget } from "./fuzz_target.ts";
import { TARGETS } from "./targets.ts";

const MINUTES_DEFAULT = 1;

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    target: { type: "string", multiple: true },
    cases: { type: "string" },
    seed: { type: "string" },
    case: { type: "string" },
    hex: { type: "string" },
    file: { type: "string" },
  },
});
const targets = chosenTargets(values.target ?? []);
process.exitCode = await run() ? 0 : 1;

async function run(): Promise<boolean> {
  if (values.case !== undefined || values.hex !== undefined || values.file !== undefined) return await again();
  const seed = values.seed === undefined ? Date.now() % 0x7fffffff : numberOf("seed", values.seed);
  const casesMax = values.cases === undefined ? undefined : numberOf("cases", values.cases);
  const minutes = values.minutes === undefined ? MINUTES_DEFAULT : numberOf("minutes", values.minutes);
  const shares = targets.reduce((sum, { share }) => sum + share, 0);
  let passed = true;
  for (const target of targets) {
    const msMax = casesMax === undefined || values.minutes !== undefined
      ? minutes * 60_000 * target.share / shares
      : null;
    const corpus = readCorpus(target).map(({ input }) => input);
    const report = await fuzz(target, {
      seed,
      corpus,
      ...(casesMax !== undefined && { casesMax }),
      ...(msMax !== null && { msMax }),
    });
    console.log(reportText(report, seed));
    if (report.failure === null) continue;
    passed = false;
    console.log(failureText(target, report.failure));
    const { smallest, seed: found, error } = report.failure;
    const note = `Found by fuzzing, case ${found}: ${error instanceof Error ? error.message : error}`;
    if (smallest.length > 0) console.log(`kept in ${keep(target, `found_${found}`, smallest, note)}`);
  }
  return passed;
}

/** One case once more. */
async function again(): Promise<boolean> {
  const [target, ...more] = targets;
  if (target === undefined || more.length > 0) throw new Error("expected one --target with --case, --hex or --file");
  const corpus = readCorpus(target).map(({ input }) => input);
  const input = values.case !== undefined
    ? inputOf(target, numberOf("case", values.case), corpus)
    : values.hex !== undefined
    ? fromHex(values.hex)
    : readEntry(values.file!);
  const failure = await replay(target, input);
  console.log(failure === null ? `${target.name}: passed` : failureText(target, failure));
  return failure === null;
}

function reportText({ target, cases, ms, cpuMs, slowestMs, slowestSeed, failure }: FuzzReport, seed: number): string {
  const rate = Math.round(cases / ms * 1000);
  const slowest = `slowest ${slowestMs.toFixed(1)} ms (case ${slowestSeed})`;
  return `${target}: ${failure === null ? "passed" : "FAILED"}, ${cases} cases in ${(ms / 1000).toFixed(1)} s, ` +
    `${rate}/s, ${Math.round(cases / cpuMs * 1000)}/s of processor time, ${slowest}, seed ${seed}`;
}

function chosenTargets(names: readonly string[]): readonly FuzzTarget[] {
  if (names.length === 0) return TARGETS;
  return names.map((name) => {
    const target = TARGETS.find((known) => known.name === name);
    if (target !== undefined) return target;
    throw new Error(`there is no target '${name}', only ${TARGETS.map((known) => known.name).join(", ")}`);
  });
}

function numberOf(name: string, text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new Error(`--${name} takes a number, not '${text}'`);
  return Number(text);
}
