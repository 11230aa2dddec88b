import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { Message } from "./message.ts";
import { POSITIONS_PER_PRIORITY, PriorityStore } from "./priority_store.ts";
import { countsOf, openPriorities, priorityOf, take, type Taken } from "./priority_store_testing.ts";
import { bodyOf, filesOf, FIRST, messageOf, SMALL, testHosts } from "./queue_store_testing.ts";
import { StoreFault } from "./store_event.ts";

const hostOf = testHosts();
const message = new Message();

function publish(store: PriorityStore, ...bodies: string[]): number[] {
  return bodies.map((body) => store.append(messageOf(body)));
}

function takeAll(store: PriorityStore): Taken[] {
  const taken: Taken[] = [];
  for (let one = take(store, message); one !== null; one = take(store, message)) taken.push(one);
  return taken;
}

function bodies(store: PriorityStore): string[] {
  return takeAll(store).map(({ body }) => body);
}

for (const kind of ["mapped", "plain", "memory"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;
  const host = () => hostOf(kind === "memory" ? new MemoryFiles() : files);

  test(`${kind}: the highest priority comes first, and within one what came first (behaviours 57)`, () => {
    const store = openPriorities(host());
    publish(store, "0a", "9a", "5a", "0b", "9b", "5b");
    assert.deepEqual(bodies(store), ["9a", "9b", "5a", "5b", "0a", "0b"]);
    assert.equal(take(store, message), null);
    store.destroy();
  });

  test(`${kind}: what is above the highest priority counts as that (behaviours 57)`, () => {
    const store = openPriorities(host(), { maxPriority: 4 });
    publish(store, "3a", "4a", "9a", "4b");
    assert.deepEqual(bodies(store), ["4a", "9a", "4b", "3a"]);
    store.destroy();
  });

  test(`${kind}: a requeued message is at its old place within its priority`, () => {
    const store = openPriorities(host());
    publish(store, "2a", "2b", "2c", "1a");
    const [a, b] = [take(store, message)!, take(store, message)!];
    store.requeue(b.position, b.bodyBytes);
    store.requeue(a.position, a.bodyBytes);
    publish(store, "3a");
    const again = takeAll(store);
    assert.deepEqual(again.map(({ body }) => body), ["3a", "2a", "2b", "2c", "1a"]);
    assert.deepEqual(again.map(({ redelivered }) => redelivered), [false, true, true, false, false]);
    store.destroy();
  });

  test(`${kind}: counts are those of all priorities together`, () => {
    const store = openPriorities(host());
    publish(store, "1abc", "7a", "7bcdefg");
    assert.deepEqual(countsOf(store), [3, 13, 0, 0]);
    const first = take(store, message)!;
    assert.deepEqual(countsOf(store), [2, 11, 1, 2]);
    store.settle(first.position, first.recordBytes, first.bodyBytes);
    assert.deepEqual(countsOf(store), [2, 11, 0, 0]);
    const second = take(store, message)!;
    store.requeue(second.position, second.bodyBytes);
    assert.deepEqual(countsOf(store), [2, 11, 0, 0]);
    assert.equal(store.purge(), 2);
    assert.equal(store.purge(), 0);
    assert.deepEqual(countsOf(store), [0, 0, 0, 0]);
    store.destroy();
  });

  test(`${kind}: a purge leaves what is unacked, and a look takes nothing`, () => {
    const store = openPriorities(host());
    publish(store, "1a", "2a", "2b");
    const held = take(store, message)!;
    assert.equal(store.purge(), 2);
    assert.equal(store.peek(message), false);
    store.requeue(held.position, held.bodyBytes);
    assert.ok(store.peek(message));
    assert.deepEqual([bodyOf(message), message.position], ["2a", held.position]);
    assert.deepEqual(bodies(store), ["2a"]);
    store.destroy();
  });

  test(`${kind}: what a queue at rest gives back it opens again`, () => {
    const store = openPriorities(host(), SMALL);
    publish(store, "1a", "2a");
    store.cool();
    publish(store, "1b", "2b");
    store.cool();
    assert.deepEqual(bodies(store), ["2a", "2b", "1a", "1b"]);
    store.destroy();
  });

  if (kind === "memory") continue;

  test(`${kind}: only priorities that were used have a directory, made durable with those above it`, () => {
    const h = host();
    const store = openPriorities(h, { maxPriority: 255 });
    assert.equal(existsSync(h.queueDirectory), false);
    publish(store, "0a", "5a", "0b");
    assert.deepEqual(readdirSync(h.queueDirectory).sort(), ["p000", "p005"]);
    h.commit.endTurn();
    // Two segments, the directories that name them, and the three above: of the priorities, the queue and the queues.
    assert.ok(h.commit.dirtied.size >= 2 + 2 + 3);
    h.commit.sync();
    store.destroy();
    h.commit.sync();
    assert.equal(existsSync(h.queueDirectory), false);
    assert.equal(h.files.openCount, 0);
  });

  test(`${kind}: a restart finds every priority, settled ones gone (behaviours 57)`, () => {
    const h = host();
    const store = openPriorities(h);
    publish(store, "0a", "5a", "9a", "5b", "0b");
    const [, five] = [take(store, message)!, take(store, message)!];
    store.settle(five.position, five.recordBytes, five.bodyBytes);
    store.close();
    h.commit.sync();
    const again = openPriorities(h);
    assert.deepEqual(countsOf(again), [4, 8, 0, 0]);
    const taken = takeAll(again);
    assert.deepEqual(taken.map(({ body }) => body), ["9a", "5b", "0a", "0b"]);
    assert.deepEqual(taken.map(({ redelivered }) => redelivered), [true, false, false, false]);
    again.destroy();
  });

  test(`${kind}: a damaged message of one priority is stepped over, and the next one comes from another`, () => {
    const h = host();
    const store = openPriorities(h);
    const [, damaged] = publish(store, "1abc", "9abc");
    h.commit.endTurn();
    h.commit.sync();
    store.cool();
    const file = join(h.queueDirectory, "p009", FIRST);
    const bytes = readFileSync(file);
    const at = damaged! % 2 ** 27 * 8 + 30;
    bytes[at] = bytes[at]! ^ 0xff;
    writeFileSync(file, bytes);
    assert.deepEqual(bodies(store), ["1abc"]);
    assert.deepEqual(countsOf(store), [0, 0, 1, 4]);
    assert.deepEqual(h.events.map((event) => event.kind), ["damaged-record"]);
    store.destroy();
  });

  test(`${kind}: a directory that is no priority's is passed over`, () => {
    const h = host();
    for (const name of ["p256", "p1", "quarantine"]) mkdirSync(join(h.queueDirectory, name), { recursive: true });
    const store = openPriorities(h);
    assert.equal(store.readyCount, 0);
    publish(store, "1a");
    assert.deepEqual(bodies(store), ["1a"]);
    store.destroy();
  });

  test(`${kind}: positions are exact when segments have used up the numbers that a position can tell`, () => {
    const h = host();
    const directory = join(h.queueDirectory, "p009");
    mkdirSync(directory, { recursive: true });
    // A log without segment: its number is not used again.
    writeFileSync(join(directory, `acks.${String(2 ** 18 - 3).padStart(10, "0")}`), "");
    const store = openPriorities(h, SMALL);
    const positions = publish(store, ...["9a", "9b", "9c", "9d", "9e", "9f"].map((text) => text.padEnd(1500, ".")));
    assert.ok(positions.at(-1)! < positions[0]!, "they began anew");
    for (const position of positions) assert.ok(Number.isSafeInteger(position));
    const taken = takeAll(store);
    assert.deepEqual(taken.map(({ position }) => position), positions);
    for (const one of taken) {
      store.read(one.position, message);
      assert.deepEqual([bodyOf(message), message.position], [one.body, one.position]);
    }
    for (const one of taken.toReversed()) store.requeue(one.position, one.bodyBytes);
    assert.deepEqual(takeAll(store).map(({ position }) => position), positions);
    for (const one of taken) store.settle(one.position, one.recordBytes, one.bodyBytes);
    assert.deepEqual(countsOf(store), [0, 0, 0, 0]);
    store.close();
    h.commit.sync();
    assert.equal(openPriorities(h).readyCount, 0);
  });

  test(`${kind}: messages of one priority that lie too far apart for a position are refused with a clear fault`, () => {
    const h = host();
    const store = openPriorities(h, SMALL);
    publish(store, "9a");
    store.close();
    h.commit.sync();
    writeFileSync(join(h.queueDirectory, "p009", `acks.${String(2 ** 18).padStart(10, "0")}`), "");
    const again = openPriorities(h, SMALL);
    assert.throws(
      () => publish(again, "9b"),
      (error) => error instanceof StoreFault && /priority 9/.test(error.message),
    );
    assert.deepEqual(bodies(again), ["9a"]);
    again.destroy();
  });
}

test("the highest priority of all has positions that are exact", () => {
  const store = PriorityStore.open(
    { queueId: 1, directory: "", maxPriority: 255, priorityOf: () => 255 },
    hostOf(new MemoryFiles()),
  );
  publish(store, "a", "b");
  const [a, b] = takeAll(store);
  assert.ok(a!.position >= 255 * POSITIONS_PER_PRIORITY && Number.isSafeInteger(b!.position));
  assert.ok(Number.isSafeInteger(256 * POSITIONS_PER_PRIORITY - 1));
  store.read(b!.position, message);
  assert.deepEqual([bodyOf(message), priorityOf(message)], ["b", "b".charCodeAt(0) - 0x30]);
  store.destroy();
});
