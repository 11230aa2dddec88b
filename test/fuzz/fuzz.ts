// The runner: makes case after case of one target, checks it, and reports the first that fails, made small.

import process from "node:process";
import { toHex } from "./corpus.ts";
import type { FuzzTarget } from "./fuzz_target.ts";
import { minimize } from "./minimize.ts";
import { caseSeed, FuzzRandom } from "./random.ts";

/** A case that takes longer is a failure, milliseconds: a slow machine may stand still for seconds. */
const CASE_MS_MAX = 10_000;
/** And one that takes so long is reported. */
const SLOW_MS = 1000;
/** What the process may grow by from the first tenth of a run to its end, bytes: caches fill and heaps breathe. */
const GROWTH_BYTES_MAX = 384 * 1024 * 1024;
/** What is shown of an input that could not be made smaller, octets. */
const SHOWN_BYTES_MAX = 512;
const MINIMIZE_MS_MAX = 15_000;
/** Checks that run at once between two looks at the clock. */
const BATCH = 64;

export interface FuzzOptions {
  readonly seed: number;
  /** The run ends after this many cases, or milliseconds, whatever comes first. */
  readonly casesMax?: number;
  readonly msMax?: number;
  readonly corpus: readonly Uint8Array[];
}

export interface FuzzFailure {
  /** The case's own seed; null for an input that was given. */
  readonly seed: number | null;
  readonly error: unknown;
  readonly input: Uint8Array;
  readonly smallest: Uint8Array;
}

export interface FuzzReport {
  readonly target: string;
  readonly cases: number;
  readonly ms: number;
  /** Of the processor, which others may be using, too. */
  readonly cpuMs: number;
  readonly slowestMs: number;
  readonly slowestSeed: number;
  readonly failure: FuzzFailure | null;
}

/** Runs a target until its time or its cases are over, or one fails. */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzReport> {
  const { seed: runSeed, casesMax = Infinity, msMax = Infinity, corpus } = options;
  const watch = new RejectionWatch();
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  const endMs = startMs + msMax;
  let cases = 0;
  let slowestMs = 0;
  let slowestSeed = 0;
  let failure: FuzzFailure | null = null;
  let warmBytes = 0;
  const finished = (): boolean => cases >= casesMax || performance.now() >= endMs;
  await target.open?.();
  try {
    while (failure === null && !finished()) {
      for (let i = 0; i < BATCH && failure === null && !finished(); i++) {
        const seed = caseSeed(runSeed, cases++);
        const caseMs = performance.now();
        const error = await failureOf(target, () => target.make(new FuzzRandom(seed), corpus), watch);
        const tookMs = performance.now() - caseMs;
        if (tookMs > slowestMs) [slowestMs, slowestSeed] = [tookMs, seed];
        const slow = error === null && tookMs > CASE_MS_MAX ? new Error(`took ${Math.round(tookMs)} ms`) : null;
        if (error !== null || slow !== null) {
          failure = await failureWith(target, seed, corpus, error?.error ?? slow, watch);
        }
        if (tookMs > SLOW_MS) break;
      }
      // Whatever is left to others' turns, a rejection that nobody handles among it, comes now.
      await new Promise((resolve) => setImmediate(resolve));
      const isWarm = cases >= casesMax / 10 || performance.now() - startMs >= msMax / 10;
      if (warmBytes === 0 && isWarm) warmBytes = process.memoryUsage.rss();
    }
    failure ??= grown(warmBytes);
  } finally {
    try {
      await target.close?.();
    } catch (error) {
      failure ??= { seed: null, error, input: new Uint8Array(0), smallest: new Uint8Array(0) };
    }
    watch.close();
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const ms = performance.now() - startMs;
  return { target: target.name, cases, ms, cpuMs: (user + system) / 1000, slowestMs, slowestSeed, failure };
}

/** Runs one given input; what went wrong, or null. */
export async function replay(target: FuzzTarget, input: Uint8Array): Promise<FuzzFailure | null> {
  const watch = new RejectionWatch();
  await target.open?.();
  try {
    const failed = await failureOf(target, () => input, watch);
    return failed === null ? null : { seed: null, error: failed.error, input, smallest: input };
  } finally {
    await target.close?.();
    watch.close();
  }
}

/** The case of a seed that a failure names. */
export function inputOf(target: FuzzTarget, seed: number, corpus: readonly Uint8Array[]): Uint8Array {
  return target.make(new FuzzRandom(seed), corpus);
}

/** What to tell people of a failure: what, the seed, the smallest input, how to run it again. */
export function failureText(target: FuzzTarget, { seed, error, smallest }: FuzzFailure): string {
  const what = error instanceof Error ? error.stack ?? error.message : String(error);
  const shown = smallest.subarray(0, SHOWN_BYTES_MAX);
  const text = target.form === "text" ? `\n${JSON.stringify(new TextDecoder().decode(shown))}` : "";
  const more = smallest.length > shown.length ? " ..." : "";
  const again = seed === null ? "--hex 'OCTETS'" : `--case ${seed}`;
  return `${target.name}: ${what}\ninput, ${smallest.length} octets:\n${toHex(shown)}${more}${text}\n` +
    `again: npm run fuzz -- --target ${target.name} ${again}`;
}

interface Failed {
  readonly error: unknown;
}

/** Null when the check passes. Awaits only when there is something to wait for: most checks are done at once. */
async function failureOf(target: FuzzTarget, input: () => Uint8Array, watch: RejectionWatch): Promise<Failed | null> {
  try {
    const checking = target.check(input());
    if (checking !== undefined) await checking;
  } catch (error) {
    return { error };
  }
  return watch.take();
}

async function failureWith(
  target: FuzzTarget,
  seed: number,
  corpus: readonly Uint8Array[],
  error: unknown,
  watch: RejectionWatch,
): Promise<FuzzFailure> {
  let input: Uint8Array;
  try {
    input = inputOf(target, seed, corpus);
  } catch {
    return { seed, error, input: new Uint8Array(0), smallest: new Uint8Array(0) };
  }
  const kind = kindOf(error);
  const fails = async (candidate: Uint8Array): Promise<boolean> => {
    const failed = await failureOf(target, () => candidate, watch);
    return failed !== null && kindOf(failed.error) === kind;
  };
  const smallest = await minimize(input, fails, { pieces: target.pieces?.bind(target), msMax: MINIMIZE_MS_MAX });
  return { seed, error, input, smallest };
}

/** Failures of one kind: the same name, and the same words up to the first number or quotation. */
function kindOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.name}: ${/^[^\d'"`\n]*/.exec(error.message)![0]}`;
}

function grown(warmBytes: number): FuzzFailure | null {
  if (warmBytes === 0) return null;
  const bytes = process.memoryUsage.rss() - warmBytes;
  if (bytes <= GROWTH_BYTES_MAX) return null;
  const error = new Error(`the process grew by ${Math.round(bytes / 2 ** 20)} MiB`);
  return { seed: null, error, input: new Uint8Array(0), smallest: new Uint8Array(0) };
}

/** Rejections that nobody handled, and exceptions that nobody caught. */
class RejectionWatch {
  #error: Failed | null = null;
  readonly #note = (error: unknown): void => {
    this.#error ??= { error };
  };

  constructor() {
    process.on("unhandledRejection", this.#note);
    process.on("uncaughtException", this.#note);
  }

  take(): Failed | null {
    const error = this.#error;
    this.#error = null;
    return error;
  }

  close(): void {
    process.off("unhandledRejection", this.#note);
    process.off("uncaughtException", this.#note);
  }
}
