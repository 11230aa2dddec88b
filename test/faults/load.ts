// A load, seen by who uses it: a process of its own that publishes, consumes and keeps the ledger, told what to do.

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { commandOf, projectRoot } from "../support/broker_process.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultResult } from "./fault_case.ts";
import type { Verdict } from "./ledger.ts";
import type { LoadPlan } from "./load_plan.ts";
import type { TimesReport } from "./times.ts";

const WAIT_MS_MAX = 120_000;

export type LoadTask =
  | { readonly do: "open"; readonly port: number }
  | { readonly do: "cut"; readonly program: string; readonly args: readonly string[] }
  | { readonly do: "judge"; readonly port: number; readonly cut: number }
  | { readonly do: "quiesce" | "end" | "counts" | "finish" | "times" };
export type LoadCommand = LoadTask & { readonly id: number };
export type LoadAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

export interface LoadVerdict extends Verdict {
  /** What of the topology is not as it was answered. */
  readonly topologyFailures: readonly string[];
}

export interface LoadCounts {
  readonly confirmed: number;
  readonly deliveries: number;
  /** Queues that were declared on the way. */
  readonly topology: number;
}

interface Waiter {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class Load {
  readonly #child: ChildProcess;
  readonly #waiters = new Map<number, Waiter>();
  readonly #killAtExit: () => void;
  #lastId = 0;
  #stderr = "";

  constructor(plan: LoadPlan) {
    const script = join(projectRoot, "test", "faults", "load_process.ts");
    const child = this.#child = spawn(commandOf("bun").program, [script, JSON.stringify(plan)], {
      cwd: projectRoot,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#killAtExit = () => void child.kill("SIGKILL");
    process.on("exit", this.#killAtExit);
    child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#stderr = (this.#stderr + text).slice(-10_000));
    createInterface({ input: child.stdout! }).on("line", (line) => this.#take(JSON.parse(line) as LoadAnswer));
    child.on("close", () => this.#fail());
  }

  /** Connects everybody to the broker. */
  open(port: number): Promise<unknown> {
    return this.#ask({ do: "open", port });
  }

  /** Publishes no more and waits for every confirm. */
  quiesce(): Promise<unknown> {
    return this.#ask({ do: "quiesce" });
  }

  /** Ends the connections, or waits until it is noticed that the broker is dead. */
  end(): Promise<unknown> {
    return this.#ask({ do: "end" });
  }

  counts(): Promise<LoadCounts> {
    return this.#ask({ do: "counts" }) as Promise<LoadCounts>;
  }

  /** Waits until more than so many are confirmed; returns how many. */
  confirmedBeyond(count: number): Promise<number> {
    return waitFor(`${count} confirmed`, async () => {
      const { confirmed } = await this.counts();
      return confirmed > count ? confirmed : undefined;
    }, WAIT_MS_MAX);
  }

  /** Takes everything out of the broker; then the verdict. */
  finish(): Promise<LoadVerdict> {
    return this.#ask({ do: "finish" }) as Promise<LoadVerdict>;
  }

  /** Runs a program that takes a snapshot of the broker's disk; returns by what to call the ledger as of then. */
  cut(program: string, args: readonly string[]): Promise<number> {
    return this.#ask({ do: "cut", program, args }) as Promise<number>;
  }

  /** Takes everything out of a broker that was started on a snapshot; then the verdict over it. */
  judge(cut: number, port: number): Promise<LoadVerdict> {
    return this.#ask({ do: "judge", cut, port }) as Promise<LoadVerdict>;
  }

  /** When each message was published and confirmed, by publisher; for a plan that is `timed`. */
  times(): Promise<readonly TimesReport[]> {
    return this.#ask({ do: "times" }) as Promise<readonly TimesReport[]>;
  }

  dispose(): void {
    process.off("exit", this.#killAtExit);
    this.#child.kill("SIGKILL");
  }

  #ask(command: LoadTask): Promise<unknown> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.#child.stdin!.write(`${JSON.stringify({ id, ...command })}\n`);
    });
  }

  #take(answer: LoadAnswer): void {
    const waiter = this.#waiters.get(answer.id);
    this.#waiters.delete(answer.id);
    if ("error" in answer) waiter?.reject(new Error(`load: ${answer.error}`));
    else waiter?.resolve(answer.result);
  }

  #fail(): void {
    for (const waiter of this.#waiters.values()) waiter.reject(new Error(`the load's process ended:\n${this.#stderr}`));
    this.#waiters.clear();
  }
}

/** All that a verdict found wrong, said with `where` it was found. */
export function failuresOf(verdict: LoadVerdict, where: string): string[] {
  return [...verdict.failures, ...verdict.topologyFailures].map((failure) => `${where}: ${failure}`);
}

/** A case's result of a verdict and what else went wrong. */
/** Of two loads that a case runs one after the other. */
export function together(first: FaultResult, second: FaultResult): FaultResult {
  return {
    lost: first.lost + second.lost,
    phantom: first.phantom + second.phantom,
    counts: `${first.counts}; with clients in step ${second.counts}`,
    failures: [...first.failures, ...second.failures],
  };
}

export function resultOf(verdict: LoadVerdict, counts: string, failures: readonly string[] = []): FaultResult {
  const { lost, phantom } = verdict;
  return { lost, phantom, counts, failures: [...failures, ...verdict.failures, ...verdict.topologyFailures] };
}
