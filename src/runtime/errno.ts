// From what the system reports, a number or an error of node:fs, to our faults.

import { constants } from "node:os";
import { FileFault } from "./fault.ts";

/** The name of an errno ("ENOSPC"), or "E<number>" for one that is not known. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(constants.errno)) {
    if (value === errno) return name;
  }
  return `E${errno}`;
}

/** The errno's name that an error of node:fs or of the network carries, or "" where there is none. */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** An error of node:fs as a FileFault. */
export function fileFault(operation: string, path: string, error: unknown): FileFault {
  if (error instanceof FileFault) return error;
  const code = errorCode(error);
  return code === ""
    ? new FileFault(operation, path, "EIO", error instanceof Error ? error.message : String(error))
    : new FileFault(operation, path, code);
}
