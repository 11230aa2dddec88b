// The broker that a case runs: its target, or a mutant in Bun, by itself or below another program such as strace.

import { join } from "node:path";
import { type BrokerOptions, BrokerProcess, commandOf, type ProgramCommand } from "../support/broker_process.ts";
import type { FaultContext } from "./fault_case.ts";

export interface FaultBrokerOptions extends Omit<BrokerOptions, "command"> {
  /** A program and its arguments that run the broker: ["strace", "-f", ...]. */
  readonly below?: readonly string[];
}

export function startFaultBroker(context: FaultContext, options: FaultBrokerOptions = {}): Promise<BrokerProcess> {
  const { below = [], ...rest } = options;
  const { program, args } = brokerCommand(context);
  const [outer, ...outerArgs] = below;
  const command = outer === undefined ? { program, args } : { program: outer, args: [...outerArgs, program, ...args] };
  return BrokerProcess.start(context.target, { ...rest, command });
}

/** What runs the broker of this context. */
export function brokerCommand({ target, mutant }: FaultContext): ProgramCommand {
  if (mutant === null) return commandOf(target);
  return { program: commandOf("bun").program, args: [join(mutant, "src", "main.ts")] };
}
