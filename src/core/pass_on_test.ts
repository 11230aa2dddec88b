// What comes while nothing waits goes straight to a consumer that settles by taking.

import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Message } from "../store/message.ts";
import { NO_ARGUMENTS } from "./arguments.ts";
import type { Consumer, Queue } from "./queue.ts";
import { testRealm } from "./realm_testing.ts";

const TURN_OVER = () => new Promise<void>((resolve) => setImmediate(resolve));

function newQueue(): Queue {
  const { realm } = testRealm();
  realm.putVhost("/", {});
  const vhost = realm.vhost("/");
  return vhost.declareQueue("q", { durable: true, autoDelete: false, exclusive: false, args: NO_ARGUMENTS }, {})
    .queue as Queue;
}

function numbered(number: number): Message {
  const message = new Message();
  message.route = new Uint8Array(2);
  message.routeBytes = 2;
  message.header = new Uint8Array(10);
  message.headerBytes = 10;
  message.body = Uint8Array.of(number >>> 8, number);
  message.bodyBytes = 2;
  return message;
}

/** Takes `room` messages, then no more until it has room again. */
class Taker implements Consumer {
  readonly exclusive = false;
  readonly priority = 0;
  readonly noAck: boolean;
  room = Infinity;
  readonly #queue: Queue;
  readonly #taken: number[];

  constructor(queue: Queue, noAck: boolean, taken: number[]) {
    this.noAck = noAck;
    this.#queue = queue;
    this.#taken = taken;
    queue.addConsumer(this, "q");
  }

  ready(): boolean {
    return this.room > 0;
  }

  deliver({ body, bodyAt, position, recordBytes, bodyBytes, redelivered }: Message): void {
    assert.equal(redelivered, false);
    this.room--;
    this.#taken.push(body[bodyAt]! << 8 | body[bodyAt + 1]!);
    this.#queue.settle(position, recordBytes, bodyBytes);
  }

  cancelled(): void {}
}

test("what goes straight on is counted, and never in the store", async () => {
  const queue = newQueue();
  const taken: number[] = [];
  new Taker(queue, true, taken);
  const message = numbered(7);
  message.redelivered = true;
  queue.publish(message);
  assert.deepEqual(taken, [7], "within the call");
  await TURN_OVER();
  assert.deepEqual([queue.counters.publish, queue.store.segmentCount, queue.messageCount], [1, 0, 0]);
});

test("what a consumer has to acknowledge is stored first, also beside one that does not", async () => {
  const queue = newQueue();
  const taken: number[] = [];
  new Taker(queue, true, taken);
  new Taker(queue, false, taken);
  queue.publish(numbered(1));
  assert.deepEqual([taken, queue.messageCount], [[], 1]);
  await TURN_OVER();
  assert.deepEqual(taken, [1]);
});

test("with consumers that come, go, fill up and are held back each message arrives once, in order", async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constant("publish" as const) },
    fc.constantFrom("come", "come and acknowledge", "go", "fill", "empty", "pause", "resume", "turn" as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const queue = newQueue();
      const [taken, takers]: [number[], Taker[]] = [[], []];
      let published = 0;
      for (const what of steps) {
        if (what === "publish") queue.publish(numbered(++published));
        else if (what === "come") takers.push(new Taker(queue, true, taken));
        else if (what === "come and acknowledge") takers.push(new Taker(queue, false, taken));
        else if (what === "go") takers.splice(0, 1).forEach((taker) => queue.removeConsumer(taker));
        else if (what === "fill") takers.forEach((taker) => taker.room = 1);
        else if (what === "pause") queue.pause();
        else if (what === "resume") queue.resume();
        else if (what === "empty") {
          takers.forEach((taker) => taker.room = Infinity);
          queue.wake();
        } else {
          await TURN_OVER();
        }
      }
      queue.resume();
      new Taker(queue, true, taken);
      await TURN_OVER();
      assert.deepEqual(taken, Array.from({ length: published }, (_, index) => index + 1));
      assert.equal(queue.messageCount, 0);
    }),
  );
});
