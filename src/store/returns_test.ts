// How often messages were given back: noted in the acknowledgement log, found again after a restart.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Message } from "./message.ts";
import { PriorityStore } from "./priority_store.ts";
import type { QueueStore } from "./queue_store.ts";
import {
  bodyOf,
  changed,
  contentOf,
  filesOf,
  FIRST_ACKS,
  messageOf,
  publish,
  restore,
  SMALL,
  type TestHost,
  testHosts,
} from "./queue_store_testing.ts";

const newHost = testHosts();

async function plainHost(): Promise<TestHost> {
  return newHost((await filesOf("plain"))!);
}

/** Takes everything; positions by body. */
function takeAll(store: QueueStore): Map<string, Message> {
  const taken = new Map<string, Message>();
  const message = new Message();
  while (store.next(message)) taken.set(bodyOf(message), Object.assign(new Message(), message));
  return taken;
}

function giveBack(store: QueueStore, { position, bodyBytes }: Message, count: number): void {
  store.noteReturns(position, count);
  store.requeue(position, bodyBytes);
}

/** What a newly opened store knows, by body. */
function returnsOf(host: TestHost): Map<string, number> {
  const store = host.open(SMALL);
  const returns = store.takeReturns();
  assert.equal(store.takeReturns(), null, "once");
  const found = new Map<string, number>();
  for (const [body, { position }] of takeAll(store)) {
    const count = returns?.get(position);
    if (count !== undefined) found.set(body, count);
  }
  assert.equal(found.size, returns?.size ?? 0, "each is of a message that is there");
  store.close();
  return found;
}

test("what was given back is counted across restarts, in every segment, the last count of each", async () => {
  const host = await plainHost();
  const store = host.open(SMALL);
  publish(store, 0, 200);
  host.commit.endTurn();
  let taken = takeAll(store);
  giveBack(store, taken.get("message 3")!, 1);
  giveBack(store, taken.get("message 150")!, 7);
  host.commit.endTurn();
  taken = takeAll(store);
  giveBack(store, taken.get("message 3")!, 2);
  const { position, recordBytes, bodyBytes } = taken.get("message 150")!;
  giveBack(store, taken.get("message 150")!, 8);
  host.commit.endTurn();
  const before = contentOf(host);
  assert.ok(store.next(new Message()) && store.next(new Message()));
  store.settle(position, recordBytes, bodyBytes);
  host.commit.endTurn();
  store.close();
  host.commit.sync();
  assert.deepEqual(returnsOf(host), new Map([["message 3", 2]]), "what is settled is not counted any more");
  restore(host, before);
  assert.deepEqual(returnsOf(host), new Map([["message 3", 2], ["message 150", 8]]));
  assert.deepEqual(host.events, []);
});

test("a count that is damaged is passed over: the one before holds", async () => {
  const host = await plainHost();
  const store = host.open(SMALL);
  publish(store, 0, 5);
  for (let count = 1; count <= 3; count++) {
    giveBack(store, takeAll(store).get("message 0")!, count);
    host.commit.endTurn();
  }
  store.close();
  host.commit.sync();
  const content = contentOf(host);
  const log = content.get(FIRST_ACKS)!;
  // The last turn has written the count, perhaps with other entries: the last entry of kind 3 is looked for.
  let last = -1;
  for (let at = 24; at < log.length; at += 16) if (log[at + 4] === 3) last = at;
  assert.equal(log[last + 5], 3, "the third time");
  restore(host, changed(content, FIRST_ACKS, (bytes) => bytes[last + 5]! ^= 0xff));
  assert.deepEqual(returnsOf(host), new Map([["message 0", 2]]));
  assert.deepEqual(host.events.map(({ kind }) => kind), ["damaged-acks"]);
});

test("a queue in memory forgets with its process", async () => {
  const host = newHost((await filesOf("memory"))!);
  const store = host.open({ ...SMALL, directory: "" });
  publish(store, 0, 2);
  giveBack(store, takeAll(store).get("message 1")!, 1);
  host.commit.endTurn();
  assert.equal(store.takeReturns(), null);
  store.close();
});

test("a queue with priorities counts in each of them", async () => {
  const host = await plainHost();
  const open = () =>
    PriorityStore.open({
      queueId: 7,
      directory: host.queueDirectory,
      maxPriority: 9,
      // The last digit of the body.
      priorityOf: (message) => message.body[message.bodyAt + message.bodyBytes - 1]! - 0x30,
    }, host);
  const store = open();
  for (const body of ["a 0", "b 5", "c 5"]) store.append(messageOf(body));
  host.commit.endTurn();
  const message = new Message();
  for (const count of [1, 2, 3]) {
    assert.ok(store.next(message));
    store.noteReturns(message.position, count);
  }
  host.commit.endTurn();
  store.close();
  host.commit.sync();
  const again = open();
  const returns = again.takeReturns()!;
  const found: [string, number | undefined][] = [];
  while (again.next(message)) found.push([bodyOf(message), returns.get(message.position)]);
  assert.deepEqual(found, [["b 5", 1], ["c 5", 2], ["a 0", 3]]);
  again.close();
});
