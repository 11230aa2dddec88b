// One case: what it lacks, itself, its control, and the verdict over both.

import type { FaultCase, FaultContext, FaultResult, Need } from "./fault_case.ts";
import { missingOf } from "./needs.ts";

export type ControlOutcome = "failed as it must" | "PASSED, so the case proves nothing" | "none" | "not run";

export interface CaseOutcome {
  readonly name: string;
  readonly title: string;
  /** Not empty: the case was not run. */
  readonly missing: readonly Need[];
  readonly result: FaultResult;
  /** What was broken in the control; null without one. */
  readonly controlWhat: string | null;
  readonly control: ControlOutcome;
  /** What the control found. */
  readonly controlFailures: readonly string[];
  readonly seconds: number;
}

const NOTHING: FaultResult = { lost: 0, phantom: 0, counts: "", failures: [] };

export function passed(outcome: CaseOutcome): boolean {
  return outcome.missing.length === 0 && outcome.result.failures.length === 0 && !outcome.control.startsWith("PASSED");
}

/** Runs a case and, unless it failed, its control. An error on the way is a failure of the case, never of the control. */
export async function runCase(fault: FaultCase, context: FaultContext): Promise<CaseOutcome> {
  const { name, title } = fault;
  const started = performance.now();
  const missing = missingOf(fault.needs);
  const base = { name, title, missing, controlWhat: fault.control?.what ?? null };
  const end = (result: FaultResult, control: ControlOutcome, controlFailures: readonly string[] = []): CaseOutcome => {
    return { ...base, result, control, controlFailures, seconds: (performance.now() - started) / 1000 };
  };
  if (missing.length > 0) return end(NOTHING, "not run");
  let result: FaultResult;
  try {
    result = await fault.run(context);
  } catch (error) {
    return end({ ...NOTHING, failures: [textOf(error)] }, "not run");
  }
  if (result.failures.length > 0) return end(result, "not run");
  if (fault.control === null) return end(result, "none");
  try {
    const control = await fault.control.run(context);
    const worked = control.failures.length > 0;
    return end(result, worked ? "failed as it must" : "PASSED, so the case proves nothing", control.failures);
  } catch (error) {
    return end({ ...result, failures: [`the control could not be run: ${textOf(error)}`] }, "not run");
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
