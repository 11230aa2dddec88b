import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Queue } from "../core/queue.ts";
import type { AmqpConsumer } from "./consumer.ts";
import { Deliveries } from "./deliveries.ts";
import { Transaction } from "./transaction.ts";

/** What happens to the positions of a queue that only takes notes. */
class NotingQueue {
  readonly counters = { ack: 0 };
  readonly seen: string[] = [];
  settle(position: number): void {
    this.seen.push(`acked ${position}`);
  }
  reject(position: number): void {
    this.seen.push(`rejected ${position}`);
  }
  requeue(position: number): void {
    this.seen.push(`requeued ${position}`);
  }
  wake(): void {}
}

function setUp() {
  const noted = new NotingQueue();
  const queue = noted as unknown as Queue;
  const consumer = { unsettled: 0 } as unknown as AmqpConsumer;
  let room = 0;
  const deliveries = new Deliveries(() => room++);
  const deliver = (): number => {
    const tag = deliveries.nextTag();
    consumer.unsettled++;
    deliveries.hold(tag, queue, consumer, tag * 10, 8, 1);
    return tag;
  };
  return { noted, consumer, deliveries, deliver, room: () => room };
}

test("the shared prefetch is used up by deliveries and freed by what settles them, also in a transaction", () => {
  const { deliveries, deliver, room } = setUp();
  deliveries.prefetch = 2;
  deliver();
  assert.ok(deliveries.hasCredit());
  deliver();
  assert.ok(!deliveries.hasCredit());
  const transaction = new Transaction(() => {});
  deliveries.transaction = transaction;
  deliveries.acknowledge(1, false);
  assert.ok(!deliveries.hasCredit(), "not before the commit");
  deliveries.commit(transaction.takeSettlements());
  assert.ok(deliveries.hasCredit());
  assert.ok(room() > 0);
});

test("a transaction that holds too much still has all that it was given", () => {
  const { noted, deliveries, deliver } = setUp();
  deliver();
  const transaction = new Transaction((bytes) => {
    if (bytes > 0) throw new Error("too much");
  });
  deliveries.transaction = transaction;
  assert.throws(() => deliveries.acknowledge(1, false), /too much/);
  deliveries.rollBack(transaction.takeSettlements());
  deliveries.requeueAll();
  assert.deepEqual(noted.seen, ["requeued 10"]);
});

test("transactions settle at their commit what they took, and a rollback leaves everything as it was", () => {
  type Step = { kind: "deliver" | "ack" | "reject" | "requeue" | "multiple" | "commit" | "rollback"; pick: number };
  const steps = fc.array(
    fc.record<Step>({
      kind: fc.constantFrom(
        "deliver",
        "deliver",
        "deliver",
        "ack",
        "reject",
        "requeue",
        "multiple",
        "commit",
        "rollback",
      ),
      pick: fc.nat(),
    }),
    { maxLength: 60 },
  );
  fc.assert(fc.property(steps, (given) => {
    const { noted, consumer, deliveries, deliver } = setUp();
    const transaction = new Transaction(() => {});
    deliveries.transaction = transaction;
    let open: number[] = [];
    let taken: [number, string][] = [];
    const expected: string[] = [];
    for (const { kind, pick } of given) {
      const tag = open[pick % open.length];
      if (kind === "deliver") {
        open.push(deliver());
      } else if (kind === "commit") {
        deliveries.commit(transaction.takeSettlements());
        expected.push(...taken.map(([number, what]) => `${what} ${number * 10}`));
        taken = [];
      } else if (kind === "rollback") {
        deliveries.rollBack(transaction.takeSettlements());
        open = [...open, ...taken.map(([number]) => number)].sort((a, b) => a - b);
        taken = [];
      } else if (tag !== undefined && kind === "multiple") {
        deliveries.acknowledge(tag, true);
        for (const number of open.filter((other) => other <= tag)) taken.push([number, "acked"]);
        open = open.filter((other) => other > tag);
      } else if (tag !== undefined) {
        if (kind === "ack") deliveries.acknowledge(tag, false);
        else deliveries.reject(tag, false, kind === "requeue");
        taken.push([tag, kind === "ack" ? "acked" : kind === "reject" ? "rejected" : "requeued"]);
        open = open.filter((other) => other !== tag);
        assert.throws(() => deliveries.acknowledge(tag, false), /unknown delivery tag/);
      }
      assert.deepEqual(noted.seen, expected);
      assert.equal(consumer.unsettled, open.length + taken.length);
    }
    deliveries.rollBack(transaction.takeSettlements());
    deliveries.requeueAll();
    const left = [...open, ...taken.map(([number]) => number)].sort((a, b) => a - b);
    assert.deepEqual(noted.seen, [...expected, ...left.map((number) => `requeued ${number * 10}`)]);
  }));
});

test("timeouts that no delivery runs by any more are forgotten, those that one does are not", () => {
  const { consumer, deliveries } = setUp();
  let looks = 0;
  const queueOf = (consumerTimeoutMs: number): Queue =>
    Object.defineProperty({ requeue() {} }, "settings", {
      get: () => (looks++, { consumerTimeoutMs }),
    }) as unknown as Queue;
  const [held, watched] = [queueOf(5000), queueOf(7000)];
  for (let timeoutMs = 1; timeoutMs <= 2000; timeoutMs++) deliveries.watch(queueOf(timeoutMs));
  deliveries.watch(held);
  deliveries.watch(watched);
  deliveries.hold(deliveries.nextTag(), held, null, 0, 8, 1);
  const consumers = [{ queue: watched }] as unknown as AmqpConsumer[];
  assert.equal(deliveries.overdueMs(0, consumers), null);
  looks = 0;
  assert.equal(deliveries.overdueMs(4000, consumers), null);
  assert.ok(looks < 10, `one delivery was looked at ${looks} times for timeouts of others`);
  assert.equal(deliveries.overdueMs(6000, consumers), 5000);
  deliveries.requeueAll();
  deliveries.hold(deliveries.nextTag(), watched, consumer, 0, 8, 1);
  assert.equal(deliveries.overdueMs(6001, consumers), null);
  assert.equal(deliveries.overdueMs(20_000, consumers), 7000);
});
