// The verdict finds each thing that can go wrong, and nothing where all is well.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Book, Ledger } from "./ledger.ts";

const CLASSIC: Book = { name: "classic", isStream: false, lanes: 1, consumers: 1 };
const SHARED: Book = { name: "shared", isStream: false, lanes: 1, consumers: 2 };
const PRIORITY: Book = { name: "priority", isStream: false, lanes: 3, consumers: 1 };
const STREAM: Book = { name: "stream", isStream: true, lanes: 1, consumers: 1 };

/** `count` messages of publisher 0, all confirmed, to the first queue. */
function confirmed(count: number, ...books: Book[]): Ledger {
  const ledger = new Ledger(2, books.length === 0 ? [CLASSIC] : books);
  for (let number = 0; number < count; number++) {
    assert.equal(ledger.publish(0, 1), number);
    ledger.confirm(0, number);
  }
  return ledger;
}

function deliverAll(ledger: Ledger, from: number, to: number, redelivered = false): void {
  for (let number = from; number < to; number++) ledger.deliver(0, 0, number, redelivered, 0);
}

test("all is well: everything came once and in order, more than a page of it", () => {
  const ledger = confirmed(10_000);
  deliverAll(ledger, 0, 10_000);
  const verdict = ledger.verdict();
  assert.deepEqual(verdict.failures, []);
  assert.deepEqual([verdict.published, verdict.confirmed, verdict.delivered], [10_000, 10_000, 10_000]);
});

test("a confirmed message that did not come is lost", () => {
  const ledger = confirmed(10);
  deliverAll(ledger, 0, 4);
  deliverAll(ledger, 5, 10);
  const verdict = ledger.verdict();
  assert.equal(verdict.lost, 1);
  assert.match(verdict.failures.join(), /message 4 of publisher 0, never delivered/);
});

test("it is lost too when only one of two queues has it", () => {
  const ledger = new Ledger(1, [CLASSIC, STREAM]);
  ledger.publish(0, 0b11);
  ledger.confirm(0, 0);
  ledger.deliver(0, 0, 0, false, 0);
  assert.equal(ledger.verdict().lost, 1);
  ledger.deliver(1, 0, 0, false, 0);
  assert.equal(ledger.verdict().lost, 0);
});

test("an unconfirmed message may come or not", () => {
  const ledger = confirmed(2);
  ledger.publish(0, 1);
  ledger.publish(0, 1);
  deliverAll(ledger, 0, 2);
  ledger.deliver(0, 0, 3, false, 0);
  assert.deepEqual(ledger.verdict().failures, []);
});

test("a phantom: an unknown publisher, a number not yet published, another queue's, damaged bytes", () => {
  const ledger = new Ledger(2, [CLASSIC, STREAM]);
  ledger.publish(0, 0b01);
  ledger.publish(0, 0b10);
  assert.equal(ledger.deliver(0, 7, 0, false, 0), false);
  assert.equal(ledger.deliver(0, 1, 0, false, 0), false);
  assert.equal(ledger.deliver(0, 0, 2, false, 0), false);
  assert.equal(ledger.deliver(0, 0, 1, false, 0), false);
  ledger.strange("damaged");
  assert.equal(ledger.verdict().phantom, 5);
});

test("what is settled may not come again, flagged or not", () => {
  for (const settle of ["acked", "gone"] as const) {
    const ledger = confirmed(3);
    deliverAll(ledger, 0, 3);
    ledger[settle](0, 0, 1);
    assert.equal(ledger.deliver(0, 0, 1, true, 0), false);
    assert.equal(ledger.verdict().duplicates, 1, settle);
  }
});

test("what is still out may not come again", () => {
  const ledger = confirmed(1);
  deliverAll(ledger, 0, 1);
  deliverAll(ledger, 0, 1, true);
  assert.equal(ledger.verdict().duplicates, 1);
});

test("what was given back comes again, flagged, or is lost", () => {
  const ledger = confirmed(3);
  deliverAll(ledger, 0, 3);
  for (let number = 0; number < 3; number++) ledger.back(0, 0, number);
  ledger.deliver(0, 0, 0, true, 0);
  ledger.deliver(0, 0, 1, false, 0);
  const verdict = ledger.verdict();
  assert.deepEqual([verdict.lost, verdict.duplicates, verdict.redelivered], [1, 1, 2]);
  assert.match(verdict.failures.join(), /message 2 of publisher 0, given back/);
});

test("an ack of a consumer that was cut off is undone or not", () => {
  const ledger = confirmed(2);
  deliverAll(ledger, 0, 2);
  ledger.maybe(0, 0, 0);
  ledger.maybe(0, 0, 1);
  ledger.deliver(0, 0, 0, true, 0);
  assert.deepEqual(ledger.verdict().failures, []);
});

test("first deliveries of one publisher keep their order; those that come again have none", () => {
  const ledger = confirmed(4);
  ledger.deliver(0, 0, 0, false, 0);
  ledger.deliver(0, 0, 2, false, 0);
  ledger.deliver(0, 0, 1, false, 0);
  ledger.back(0, 0, 0);
  ledger.deliver(0, 0, 0, true, 0);
  ledger.deliver(0, 0, 3, false, 0);
  const verdict = ledger.verdict();
  assert.equal(verdict.disorder, 1);
  assert.match(verdict.failures.join(), /message 1 of publisher 0 came behind 2/);
});

test("order holds in each lane of its own, and with two consumers for each within its session", () => {
  const lanes = confirmed(4, PRIORITY);
  for (const number of [2, 1, 0, 3]) lanes.deliver(0, 0, number, false, 0);
  assert.equal(lanes.verdict().disorder, 0);

  const shared = confirmed(6, SHARED);
  for (const [number, consumer] of [[1, 0], [0, 1], [3, 0]] as const) shared.deliver(0, 0, number, false, consumer);
  assert.equal(shared.verdict().disorder, 0);
  shared.session(0);
  shared.deliver(0, 0, 2, false, 0);
  assert.equal(shared.verdict().disorder, 0);
  shared.deliver(0, 0, 5, false, 0);
  shared.deliver(0, 0, 4, false, 0);
  assert.equal(shared.verdict().disorder, 1);
});

test("behind a power cut an ack may be undone, unless a later sync took it along", () => {
  const ledger = confirmed(4);
  deliverAll(ledger, 0, 4);
  ledger.gone(0, 0, 0);
  ledger.publishing(1);
  ledger.gone(0, 0, 1); // behind it
  const number = ledger.publish(1, 1);
  ledger.confirm(1, number);
  ledger.acked(0, 0, 2);

  const cut = ledger.cut();
  assert.equal(cut.deliver(0, 0, 1, true, 0), true);
  assert.equal(cut.deliver(0, 0, 2, true, 0), true);
  assert.equal(cut.deliver(0, 0, 3, true, 0), true);
  assert.equal(cut.deliver(0, 1, number, false, 0), true);
  assert.deepEqual(cut.verdict().failures, []);
  assert.equal(cut.deliver(0, 0, 0, true, 0), false, "this one is on disk");
  assert.equal(cut.verdict().duplicates, 1);
  assert.deepEqual(ledger.verdict().lost, 1, "the load's own ledger knows nothing of the cut");
});

test("a cut publisher's confirm proves nothing about acks", () => {
  const ledger = confirmed(1);
  deliverAll(ledger, 0, 1);
  ledger.gone(0, 0, 0);
  ledger.publishing(1);
  ledger.publish(1, 1);
  ledger.publisherCut(1);
  ledger.confirm(1, ledger.publish(1, 1));
  assert.equal(ledger.cut().deliver(0, 0, 0, true, 0), true);
});

test("behind a power cut what was out must come again, and a stream from its beginning", () => {
  const ledger = new Ledger(1, [CLASSIC, STREAM]);
  ledger.publish(0, 0b11);
  ledger.confirm(0, 0);
  ledger.deliver(0, 0, 0, false, 0);
  ledger.deliver(1, 0, 0, false, 0);
  const cut = ledger.cut();
  assert.equal(cut.verdict().lost, 2);
  cut.deliver(0, 0, 0, true, 0);
  cut.deliver(1, 0, 0, false, 0);
  assert.deepEqual(cut.verdict().failures, []);
});
