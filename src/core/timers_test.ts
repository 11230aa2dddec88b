import assert from "node:assert/strict";
import { test } from "node:test";
import { Timers } from "./timers.ts";
import { Turn } from "./turn.ts";

function setUp() {
  const done: string[] = [];
  const turn = new Turn({ endTurn: () => void done.push("end of turn") }, (fault) => {
    throw fault;
  });
  return { done, timers: new Timers(turn, (fault) => void done.push(`fault: ${(fault as Error).message}`)) };
}

const later = () => new Promise((resolve) => setTimeout(resolve, 1));

test("work is done after its time, in a turn of its own, and in the order of the times", async () => {
  const { done, timers } = setUp();
  const all = new Promise<void>((resolve) => {
    timers.after(20, () => {
      done.push("late");
      resolve();
    });
  });
  timers.after(1, () => done.push("early"));
  timers.after(2, () => done.push("never")).cancel();
  const keepAlive = setTimeout(() => {}, 10_000);
  await all;
  await later();
  clearTimeout(keepAlive);
  assert.deepEqual(done, ["early", "end of turn", "late", "end of turn"]);
});

test("what the work throws is told", async () => {
  const { done, timers } = setUp();
  timers.after(0, () => {
    throw new Error("broken");
  });
  const keepAlive = setTimeout(() => {}, 10_000);
  while (done.length < 2) await later();
  clearTimeout(keepAlive);
  assert.deepEqual(done, ["fault: broken", "end of turn"]);
});

test("nothing is done after the end", async () => {
  const { done, timers } = setUp();
  timers.after(0, () => done.push("done"));
  timers.close();
  for (let i = 0; i < 5; i++) await later();
  assert.deepEqual(done, []);
});

test("a wall clock that is set back makes nothing late", async () => {
  const { done, timers } = setUp();
  const trueNow = Date.now;
  timers.after(20, () => done.push("done"));
  Date.now = () => trueNow() - 3_600_000;
  const keepAlive = setTimeout(() => {}, 10_000);
  try {
    const endMs = performance.now() + 10_000;
    while (done.length < 2 && performance.now() < endMs) await later();
  } finally {
    Date.now = trueNow;
    clearTimeout(keepAlive);
    timers.close();
  }
  assert.deepEqual(done, ["done", "end of turn"]);
});
