// Whether what is declared again is the same as what is there.

import { type Arguments, argumentsEqual, type ArgumentValue, describeArgument } from "./arguments.ts";
import { Refusal } from "./refusal.ts";

/** Of an exchange or a queue, whichever of them has it. */
export interface Comparable {
  readonly type?: string | undefined;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal?: boolean | undefined;
  readonly args: Arguments;
}

const COMPARED = [
  ["type", "type"],
  ["durable", "durable"],
  ["auto_delete", "autoDelete"],
  ["internal", "internal"],
] as const;

/** What an argument means where it is left out. */
const ARGUMENT_DEFAULTS: Arguments = new Map([["x-queue-type", "classic"]]);

/** Refuses a redeclaration that differs, naming the first difference as RabbitMQ does. `where` names what it is about. */
export function expectSame(where: string, current: Comparable, received: Comparable): void {
  const differ = (name: string, receivedText: string, currentText: string): never => {
    throw new Refusal(
      "precondition-failed",
      `inequivalent arg '${name}' for ${where}: received ${receivedText} but current is ${currentText}`,
    );
  };
  for (const [name, key] of COMPARED) {
    const [was, is] = [current[key], received[key]];
    if (was !== undefined && is !== undefined && was !== is) differ(name, `'${is}'`, `'${was}'`);
  }
  for (const key of new Set([...current.args.keys(), ...received.args.keys()])) {
    const fallback = ARGUMENT_DEFAULTS.get(key);
    const [was, is] = [current.args.get(key) ?? fallback, received.args.get(key) ?? fallback];
    if (!argumentsEqual(was as ArgumentValue, is as ArgumentValue)) {
      differ(key, describeArgument(is), describeArgument(was));
    }
  }
}
