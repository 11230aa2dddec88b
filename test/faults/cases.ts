// All fault tests, in the order of the table in docs/reliability.md.

import type { FaultCase } from "./fault_case.ts";
import { killLoop } from "./t01_kill_loop.ts";
import { fullDisk } from "./t05_full_disk.ts";
import { sigbus } from "./t06_sigbus.ts";
import { stuckConsumer } from "./t09_stuck_consumer.ts";
import { noConsumer } from "./t10_no_consumer.ts";
import { slowloris } from "./t12_slowloris.ts";
import { beforeLogin } from "./t13_before_login.ts";
import { churn } from "./t14_churn.ts";

export const CASES: readonly FaultCase[] = [
  killLoop,
  fullDisk,
  sigbus,
  stuckConsumer,
  noConsumer,
  slowloris,
  beforeLogin,
  churn,
];
