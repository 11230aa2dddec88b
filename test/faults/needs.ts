// Which of what the cases need is not to be had here.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import type { Need } from "./fault_case.ts";

const FOUND: Readonly<Record<Need, () => boolean>> = {
  root: () => process.getuid?.() === 0,
  loop: () => existsSync("/dev/loop-control") && hasProgram("losetup", "--version") && hasProgram("mkfs.ext4", "-V"),
  reflink: () => hasProgram("mkfs.xfs", "-V") || hasProgram("mkfs.btrfs", "--version"),
  // It may be there and not be allowed to.
  strace: () => hasProgram("strace", "-o", "/dev/null", "true"),
  faketime: () => faketimeLibrary() !== null,
};
const answers = new Map<Need, boolean>();

/** Of `needs` those that are missing, in their order. */
export function missingOf(needs: readonly Need[]): Need[] {
  return needs.filter((need) => {
    const known = answers.get(need) ?? FOUND[need]();
    answers.set(need, known);
    return !known;
  });
}

/** To be preloaded; null where it is not installed. The program `faketime` would leave shared memory behind. */
export function faketimeLibrary(): string | null {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const places = [`/usr/lib/${machine}-linux-gnu`, "/usr/lib64", "/usr/lib", "/usr/local/lib"];
  return places.map((place) => `${place}/faketime/libfaketimeMT.so.1`).find(existsSync) ?? null;
}

export function hasProgram(program: string, ...args: string[]): boolean {
  const result = spawnSync(program, args, { stdio: "ignore" });
  return result.error === undefined && result.status === 0;
}
