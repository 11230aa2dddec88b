// Queues with every rule at once, and a random life: whatever happens, each message ends in one place, once.

import { test } from "node:test";
import assert from "node:assert/strict";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { GroupCommit } from "../store/group_commit.ts";
import { Message } from "../store/message.ts";
import { QueueStore } from "../store/queue_store.ts";
import { ReadWindow } from "../store/read_window.ts";
import { putProperties } from "../wire/amqp_properties.ts";
import { putLonglong } from "../wire/amqp_values.ts";
import type { ArgumentValue } from "./arguments.ts";
import type { Consumer, Queue } from "./queue.ts";
import { Timers } from "./timers.ts";
import { Turn } from "./turn.ts";
import { VirtualHost } from "./virtual_host.ts";

const OWNER = { name: "connection" };

function setUp() {
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
    openStore: (queueId) =>
      QueueStore.open({ queueId, directory: `q${queueId}`, segmentBytesMin: 4096, segmentBytesMax: 4096 }, host),
    openStream: () => assert.fail("no streams here"),
    destroyStore: () => {},
    nextQueueId: () => ++id,
    timers: new Timers(turn, (fault) => assert.fail(String(fault))),
    commit,
    limits: { queuesMax: 20, exchangesMax: 20, bindingsMax: 30, warmQueuesMax: 10 },
  });
  return (name: string, args: Record<string, ArgumentValue>): Queue => {
    const declaration = { durable: true, autoDelete: false, exclusive: false, args: new Map(Object.entries(args)) };
    return vhost.declareQueue(name, declaration, OWNER).queue as Queue;
  };
}

function messageOf(text: string): Message {
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
  whole.flags = 1;
  whole.timestampMs = Date.now();
  return whole;
}

function textOf({ body, bodyAt, bodyBytes }: Message): string {
  return new TextDecoder().decode(body.subarray(bodyAt, bodyAt + bodyBytes));
}

interface Held {
  readonly text: string;
  readonly position: number;
  readonly recordBytes: number;
  readonly bodyBytes: number;
}

class Holder implements Consumer {
  readonly exclusive = false;
  readonly noAck = false;
  readonly priority: number;
  readonly held: Held[];
  room = 0;

  constructor(priority: number, held: Held[]) {
    this.priority = priority;
    this.held = held;
  }

  ready(): boolean {
    return this.room > 0;
  }

  deliver(message: Message): void {
    this.room--;
    this.held.push({ ...message, text: textOf(message) });
  }

  cancelled(): void {}
}

function randomBelow(seed: number): (limit: number) => number {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const RULES: Record<string, ArgumentValue>[] = [
  {},
  { "x-max-length": 7, "x-delivery-limit": 2 },
  { "x-max-length-bytes": 300, "x-overflow": "reject-publish-dlx", "x-delivery-limit": 1 },
  { "x-message-ttl": 1, "x-single-active-consumer": true },
  { "x-max-length": 3, "x-message-ttl": 2, "x-queue-type": "quorum" },
];

for (const [number, rules] of RULES.entries()) {
  test(`a random life with ${JSON.stringify(rules)}: each message is consumed or dies, once`, async () => {
    const below = randomBelow(number * 7919 + 12_345);
    const declare = setUp();
    const dead = declare("dead", {});
    const queue = declare("queue", { ...rules, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" });
    const published: string[] = [];
    const consumed: string[] = [];
    const held: Held[] = [];
    const consumers: Holder[] = [];
    const takeOne = (): Held | undefined => held.splice(below(held.length), 1)[0];
    const steps: (() => void)[] = [
      () => {
        const text = `message ${published.length} ${"x".repeat(below(200))}`;
        published.push(text);
        queue.publish(messageOf(text));
      },
      () => {
        const message = queue.get();
        if (message !== null) held.push({ ...message, text: textOf(message) });
      },
      () => {
        const one = takeOne();
        if (one === undefined) return;
        consumed.push(one.text);
        queue.settle(one.position, one.recordBytes, one.bodyBytes);
      },
      () => {
        const one = takeOne();
        if (one !== undefined) queue.reject(one.position, one.recordBytes, one.bodyBytes);
      },
      () => {
        const one = takeOne();
        if (one !== undefined) queue.requeue(one.position, one.bodyBytes);
      },
      () => {
        const consumer = new Holder(below(3), held);
        consumers.push(consumer);
        queue.addConsumer(consumer, "");
      },
      () => {
        const consumer = consumers.splice(below(consumers.length), 1)[0];
        if (consumer !== undefined) queue.removeConsumer(consumer);
      },
      () => {
        for (const consumer of consumers) consumer.room = below(4);
        queue.wake();
      },
    ];
    const kinds = [0, 0, 0, 0, 1, 2, 3, 4, 4, 5, 6, 6, 7, 7];
    for (let step = 0; step < 4000; step++) {
      steps[kinds[below(kinds.length)]!]!();
      if (below(3) === 0) await Promise.resolve();
      if (below(200) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      if (below(500) === 0) queue.store.cool();
    }
    for (const consumer of consumers) queue.removeConsumer(consumer);
    for (const one of held.splice(0)) queue.reject(one.position, one.recordBytes, one.bodyBytes);
    await new Promise((resolve) => setImmediate(resolve));
    for (let message = queue.get(); message !== null; message = queue.get()) {
      consumed.push(textOf(message));
      queue.settle(message.position, message.recordBytes, message.bodyBytes);
    }
    await new Promise((resolve) => setImmediate(resolve));
    const died: string[] = [];
    for (let message = dead.get(); message !== null; message = dead.get()) died.push(textOf(message));
    assert.deepEqual([...consumed, ...died].sort(), published.sort());
    const { readyCount, readyBytes, unackedCount, unackedBytes } = queue.store;
    assert.deepEqual([readyCount, readyBytes, unackedCount, unackedBytes], [0, 0, 0, 0]);
    assert.ok(died.length > 0 && consumed.length > 0);
  });
}
