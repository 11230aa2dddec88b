// T07: the disk gives errors. A sync that failed is the end: nothing is confirmed after it, the broker says why and goes,
// and the next one finds everything that was confirmed. The same for writes, allocations and files that cannot be opened.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/broker_process.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultCase, FaultContext, FaultResult, FaultTarget } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { failuresOf, Load } from "./load.ts";
import { type LoadPlan, MIXED } from "./load_plan.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { Random } from "./random.ts";
import type { TimesReport } from "./times.ts";
import { SYNC_CALLS, type TracedBroker, TracedBroker as Traced, type TracedCall } from "./traced_broker.ts";

interface Kind {
  readonly what: string;
  /** System calls that fail. */
  readonly calls: string;
  /** Which call is the first to fail: from these, below those. */
  readonly from: number;
  readonly below: number;
  /** Only that one fails; the next would succeed, as Linux has it after a failed sync. */
  readonly once: boolean;
  /** Whether it must be the end of the broker. What cannot be created may as well be refused. */
  readonly fatal: boolean;
}

const SYNC: Kind = { what: "sync", calls: SYNC_CALLS, from: 20, below: 200, once: false, fatal: true };
const SYNC_ONCE: Kind = { ...SYNC, what: "one sync", once: true };
const WRITE: Kind = { what: "write", calls: "pwrite64", from: 100, below: 1_000, once: false, fatal: true };
const ALLOCATE: Kind = { what: "allocation", calls: "fallocate", from: 5, below: 12, once: false, fatal: false };
const OPEN: Kind = {
  what: "opening and renaming",
  calls: "openat,rename,renameat,renameat2",
  from: 10,
  below: 60,
  once: false,
  fatal: false,
};
const SHORT: readonly Kind[] = [SYNC_ONCE, WRITE, ALLOCATE];
const FULL: readonly Kind[] = [...SHORT, SYNC, OPEN];
/** Files that each target opens until it is ready, and a few more: sources count, too. */
const OPENED_AT_START: Readonly<Record<FaultTarget, number>> = { executable: 40, bun: 520, deno: 610 };
const PLAN: LoadPlan = { ...MIXED, ratePerSecond: 1_000, timed: true };
const ROUNDS_FULL = 10;
const EXIT_MS_MAX = { full: 1_000, short: 30_000 };
/** How long a fault that need not be the end is watched. */
const WATCH_MS = 3_000;
const HIT_MS_MAX = 60_000;

/** Linux says once that a sync failed, and then forgets what it could not write: who asks again is told that all is well. */
const SYNCS_AGAIN: Mutant = {
  name: "syncs-again",
  edits: [{
    file: "runtime/file_syncs.ts",
    find: "for (const fd of fds) check(fd, this.#host.libc.syncFile(fd));",
    replace: "for (const fd of fds) if (this.#host.libc.syncFile(fd) !== 0) check(fd, this.#host.libc.syncFile(fd));",
  }, {
    file: "runtime/file_syncs.ts",
    find: "check(filesystem, this.#host.libc.syncFilesystem(filesystem));",
    replace:
      "if (this.#host.libc.syncFilesystem(filesystem) !== 0) check(filesystem, this.#host.libc.syncFilesystem(filesystem));",
  }],
};

export const ioError: FaultCase = {
  name: "T07",
  title: "errors of the disk",
  needs: ["strace"],
  run: (context) => {
    const rounds = context.times ?? (context.full ? ROUNDS_FULL : 1);
    return runKinds(context, Array.from({ length: rounds }, () => context.full ? FULL : SHORT).flat());
  },
  control: {
    what: "a failed sync is tried again",
    run: (context) => runKinds({ ...context, mutant: buildMutant(SYNCS_AGAIN) }, [SYNC_ONCE]),
  },
};

interface Tally {
  confirmed: number;
  lost: number;
  phantom: number;
  slowestExitMs: number;
  readonly done: Map<string, number>;
  readonly failures: string[];
}

async function runKinds(context: FaultContext, kinds: readonly Kind[]): Promise<FaultResult> {
  const random = new Random(context.seed);
  const tally: Tally = { confirmed: 0, lost: 0, phantom: 0, slowestExitMs: 0, done: new Map(), failures: [] };
  for (const kind of kinds) await runKind(context, kind, random, tally);
  const done = [...tally.done].map(([what, count]) => `${what} ${count}`).join(", ");
  const counts = `failing: ${done} times; ${tally.confirmed.toLocaleString("en-US")} confirmed, slowest exit ` +
    `${Math.round(tally.slowestExitMs)} ms after the error`;
  return { lost: tally.lost, phantom: tally.phantom, counts, failures: tally.failures };
}

async function runKind(context: FaultContext, kind: Kind, random: Random, tally: Tally): Promise<void> {
  const directory = temporaryDirectory();
  const dataDir = join(directory, "data");
  const nth = random.between(kind.from, kind.below) + (kind === OPEN ? OPENED_AT_START[context.target] : 0);
  const where = `${kind.what}, from call ${nth} on`;
  mkdirSync(dataDir);
  const traced = await Traced.start(context, {
    dataDir,
    directory,
    calls: `${SYNC_CALLS},${kind.calls}`,
    inject: `${kind.calls}:error=EIO:when=${nth}${kind.once ? "" : "+"}`,
  });
  // Without consumers every confirm is a matter of a sync: what is consumed at once need not reach the disk.
  const load = new Load({ ...PLAN, seed: random.next(), consuming: kind.calls !== SYNC_CALLS });
  const failures: string[] = [];
  try {
    await load.open(traced.broker.port).catch(() => {}); // the fault may come this early
    if (await isHit(traced, kind)) await awaitEnd(context, traced, kind, tally, failures);
    else context.log(`${where}: was not called so often`);
    if (traced.exit === undefined) await traced.kill9();
    await load.end();
    if (kind.calls === SYNC_CALLS) failures.push(...falseConfirms(await load.times(), traced.calls()));
    tally.done.set(kind.what, (tally.done.get(kind.what) ?? 0) + 1);

    const again = await startFaultBroker(context, { dataDir, args: ["--log-level", "warn"] });
    try {
      await load.open(again.port);
      const verdict = await load.finish();
      tally.confirmed += verdict.confirmed;
      tally.lost += verdict.lost;
      tally.phantom += verdict.phantom;
      failures.push(...failuresOf(verdict, "after a restart"));
    } finally {
      await again.dispose();
    }
  } finally {
    load.dispose();
    await traced.dispose();
  }
  tally.failures.push(...failures.map((failure) => `${where}: ${failure}`));
}

function isHit(traced: TracedBroker, kind: Kind): Promise<boolean> {
  const isHit = () => traced.exit !== undefined || traced.calls().some((call) => call.injected) ? true : undefined;
  return waitFor("a call that fails", isHit, kind.fatal ? HIT_MS_MAX : WATCH_MS * 3).catch(() => false);
}

/** The broker has met an error: it goes, with the reason, or it has to be none that matters. */
async function awaitEnd(
  context: FaultContext,
  traced: TracedBroker,
  kind: Kind,
  tally: Tally,
  failures: string[],
): Promise<void> {
  const hit = traced.calls().find((call) => call.injected);
  const exitMsMax = context.full ? EXIT_MS_MAX.full : EXIT_MS_MAX.short;
  const patienceMs = kind.fatal && context.mutant === null ? EXIT_MS_MAX.short : WATCH_MS;
  const exit = await traced.broker.program.waitForExit(patienceMs).catch(() => null);
  if (exit === null) {
    if (kind.fatal) failures.push(`it still runs ${patienceMs} ms after the error`);
    return;
  }
  const exitMs = Date.now() - (hit?.endMs ?? Date.now());
  if (kind.fatal) tally.slowestExitMs = Math.max(tally.slowestExitMs, exitMs);
  if (kind.fatal && exitMs > exitMsMax) failures.push(`it ended ${Math.round(exitMs)} ms after the error`);
  const { stderr } = traced.broker;
  if (exit.code === 0 || exit.code === null) failures.push(`exit ${exit.code ?? exit.signal}: ${stderr}`);
  if (!stderr.includes("EIO")) failures.push(`it did not say why it ended: ${stderr}`);
}

/**
 * Confirms that no sync explains. What is confirmed had reached the broker before the last sync began that succeeded, and
 * nobody had failed before.
 */
function falseConfirms(times: readonly TimesReport[], calls: readonly TracedCall[]): string[] {
  const syncs = calls.filter(({ name }) => SYNC_CALLS.split(",").includes(name));
  const failedAt = syncs.findIndex((call) => call.failed);
  const sound = failedAt < 0 ? syncs : syncs.slice(0, failedAt);
  const lastMs = Math.max(0, ...sound.filter((call) => call.endMs < Infinity).map((call) => call.startMs));
  let count = 0;
  for (const { publishedMs, confirmedMs } of times) {
    publishedMs.forEach((ms, number) => {
      // The load's clock counts whole milliseconds.
      if (confirmedMs[number] !== 0 && ms > lastMs + 1) count++;
    });
  }
  return count === 0 ? [] : [`${count} confirms of what came after the last sync that did not fail`];
}
