import assert from "node:assert/strict";
import { test } from "node:test";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { GroupCommit } from "../store/group_commit.ts";
import { Message } from "../store/message.ts";
import { QueueStore } from "../store/queue_store.ts";
import { ReadWindow } from "../store/read_window.ts";
import { putProperties } from "../wire/amqp_properties.ts";
import { tableOf } from "../wire/amqp_table.ts";
import { putLonglong } from "../wire/amqp_values.ts";
import type { Queue } from "./queue.ts";
import { Timers } from "./timers.ts";
import { Turn } from "./turn.ts";
import { VirtualHost } from "./virtual_host.ts";
import { WarmQueues } from "./warm_queues.ts";

const fault = (error: unknown): never => assert.fail(String(error));
const diskFull = () => Object.assign(new Error("no space"), { code: "ENOSPC" });

function setUp() {
  const commit = new GroupCommit({ syncer: null, onFault: fault });
  const turn = new Turn(commit, fault);
  const files = new MemoryFiles();
  const host = {
    files,
    commit,
    pool: null,
    recoveryWindow: new ReadWindow(files, 4096),
    now: () => 0,
    report: () => {},
  };
  const vhost = new VirtualHost("/", {
    turn,
    definitions: { append: () => {} },
    openStore: (queueId) => QueueStore.open({ queueId, directory: "" }, host),
    openStream: fault,
    destroyStore: () => {},
    nextQueueId: () => 1,
    timers: new Timers(turn, fault),
    commit,
    limits: { queuesMax: 1, exchangesMax: 9, bindingsMax: 1, warmQueuesMax: 10 },
  });
  const args = new Map([["x-message-deduplication", true]]);
  const queue = vhost.declareQueue("q", { durable: true, autoDelete: false, exclusive: false, args }, {})
    .queue as Queue;
  return { queue, turn };
}

function deduplicated(id: string): Message {
  const message = new Message();
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, 0);
  putProperties(out, { headers: tableOf({ "x-deduplication-header": id }) });
  message.header = out.bytes.slice(out.start, out.end);
  message.headerBytes = message.header.length;
  message.route = Uint8Array.of(0, 1, 0x71);
  message.routeBytes = 3;
  return message;
}

test("a message that the disk had no room for is none of which a second one would be a duplicate", () => {
  const { queue } = setUp();
  const { append } = queue.store;
  queue.store.append = () => {
    throw diskFull();
  };
  assert.throws(() => queue.publish(deduplicated("1")), { code: "ENOSPC" });
  queue.store.append = append;
  queue.publish(deduplicated("1"));
  queue.publish(deduplicated("1"));
  assert.equal(queue.messageCount, 1);
});

test("a queue that cannot write what it holds is not cooled, and tried again later", () => {
  const { queue, turn } = setUp();
  const warm = new WarmQueues(10, turn);
  let cooled = 0;
  let isFull = true;
  queue.store.cool = () => {
    if (isFull) throw diskFull();
    cooled++;
  };
  warm.add(queue);
  for (let round = 0; round < 4; round++) warm.keepHouse();
  isFull = false;
  for (let round = 0; round < 4; round++) warm.keepHouse();
  assert.equal(cooled, 1);
});
