// A broker below strace, which makes system calls fail or wait and writes down those that were made.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { BrokerProcess, Exit } from "../support/broker_process.ts";
import type { FaultContext } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";

/** All by which bytes are made durable. */
export const SYNC_CALLS = "fdatasync,fsync,syncfs,msync";

export interface TraceOptions {
  readonly dataDir: string;
  /** System calls to write down. */
  readonly calls: string;
  /** As strace has it: "fdatasync:error=EIO:when=20+". */
  readonly inject: string;
  /** Where the trace goes. */
  readonly directory: string;
}

export interface TracedCall {
  readonly name: string;
  /** When it was called, ms since 1970. */
  readonly startMs: number;
  /** When it came back; Infinity when it did not. */
  readonly endMs: number;
  readonly injected: boolean;
  readonly failed: boolean;
}

export class TracedBroker {
  readonly broker: BrokerProcess;
  readonly #logPath: string;

  private constructor(broker: BrokerProcess, logPath: string) {
    this.broker = broker;
    this.#logPath = logPath;
  }

  static async start(context: FaultContext, options: TraceOptions): Promise<TracedBroker> {
    const logPath = join(options.directory, "trace");
    const below = ["strace", "-f", "--seccomp-bpf", "-ttt", "-o", logPath, "-e", `trace=${options.calls}`];
    below.push("-e", `inject=${options.inject}`, "-e", "signal=none");
    const args = ["--log-level", "warn"];
    return new TracedBroker(await startFaultBroker(context, { dataDir: options.dataDir, args, below }), logPath);
  }

  get exit(): Exit | undefined {
    return this.broker.program.exit;
  }

  /** Up to now, in the order in which they were called. */
  calls(): TracedCall[] {
    return existsSync(this.#logPath) ? parseTrace(readFileSync(this.#logPath, "utf8")) : [];
  }

  /** SIGKILL to the broker; strace ends with it. To strace itself it would set the broker free. */
  async kill9(): Promise<void> {
    const { pid } = this.broker;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    if (children !== "") process.kill(Number(children.split(" ")[0]), "SIGKILL");
    await this.broker.program.waitForExit();
  }

  async dispose(): Promise<void> {
    if (this.exit === undefined) await this.kill9();
    await this.broker.dispose();
  }
}

const LINE = /^(\d+) +(\d+\.\d+) (?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$/;

/** Reads what `strace -f -ttt` wrote. A call that another thread's line interrupts stands there in two parts. */
export function parseTrace(text: string): TracedCall[] {
  const calls: TracedCall[] = [];
  /** By thread: which of `calls` is under way. */
  const open = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, thread, seconds, resumed, called, rest] = match;
    const ms = Number(seconds) * 1000;
    const end = {
      endMs: rest!.includes("<unfinished") ? Infinity : ms,
      injected: rest!.includes("(INJECTED)"),
      failed: /\) += -1 E/.test(rest!),
    };
    if (called !== undefined) {
      if (end.endMs === Infinity) open.set(thread!, calls.length);
      calls.push({ name: called, startMs: ms, ...end });
    } else if (resumed !== undefined) {
      const index = open.get(thread!);
      if (index !== undefined) calls[index] = { ...calls[index]!, ...end };
      open.delete(thread!);
    }
  }
  return calls;
}
