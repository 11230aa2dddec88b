// What the system knows of a process: its memory and its descriptors. 0 where it does not say.

import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Memory of its own, bytes: without mapped files, which are the kernel's to take back. */
export function anonymousBytes(pid: number): number {
  return statusBytes(pid, "RssAnon");
}

/** Everything resident, mapped files too, bytes. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, "VmRSS");
}

export function openDescriptors(pid: number): number {
  const path = `/proc/${pid}/fd`;
  return existsSync(path) ? readdirSync(path).length : 0;
}

function statusBytes(pid: number, field: string): number {
  const path = `/proc/${pid}/status`;
  const kib = existsSync(path) ? new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(path, "utf8"))?.[1] : "";
  return Number(kib ?? 0) * 1024;
}
