// What a disk that takes no more looks like: to node:fs, to our own faults, to whoever has only the error's code.

const CODES: readonly unknown[] = ["ENOSPC", "EDQUOT"];

/** Whether an error says that there is no room on the disk, or none within a quota. */
export function isDiskFull(error: unknown): boolean {
  return CODES.includes((error as { code?: unknown } | null | undefined)?.code);
}
