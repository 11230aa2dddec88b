// How a command ends when it cannot go on: one line that says why, exit code 1 unless it has others. A stack only for whoever asks for it.

import process from "node:process";
import { oneLine, writeStandardError } from "../log.ts";

/** Prints `leveret: why` and ends the process. */
export function fail(error: unknown, withStack = false, exitCode = 1): never {
  const message = error instanceof Error && error.message !== "" ? error.message : String(error);
  writeStandardError(`leveret: ${oneLine(message)}\n`);
  if (withStack && error instanceof Error && error.stack) writeStandardError(`${error.stack}\n`);
  process.exit(exitCode);
}
