import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Pace, type Waiter } from "./pace.ts";
import type { Timer, Timers } from "./timers.ts";

/** Timers that run when the test says so. */
class Looks {
  readonly due: (() => void)[] = [];

  after(_delayMs: number, work: () => void): Timer {
    this.due.push(work);
    return { cancel: () => void this.due.splice(this.due.indexOf(work), 1) };
  }

  run(): void {
    for (const work of this.due.splice(0)) work();
  }
}

class Publisher implements Waiter {
  waits = false;

  publishes(pace: Pace, ready: number, given: number): void {
    this.waits = pace.holds(this, ready, given);
  }

  goOn(): void {
    this.waits = false;
  }
}

const MUCH = 40_000;
let nowMs = 0;
let looks = new Looks();
let pace = new Pace(looks as unknown as Timers);

beforeEach(() => {
  nowMs = 1_000_000;
  mock.method(performance, "now", () => nowMs);
  looks = new Looks();
  pace = new Pace(looks as unknown as Timers);
});
afterEach(() => mock.restoreAll());

test("a publisher waits when much came in since it began, and goes on when that is taken", () => {
  const publisher = new Publisher();
  publisher.publishes(pace, 0, 0);
  assert.equal(publisher.waits, false);
  publisher.publishes(pace, MUCH, 1000);
  assert.equal(publisher.waits, true);
  pace.served(MUCH / 2, MUCH / 2);
  assert.equal(publisher.waits, false, "consumers took half of it");
});

test("a backlog that was there before makes nobody wait while it does not grow", () => {
  const publisher = new Publisher();
  for (const ready of [10 * MUCH, 9 * MUCH, 8 * MUCH]) {
    publisher.publishes(pace, ready, 0);
    assert.equal(publisher.waits, false);
    pace.served(ready - MUCH / 2, 0);
  }
  publisher.publishes(pace, 9 * MUCH, 0);
  assert.equal(publisher.waits, true, "it has grown");
});

test("slow consumers are waited for once, for a moment, and not again for a while", () => {
  const publisher = new Publisher();
  publisher.publishes(pace, 0, 0);
  publisher.publishes(pace, MUCH, 0);
  pace.served(MUCH - 5, 5);
  assert.equal(publisher.waits, true);
  looks.run();
  assert.equal(publisher.waits, false, "five messages are not quick");
  publisher.publishes(pace, 2 * MUCH, 10);
  assert.equal(publisher.waits, false);
  assert.equal(looks.due.length, 0, "nothing is looked at meanwhile");
  nowMs += 30;
  publisher.publishes(pace, 2 * MUCH, 10);
  publisher.publishes(pace, 3 * MUCH, 10);
  assert.equal(publisher.waits, true, "another try");
  looks.run();
  nowMs += 30;
  publisher.publishes(pace, 4 * MUCH, 10);
  publisher.publishes(pace, 5 * MUCH, 10);
  assert.equal(publisher.waits, false, "the next comes later");
});

test("quick consumers are waited for as long as they are quick", () => {
  const publisher = new Publisher();
  publisher.publishes(pace, 0, 0);
  publisher.publishes(pace, 10 * MUCH, 0);
  for (let given = 2000; given <= 20_000; given += 2000) {
    // Others go on publishing.
    pace.served(10 * MUCH, given);
    looks.run();
    assert.equal(publisher.waits, true);
  }
  looks.run();
  assert.equal(publisher.waits, false);
});

test("those who wait go on one after the other, in the order in which they came", () => {
  const publishers = Array.from({ length: 200 }, () => new Publisher());
  publishers[0]!.publishes(pace, 0, 0);
  for (const publisher of publishers) publisher.publishes(pace, MUCH, 0);
  pace.served(MUCH - 30_000, 30_000);
  const free = publishers.filter(({ waits }) => !waits).length;
  assert.ok(free > 0 && free < publishers.length, `${free} of ${publishers.length}`);
  assert.ok(publishers.slice(0, free).every(({ waits }) => !waits));
  pace.close();
  assert.ok(publishers.every(({ waits }) => !waits));
});
