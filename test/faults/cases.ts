// All fault tests, in the order of the table in docs/reliability.md.

import type { FaultCase } from "./fault_case.ts";
import { killLoop } from "./t01_kill_loop.ts";
import { powerCut } from "./t02_power_cut.ts";
import { ioError } from "./t07_io_error.ts";
import { slowDisk } from "./t08_slow_disk.ts";
import { clockJumps } from "./t21_clock_jumps.ts";

export const CASES: readonly FaultCase[] = [
  killLoop,
  powerCut,
  ioError,
  slowDisk,
  clockJumps,
];
