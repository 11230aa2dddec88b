import assert from "node:assert/strict";
import { test } from "node:test";
import type { Queue } from "./queue.ts";
import { Turn } from "./turn.ts";
import { WarmQueues } from "./warm_queues.ts";

function setUp(max: number) {
  const cooled: string[] = [];
  const turn = new Turn({ endTurn: () => {} }, (fault) => {
    throw fault;
  });
  const warm = new WarmQueues(max, turn);
  const queue = (name: string): Queue =>
    ({ name, warm: false, gone: false, store: { cool: () => void cooled.push(name) } }) as unknown as Queue;
  return { cooled, warm, queue };
}

test("a queue that was not used between two rounds of housekeeping is cooled in the second", () => {
  const { cooled, warm, queue } = setUp(100);
  const [a, b, gone] = [queue("a"), queue("b"), queue("gone")];
  for (const one of [a, b, gone]) warm.add(one);
  warm.keepHouse();
  assert.deepEqual(cooled, []);
  assert.ok(!a.warm);
  warm.add(b);
  gone.gone = true;
  warm.keepHouse();
  assert.deepEqual(cooled, ["a"]);
  warm.keepHouse();
  assert.deepEqual(cooled, ["a", "b"]);
  warm.keepHouse();
  assert.deepEqual(cooled, ["a", "b"]);
});

test("queues that come and go are not held, and cool nobody else", async () => {
  const { cooled, warm, queue } = setUp(10);
  const stays = queue("stays");
  warm.add(stays);
  for (let count = 0; count < 100; count++) {
    const gone = queue(`${count}`);
    warm.add(gone);
    gone.gone = true;
    warm.forget(gone);
    if (count === 50) warm.keepHouse();
  }
  await Promise.resolve();
  assert.deepEqual([cooled, stays.warm], [[], false]);
  warm.keepHouse();
  assert.deepEqual(cooled, ["stays"]);
});

test("of too many the ones in use for longest are cooled at the end of the turn, half of them stay", async () => {
  const { cooled, warm, queue } = setUp(10);
  const queues = Array.from({ length: 14 }, (_, index) => queue(`${index}`));
  for (const one of queues.slice(0, 3)) warm.add(one);
  warm.keepHouse();
  warm.add(queues[1]!);
  for (const one of queues.slice(3)) warm.add(one);
  assert.deepEqual(cooled, []);
  await Promise.resolve();
  assert.deepEqual(cooled, ["0", "2", "1", "3", "4", "5", "6", "7", "8"]);
  assert.deepEqual(queues.filter((one) => one.warm).map(({ name }) => name), ["9", "10", "11", "12", "13"]);
});
