// Every fault test at its short size, with its control. From Bun's test run only: who runs it makes no difference to the
// broker, and each takes its time. `npm run faults` runs them by name.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import process from "node:process";
import { testTargets } from "../support/broker_process.ts";
import { CASES } from "./cases.ts";
import { missingOf } from "./needs.ts";
import { runCase } from "./run_case.ts";

const CASE_TIMEOUT_MS = 600_000;
const isBun = process.versions.bun !== undefined;
const targets = testTargets().filter((target) => target !== "command");
/** As it is delivered, unless only something else is there. */
const target = targets.includes("executable") ? "executable" : targets[0];

describe("faults", { skip: !isBun || target === undefined }, () => {
  for (const fault of isBun && target !== undefined ? CASES : []) {
    const missing = missingOf(fault.needs);
    const title = `${fault.name} ${fault.title}${missing.length > 0 ? ` skipped: needs ${missing.join(", ")}` : ""}`;
    it(title, { timeout: CASE_TIMEOUT_MS, skip: missing.length > 0 }, async () => {
      const seed = Math.floor(Math.random() * 2 ** 32);
      const said: string[] = [];
      const log = (text: string) => void said.push(text);
      const outcome = await runCase(fault, { full: false, seed, target: target!, mutant: null, log });
      const about = `${fault.name}, seed ${seed}: ${outcome.result.counts}\n${said.join("\n")}`;
      assert.deepEqual(outcome.result.failures, [], about);
      if (fault.control !== null) assert.equal(outcome.control, "failed as it must", `${about}\n${fault.control.what}`);
    });
  }
});
