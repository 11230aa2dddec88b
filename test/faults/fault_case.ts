// What a fault test is: a fault done to a real broker under load, a verdict, and a control, which is the same against a
// broker with the promise broken on purpose and has to fail.

import type { Target } from "../support/broker_process.ts";

/** What a case cannot do without; what is missing is said by name. */
export type Need = "root" | "loop" | "reflink" | "strace" | "faketime";

/** What the broker runs on. */
export type FaultTarget = Exclude<Target, "command">;

export interface FaultContext {
  /** The whole run, for the published table; otherwise the short one of `npm test`. */
  readonly full: boolean;
  /** How many kills, cuts, rounds, instead of the size's own number. */
  readonly times?: number | undefined;
  /** What is random follows from it. */
  readonly seed: number;
  readonly target: FaultTarget;
  /** Directory of a mutant to run, by Bun, instead of the target; null for the real thing. */
  readonly mutant: string | null;
  log(text: string): void;
}

export interface FaultResult {
  /** Confirmed and gone. */
  readonly lost: number;
  /** Delivered and never published. */
  readonly phantom: number;
  /** What was run, with its counts: "500 kills, 12,345,678 confirmed". */
  readonly counts: string;
  /** Empty: passed. */
  readonly failures: readonly string[];
}

export interface FaultCase {
  /** As in the table of docs/reliability.md: "T05". */
  readonly name: string;
  readonly title: string;
  readonly needs: readonly Need[];
  run(context: FaultContext): Promise<FaultResult>;
  /** Comes back with failures, or the case proves nothing. Null where a case has none. */
  readonly control: FaultControl | null;
}

export interface FaultControl {
  /** The promise that is broken: "confirms ahead of the sync". */
  readonly what: string;
  run(context: FaultContext): Promise<FaultResult>;
}
