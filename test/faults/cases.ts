// All fault tests, in the order of the table in docs/reliability.md.

import type { FaultCase } from "./fault_case.ts";
import { killLoop } from "./t01_kill_loop.ts";
import { powerCut } from "./t02_power_cut.ts";
import { tornTail } from "./t03_torn_tail.ts";
import { bitRot } from "./t04_bit_rot.ts";
import { fullDisk } from "./t05_full_disk.ts";
import { sigbus } from "./t06_sigbus.ts";
import { ioError } from "./t07_io_error.ts";
import { slowDisk } from "./t08_slow_disk.ts";
import { stuckConsumer } from "./t09_stuck_consumer.ts";
import { noConsumer } from "./t10_no_consumer.ts";
import { slowloris } from "./t12_slowloris.ts";
import { beforeLogin } from "./t13_before_login.ts";
import { churn } from "./t14_churn.ts";
import { fuzzing } from "./t15_fuzz.ts";
import { clockJumps } from "./t21_clock_jumps.ts";

export const CASES: readonly FaultCase[] = [
  killLoop,
  powerCut,
  tornTail,
  bitRot,
  fullDisk,
  sigbus,
  ioError,
  slowDisk,
  stuckConsumer,
  noConsumer,
  slowloris,
  beforeLogin,
  churn,
  fuzzing,
  clockJumps,
];
