// How a command ends when it cannot go on: one line that says why, exit code 1 unless it has others. A stack only for whoever asks for it.

import process from "node:process";
import { oneLine, writeStandardError } from "../log.ts";

/** What an error says, with errno's name: Deno's messages leave it out. */
export function textOf(error: unknown): string {
  const message = error instanceof Error && error.message !== "" ? error.message : String(error);
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && code !== "" && !message.includes(code) ? `${message} (${code})` : message;
}

/** Prints `leveret: why` and ends the process. */
export function fail(error: unknown, withStack = false, exitCode = 1, name = "leveret"): never {
  writeStandardError(`${name}: ${oneLine(textOf(error))}\n`);
  if (withStack && error instanceof Error && error.stack) writeStandardError(`${error.stack}\n`);
  process.exit(exitCode);
}
