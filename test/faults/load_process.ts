// The process of a load: takes commands as JSON lines on standard input and answers each with a line. Messages are
// counted here and nowhere else, so that nothing crosses between processes for one of them.

import { spawnSync } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { currentRuntime } from "../../src/runtime/current.ts";
import { Ledger } from "./ledger.ts";
import type { LoadAnswer, LoadCommand, LoadVerdict } from "./load.ts";
import type { LoadPlan } from "./load_plan.ts";
import { consumersOf, LoadSession, publishersOf } from "./load_session.ts";
import { LoadTopology } from "./load_topology.ts";
import { Bodies } from "./message_body.ts";
import { Random } from "./random.ts";
import { Times } from "./times.ts";

const plan = JSON.parse(process.argv[2]!) as LoadPlan;
const runtime = await currentRuntime();
const random = new Random(plan.seed);
const bodies = new Bodies(plan.seed);
const ledger = new Ledger(plan.publishers, plan.queues);
const times = plan.timed ? Array.from({ length: plan.publishers }, () => new Times()) : [];
const actors = {
  publishers: publishersOf(plan, ledger, bodies, random, (id) => times[id] ?? null),
  consumers: consumersOf(plan, ledger, bodies, random),
};
const topology = plan.topology ? new LoadTopology() : null;
let session: LoadSession | null = null;
const cuts = new Map<number, { readonly ledger: Ledger; readonly topology: LoadTopology | null }>();

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as LoadCommand;
  // One after the other is not asked for: a cut is made while another one is judged.
  answer(command).then(
    (result) => say({ id: command.id, result }),
    (error: Error) => say({ id: command.id, error: error.stack ?? error.message }),
  );
}
process.exit(0);

function say(answer: LoadAnswer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function answer(command: LoadCommand): Promise<unknown> {
  switch (command.do) {
    case "open":
      session = new LoadSession(runtime, plan, ledger, actors, topology);
      return await session.open(command.port);
    case "quiesce":
      return await session!.quiesce();
    case "end":
      await session?.end();
      session = null;
      return null;
    case "counts":
      return { confirmed: ledger.confirmed, deliveries: ledger.deliveries, topology: topology?.count ?? 0 };
    case "finish":
      return await finish();
    case "cut":
      return cut(command.id, command.program, command.args);
    case "judge":
      return await judge(command.cut, command.port);
    case "times":
      return times.map((one) => one.report());
  }
}

/** Everything that is in the broker is taken out; then the verdict. */
async function finish(): Promise<LoadVerdict> {
  await session!.quiesce();
  await session!.drain();
  const verdict = ledger.verdict();
  const topologyFailures = topology === null ? [] : await session!.checkTopology(topology);
  return { ...verdict, topologyFailures };
}

/**
 * Runs a program that takes a snapshot of the broker's disk, and keeps the ledger as of then. Nothing is read from any
 * socket meanwhile, so what is confirmed here was sent before.
 */
function cut(id: number, program: string, args: readonly string[]): number {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (error !== undefined || status !== 0) throw new Error(`${program} failed: ${error?.message ?? stderr}`);
  cuts.set(id, { ledger: ledger.cut(), topology: topology?.clone() ?? null });
  return id;
}

/** The verdict over a broker that was started on a snapshot. */
async function judge(id: number, port: number): Promise<LoadVerdict> {
  const cut = cuts.get(id)!;
  cuts.delete(id);
  const consumers = consumersOf(plan, cut.ledger, bodies, new Random(plan.seed));
  const judging = new LoadSession(runtime, plan, cut.ledger, { publishers: [], consumers }, null);
  await judging.open(port);
  try {
    await judging.drain();
    const topologyFailures = cut.topology === null ? [] : await judging.checkTopology(cut.topology);
    return { ...cut.ledger.verdict(), topologyFailures };
  } finally {
    await judging.end();
  }
}
