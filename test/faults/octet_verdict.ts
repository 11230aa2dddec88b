// Cases of broken octets, and what was wrong with them.

import type { FaultResult } from "./fault_case.ts";

const FAILURES_MAX = 20;

export function differs(actual: unknown, expected: unknown): string | null {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a === b) return null;
  const at = [...b].findIndex((letter, i) => letter !== a[i]);
  return `expected ${b.slice(Math.max(0, at - 60), at + 60)}, found ${a.slice(Math.max(0, at - 60), at + 60)}`;
}

/** Cases and what was wrong with them. */
export class Verdict {
  cases = 0;
  lost = 0;
  phantom = 0;
  readonly failures: string[] = [];

  judge(what: string, check: () => string | null): void {
    this.cases++;
    let fault: string | null;
    try {
      fault = check();
    } catch (error) {
      fault = `it threw ${(error as Error).stack}`;
    }
    if (fault === null) return;
    if (/ is lost$/.test(fault)) this.lost++;
    else this.phantom++;
    if (this.failures.length < FAILURES_MAX) this.failures.push(`${what}: ${fault}`);
  }

  result(counts: string): FaultResult {
    return { lost: this.lost, phantom: this.phantom, counts, failures: this.failures };
  }
}
