// How much memory the process holds, and how much it may hold. On Linux what counts is what is its own: pages of mapped
// segment files are the kernel's cache, which it takes back when it needs them, and say nothing about us.

import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import process from "node:process";

const STATUS_PATH = "/proc/self/status";
const GROUPS_PATH = "/proc/self/cgroup";
const GROUPS_ROOT = "/sys/fs/cgroup";

/** The text of a file; null when it cannot be read. */
export type ReadText = (path: string) => string | null;

/** Bytes of memory that the system cannot take back from the process; all resident ones where it does not say. */
export function memoryBytes(read: ReadText = readText): number {
  const anonymous = /^RssAnon:\s+(\d+) kB$/m.exec(read(STATUS_PATH) ?? "");
  return anonymous === null ? process.memoryUsage.rss() : Number(anonymous[1]) * 1024;
}

/** Bytes of memory that the process may use at most: the machine's, or its control group's (version 1 or 2). */
export function memoryBytesLimit(read: ReadText = readText, total = totalmem()): number {
  let limit = total;
  for (const line of (read(GROUPS_PATH) ?? "").split("\n")) {
    const [id, controllers, path] = line.split(":");
    const isUnified = id === "0" && controllers === "";
    if (path === undefined || (!isUnified && !controllers!.split(",").includes("memory"))) continue;
    const root = isUnified ? GROUPS_ROOT : `${GROUPS_ROOT}/memory`;
    const file = isUnified ? "memory.max" : "memory.limit_in_bytes";
    // Each of the groups above has a limit of its own; in a container the path may not be there, and the root is ours.
    const names = path.split("/").filter((name) => name !== "");
    for (let depth = names.length; depth >= 0; depth--) {
      const text = read(`${[root, ...names.slice(0, depth)].join("/")}/${file}`)?.trim() ?? "";
      if (/^\d+$/.test(text)) limit = Math.min(limit, Number(text));
    }
  }
  return limit;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
