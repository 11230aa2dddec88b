import assert from "node:assert/strict";
import { test } from "node:test";
import { Ledger } from "./ledger.ts";

function ledgerOf(...runs: readonly (readonly [first: number, count: number])[]): Ledger {
  const ledger = new Ledger();
  for (const [first, count] of runs) ledger.addRun({ first, count, redelivered: false, session: 0 });
  return ledger;
}

test("what is whole and in order passes, what is missing, phantom or in another order does not", () => {
  ledgerOf([0, 10]).check(10, 0);
  assert.throws(() => ledgerOf([0, 9]).check(10, 0), /lost/);
  assert.throws(() => ledgerOf([0, 4], [5, 5]).check(10, 0), /message 4 was left out/);
  assert.throws(() => ledgerOf([0, 10], [10, 1]).check(10, 0), /phantom/);
  assert.throws(() => ledgerOf([0, 4], [5, 5], [4, 1]).check(10, 0), /message 4 was left out/);
  assert.throws(() => ledgerOf([0, 10], [3, 1]).check(10, 0), /came again/);
});

test("what was unconfirmed at a restart may be gone in part, and comes when it was published again", () => {
  const ledger = ledgerOf([0, 4], [5, 2], [4, 6]);
  ledger.resumes.push({ from: 4, sent: 7 });
  ledger.check(10, 0);
  const never = ledgerOf([0, 4], [5, 5]);
  never.resumes.push({ from: 4, sent: 7 });
  assert.throws(() => never.check(10, 0), /lost/);
  const confirmed = ledgerOf([0, 3], [5, 2], [3, 7]);
  confirmed.resumes.push({ from: 4, sent: 7 });
  assert.throws(() => confirmed.check(10, 0), /message 3 was left out/);
});
