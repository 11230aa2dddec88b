// Which of what the cases need is not to be had here.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import type { Need } from "./fault_case.ts";

const FOUND: Readonly<Record<Need, () => boolean>> = {
  root: () => process.getuid?.() === 0,
  loop: () => existsSync("/dev/loop-control") && has("losetup", "--version") && has("mkfs.ext4", "-V"),
  reflink: () => has("mkfs.xfs", "-V") || has("mkfs.btrfs", "--version"),
  strace: () => has("strace", "--version"),
  faketime: () => has("faketime", "--version"),
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

function has(program: string, flag: string): boolean {
  const result = spawnSync(program, [flag], { stdio: "ignore" });
  return result.error === undefined && result.status === 0;
}
