import { test } from "node:test";
import assert from "node:assert/strict";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { GroupCommit } from "../store/group_commit.ts";
import { Message, MESSAGE_PERSISTENT } from "../store/message.ts";
import { QueueStore } from "../store/queue_store.ts";
import { ReadWindow } from "../store/read_window.ts";
import { putProperties } from "../wire/amqp_properties.ts";
import { putLonglong } from "../wire/amqp_values.ts";
import type { ArgumentValue } from "./arguments.ts";
import type { Queue } from "./queue.ts";
import type { Timers } from "./timers.ts";
import { Turn } from "./turn.ts";
import { VirtualHost } from "./virtual_host.ts";

const OWNER = { name: "connection" };

/** A virtual host whose disk is as slow as the test wants it to be, and its timers wait for `pass`. */
function setUp() {
  const due: (() => void)[] = [];
  const timers = {
    after: (_: number, work: () => void) => ({ cancel: () => {}, at: due.push(work) }),
    close: () => {},
  };
  const waiting: { durable(): void }[] = [];
  const commit = new GroupCommit({ syncer: null, onFault: (fault) => assert.fail(fault) });
  const turn = new Turn(commit, (fault) => {
    throw fault;
  });
  const files = new MemoryFiles();
  const recoveryWindow = new ReadWindow(files, 4096);
  const host = { files, commit, pool: null, recoveryWindow, now: () => 0, report: () => {} };
  let id = 0;
  const vhost = new VirtualHost("/", {
    turn,
    definitions: { append: () => {} },
    openStore: (queueId) => QueueStore.open({ queueId, directory: `q${queueId}` }, host),
    openStream: () => assert.fail("no streams here"),
    destroyStore: () => {},
    nextQueueId: () => ++id,
    timers: timers as unknown as Timers,
    commit: { wait: (waiter) => void waiting.push(waiter) },
    limits: { queuesMax: 20_000, exchangesMax: 20, bindingsMax: 30, warmQueuesMax: 10 },
  });
  const queue = (name: string, args: Record<string, ArgumentValue> = {}, durable = true): Queue => {
    const declaration = { durable, autoDelete: false, exclusive: false, args: new Map(Object.entries(args)) };
    return vhost.declareQueue(name, declaration, OWNER).queue as Queue;
  };
  /** Time passes: what waits for it happens. */
  const pass = (): void => due.splice(0).forEach((work) => work());
  return { queue, waiting, vhost, pass };
}

function message(text: string, flags = MESSAGE_PERSISTENT): Message {
  const whole = new Message();
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, text.length);
  putProperties(out, {});
  whole.header = out.bytes.slice(out.start, out.end);
  whole.headerBytes = whole.header.length;
  whole.route = new Uint8Array([0, 1, 0x6b]);
  whole.routeBytes = 3;
  whole.body = new TextEncoder().encode(text);
  whole.bodyBytes = whole.body.length;
  whole.flags = flags;
  whole.timestampMs = Date.now();
  return whole;
}

function textOf(found: Message | null): string | null {
  return found && new TextDecoder().decode(found.body.subarray(found.bodyAt, found.bodyAt + found.bodyBytes));
}

/** A client rejects the oldest message of a queue. */
function reject(queue: Queue): void {
  const { position, recordBytes, bodyBytes } = queue.get()!;
  queue.reject(position, recordBytes, bodyBytes);
}

const TO_DEAD = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" };

test("a message that is to survive stays where it was until it is on disk where it goes", async () => {
  const { queue, waiting } = setUp();
  const [source, dead] = [queue("source", TO_DEAD), queue("dead")];
  source.publish(message("kept"));
  reject(source);
  await Promise.resolve();
  assert.equal(dead.messageCount, 1);
  assert.equal(source.store.unackedCount, 1, "a kill now doubles it");
  assert.equal(waiting.length, 1);
  waiting[0]!.durable();
  assert.equal(source.store.unackedCount, 0);
});

test("what does not survive a restart anyway waits for no disk", async () => {
  const { queue, waiting } = setUp();
  queue("dead");
  queue("mortal", {}, false);
  const sources = [
    queue("source", TO_DEAD),
    queue("transient", TO_DEAD, false),
    queue("to mortal", { ...TO_DEAD, "x-dead-letter-routing-key": "mortal" }),
    queue("to nobody", { ...TO_DEAD, "x-dead-letter-routing-key": "nobody" }),
  ];
  sources.forEach((source, index) => source.publish(message("x", index === 0 ? 0 : MESSAGE_PERSISTENT)));
  sources.forEach(reject);
  await Promise.resolve();
  assert.deepEqual(sources.map(({ store }) => store.unackedCount), [0, 0, 0, 0]);
  assert.equal(waiting.length, 0);
});

test("a queue that goes meanwhile takes nobody with it", async () => {
  const { queue, waiting, vhost } = setUp();
  const [source, late, dead] = [queue("source", TO_DEAD), queue("late", TO_DEAD), queue("dead")];
  source.publish(message("moved"));
  late.publish(message("gone"));
  reject(source);
  await Promise.resolve();
  vhost.removeQueue(source);
  waiting[0]!.durable();
  reject(late);
  vhost.removeQueue(late);
  await Promise.resolve();
  assert.equal(dead.messageCount, 1);
});

test("dead letters of a queue that is its own dead letter queue come back whole", async () => {
  const { queue, waiting } = setUp();
  const self = queue("self", { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "self" });
  const bodies = Array.from({ length: 200 }, (_, index) => `message ${index} ${"x".repeat(index * 20)}`);
  for (const body of bodies) self.publish(message(body));
  for (let round = 0; round < 3; round++) {
    for (const _ of bodies) reject(self);
    await Promise.resolve();
    for (const waiter of waiting.splice(0)) waiter.durable();
    await Promise.resolve();
  }
  assert.deepEqual(bodies.map(() => textOf(self.get())), bodies);
  assert.equal(self.get(), null);
});

test("when very many die at once they go in several turns, and hold no more than a few under way", async () => {
  const { queue, waiting } = setUp();
  const [source, dead] = [queue("source", { ...TO_DEAD, "x-message-ttl": 0 }), queue("dead")];
  const COUNT = 50_000;
  for (let index = 0; index < COUNT; index++) {
    const old = message(`${index}`);
    old.timestampMs -= 1000;
    source.store.append(old);
  }
  source.wake();
  let underWayMax = 0;
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    underWayMax = Math.max(underWayMax, source.store.unackedCount);
    if (dead.messageCount === COUNT) break;
    // The disk is slower than the turns.
    if (source.store.unackedCount > 15_000) { for (const waiter of waiting.splice(0)) waiter.durable(); }
  }
  assert.ok(underWayMax < 20_000, `${underWayMax} under way`);
  for (const waiter of waiting.splice(0)) waiter.durable();
  assert.deepEqual([source.messageCount, source.store.unackedCount], [0, 0]);
});

test("on a full disk dead letters stay where they are until there is room, in order", async () => {
  const { queue, waiting, pass } = setUp();
  const [source, dead] = [queue("source", TO_DEAD), queue("dead")];
  const append = dead.store.append.bind(dead.store);
  let isFull = false;
  dead.store.append = (message) => {
    if (isFull) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    isFull = message.bodyBytes === 1 && message.body[message.bodyAt] === 0x31;
    return append(message);
  };
  for (const body of ["0", "1", "2", "3"]) source.publish(message(body));
  for (let index = 0; index < 3; index++) reject(source);
  await Promise.resolve();
  assert.deepEqual([dead.messageCount, waiting.length], [2, 1], "the disk is full after two");
  reject(source);
  pass();
  await Promise.resolve();
  assert.deepEqual([dead.messageCount, source.store.unackedCount], [2, 4], "still full");
  isFull = false;
  pass();
  await Promise.resolve();
  for (const waiter of waiting) waiter.durable();
  assert.deepEqual(Array.from({ length: 4 }, () => textOf(dead.get())), ["0", "1", "2", "3"]);
  assert.equal(source.store.unackedCount, 0);
});

test("the dead letter exchange is looked up when a message dies", async () => {
  const { queue, vhost } = setUp();
  const args = new Map<string, ArgumentValue>();
  const source = queue("source", { "x-dead-letter-exchange": "late-x" });
  const dead = queue("dead");
  source.publish(message("1"));
  source.publish(message("2"));
  reject(source);
  await Promise.resolve();
  vhost.declareExchange("late-x", { type: "fanout", durable: true, autoDelete: false, internal: true, args });
  vhost.bind("late-x", dead, "", args);
  reject(source);
  await Promise.resolve();
  assert.equal(textOf(dead.get()), "2");
  assert.equal(dead.get(), null);
});
