// That nothing is sent ahead of the files. What connections do otherwise is tested over real sockets, in test/.

import assert from "node:assert/strict";
import fc from "fast-check";
import { test } from "node:test";
import { completeConfig } from "../config/config.ts";
import { NO_ARGUMENTS } from "../core/arguments.ts";
import type { Queue } from "../core/queue.ts";
import { Timers } from "../core/timers.ts";
import { Turn } from "../core/turn.ts";
import { Realm } from "../core/realm.ts";
import { CoarseClock } from "../lib/clock.ts";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import type { Conn } from "../runtime/runtime.ts";
import { type CommitWaiter, type Flushable, GroupCommit } from "../store/group_commit.ts";
import { Message } from "../store/message.ts";
import { QueueStore } from "../store/queue_store.ts";
import { ReadWindow } from "../store/read_window.ts";
import {
  METHOD_BASIC_ACK,
  METHOD_BASIC_NACK,
  writeBasicAck,
  writeBasicConsume,
  writeBasicPublish,
  writeBasicQos,
  writeChannelOpen,
  writeConfirmSelect,
  writeConnectionOpen,
  writeConnectionStartOk,
  writeConnectionTuneOk,
  writeTxCommit,
  writeTxSelect,
} from "../wire/amqp_methods.ts";
import { tableOf } from "../wire/amqp_table.ts";
import { readLong } from "../wire/amqp_values.ts";
import { Alarms } from "../core/alarms.ts";
import { decodeHeader, writeHeader } from "../wire/amqp_properties.ts";
import { FileFault } from "../runtime/fault.ts";
import { REPLIES_WAITING_MAX } from "../limits.ts";
import { writeBody } from "../wire/amqp_frame.ts";
import { AmqpConnection } from "./connection.ts";
import { Registry } from "../core/statistics/registry.ts";
import { DirectReplies } from "./direct_replies.ts";

const MESSAGES = 400;
const BODY_BYTES = 1024;

/** Counts the stores that have something to write. */
class WatchedCommit extends GroupCommit {
  unwritten = 0;

  override touch(store: Flushable): void {
    this.unwritten++;
    super.touch({
      flush: () => {
        this.unwritten--;
        store.flush();
      },
    });
  }
}

/** A socket that takes everything at once, and remembers how many stores had something to write when it sent. */
class WatchedConn implements Conn {
  readonly sentBytes = 0;
  readonly remote = { host: "127.0.0.1", port: 1 };
  readonly local = { host: "127.0.0.1", port: 2 };
  readonly out: OutBuffer = new OutBuffer(new BufferPool());
  readonly pending = 0;
  readonly sent: { bytes: number; unwritten: number }[] = [];
  isPaused = false;
  isAborted = false;
  /** What the last flush sent. */
  last: Uint8Array = new Uint8Array(0);
  readonly #commit: WatchedCommit;

  constructor(commit: WatchedCommit) {
    this.#commit = commit;
  }

  flush(): void {
    if (this.out.length > 0) this.sent.push({ bytes: this.out.length, unwritten: this.#commit.unwritten });
    this.last = this.out.bytes.slice(this.out.start, this.out.end);
    this.out.clear();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(): void {}

  abort(): void {
    this.isAborted = true;
  }
}

function setUp() {
  const commit = new WatchedCommit({ syncer: null, onFault: (fault) => assert.fail(fault) });
  const turn = new Turn(commit, (fault) => assert.fail(String(fault)));
  const files = new MemoryFiles();
  const recoveryWindow = new ReadWindow(files, 4096);
  const realm = new Realm({
    turn,
    definitions: { append: () => {} },
    openStore: (queueId) =>
      QueueStore.open(
        { queueId, directory: "" },
        { files, commit, pool: null, recoveryWindow, now: () => 0, report: () => {} },
      ),
    openStream: () => assert.fail("no streams here"),
    destroyStore: () => {},
    nextQueueId: () => 1,
    timers: new Timers(turn, (fault) => assert.fail(String(fault))),
    commit,
    limits: { queuesMax: 1, exchangesMax: 9, bindingsMax: 1, warmQueuesMax: 10 },
  }, { loopbackOnly: [] });
  realm.createDefaults("guest", "guest");
  const vhost = realm.vhost("/");
  const conn = new WatchedConn(commit);
  const alarms = new Alarms();
  const connection = new AmqpConnection(conn, {
    settings: completeConfig({ memory: true }, {}).amqp,
    realm,
    turn,
    commit,
    clock: new CoarseClock(),
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    product: { name: "test", version: "0", platform: "test", node: "test@here" },
    alarms,
    replies: new DirectReplies(),
    registry: new Registry(),
  }, () => {});
  const declared = vhost.declareQueue(
    "q",
    { durable: true, autoDelete: false, exclusive: false, args: NO_ARGUMENTS },
    connection,
  );
  const queue = declared.queue as Queue;
  const receive = async (write: (out: OutBuffer) => void) => {
    const out = new OutBuffer(new BufferPool());
    write(out);
    connection.onData(out.bytes.slice(out.start, out.end));
    await Promise.resolve();
  };
  const open = async (channels: number) => {
    await receive((out) => out.append(new TextEncoder().encode("AMQP\0\0\x09\x01")));
    await receive((out) => {
      const response = new TextEncoder().encode("\0guest\0guest");
      writeConnectionStartOk(out, 0, {
        clientProperties: tableOf({}),
        mechanism: "PLAIN",
        response,
        locale: "en_US",
      });
      writeConnectionTuneOk(out, 0, { channelMax: 10, frameMax: 131_072, heartbeat: 60 });
      writeConnectionOpen(out, 0, { virtualHost: "/" });
      for (let number = 1; number <= channels; number++) writeChannelOpen(out, number);
    });
  };
  return { conn, connection, queue, receive, open, alarms, commit };
}

/** A message to the queue, as its frames. */
function framesOf(channel: number, body: string): Uint8Array[] {
  const write = (put: (out: OutBuffer) => void): Uint8Array => {
    const out = new OutBuffer(new BufferPool());
    put(out);
    return out.bytes.slice(out.start, out.end);
  };
  const bytes = new TextEncoder().encode(body);
  const half = bytes.length >>> 1;
  return [
    write((out) =>
      writeBasicPublish(out, channel, { exchange: "", routingKey: "q", mandatory: false, immediate: false })
    ),
    write((out) => writeHeader(out, channel, bytes.length, { messageId: `of ${channel}` })),
    write((out) => writeBody(out, channel, bytes, 0, half, 4096)),
    write((out) => writeBody(out, channel, bytes, half, bytes.length - half, 4096)),
  ];
}

test("messages of several channels that interleave and are cut anywhere arrive whole, chunks being reused", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 12, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 40 }),
      async (order, cuts) => {
        const { connection, queue, open } = setUp();
        await open(3);
        const waiting = [1, 2, 3].map((number) => framesOf(number, `body of channel ${number}, ${"x".repeat(number)}`));
        const frames: Uint8Array[] = [];
        for (const number of [...order, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]) {
          const frame = waiting[number - 1]!.shift();
          if (frame !== undefined) frames.push(frame);
        }
        const bytes = Buffer.concat(frames);
        for (let at = 0, index = 0; at < bytes.length; index++) {
          const chunk = Uint8Array.from(bytes.subarray(at, at + cuts[index % cuts.length]!));
          at += chunk.length;
          connection.onData(chunk);
          chunk.fill(0xff);
          await Promise.resolve();
        }
        const bodies = new Set<string>();
        for (let message = queue.get(); message !== null; message = queue.get()) {
          const { header, headerAt, headerBytes, body, bodyAt, bodyBytes } = message;
          const text = new TextDecoder().decode(body.subarray(bodyAt, bodyAt + bodyBytes));
          bodies.add(`${decodeHeader(header, headerAt, headerBytes).messageId}: ${text}`);
        }
        assert.deepEqual([...bodies].sort(), [1, 2, 3].map((n) => `of ${n}: body of channel ${n}, ${"x".repeat(n)}`));
      },
    ),
    { numRuns: 100 },
  );
});

test("a disk that takes no more raises its alarm at once, not only when free space is looked at", async () => {
  const { connection, queue, open, alarms } = setUp();
  await open(1);
  queue.store.append = () => {
    throw new FileFault("allocate", "segment", "ENOSPC");
  };
  connection.onData(Buffer.concat(framesOf(1, "too much")));
  assert.deepEqual(alarms.raised, ["disk"]);
});

test("a message that the disk has no room for is refused by basic.nack, and the connection goes on", async () => {
  const { conn, connection, queue, open, receive, alarms } = setUp();
  await open(1);
  await receive((out) => writeConfirmSelect(out, 1, { noWait: true }));
  const { append } = queue.store;
  queue.store.append = () => {
    throw new FileFault("allocate", "segment", "ENOSPC");
  };
  conn.sent.length = 0;
  connection.onData(Buffer.concat(framesOf(1, "too much")));
  await Promise.resolve();
  queue.store.append = append;
  assert.deepEqual([alarms.raised, alarms.active, connection.gone], [["disk"], true, false]);
  assert.equal(conn.sent.length, 1);
  assert.equal(readLong(conn.last, 7), METHOD_BASIC_NACK);
  // The next one waits until the alarm is over.
  connection.onData(Buffer.concat(framesOf(1, "held")));
  assert.equal(queue.messageCount, 0);
  alarms.clear("disk");
  connection.alarmsChanged();
  await Promise.resolve();
  assert.equal(queue.messageCount, 1);
  assert.equal(readLong(conn.last, 7), METHOD_BASIC_ACK);
});

test("who asks for more than the disk keeps up with is not read until it does", async () => {
  const { conn, connection, open, receive, commit } = setUp();
  await open(1);
  await receive((out) => writeTxSelect(out, 1));
  const waiting: CommitWaiter[] = [];
  const { wait } = commit;
  commit.wait = (waiter) => void waiting.push(waiter);
  await receive((out) => {
    for (let count = 0; count <= REPLIES_WAITING_MAX; count++) writeTxCommit(out, 1);
  });
  assert.equal(conn.isPaused, true);
  // Who is not read cannot be heard.
  connection.tick(performance.now() + 1e9);
  assert.equal(conn.isAborted, false);
  commit.wait = wait;
  for (const waiter of waiting) waiter.durable();
  await Promise.resolve();
  assert.equal(conn.isPaused, false);
  const heartbeatBytes = 8;
  assert.equal(conn.last.length, heartbeatBytes + waiting.length * 12, "every commit-ok");
});

test("deliveries that are sent in the middle of a turn are noted first, and so is what made room for them", async () => {
  const { conn, queue, receive, open } = setUp();
  const message = new Message();
  message.route = new Uint8Array([0, 1, 0x71]);
  message.routeBytes = 3;
  message.header = new Uint8Array(10);
  message.headerBytes = 10;
  message.body = new Uint8Array(BODY_BYTES);
  message.bodyBytes = BODY_BYTES;
  for (let i = 0; i < 2 * MESSAGES; i++) queue.publish(message);
  await open(1);
  await receive((out) => writeBasicQos(out, 1, { prefetchSize: 0, prefetchCount: MESSAGES, global: false }));
  conn.sent.length = 0;
  await receive((out) =>
    writeBasicConsume(out, 1, {
      queue: "q",
      consumerTag: "c",
      noLocal: false,
      noAck: false,
      exclusive: false,
      noWait: false,
      arguments: tableOf({}),
    })
  );
  await receive((out) => writeBasicAck(out, 1, { deliveryTag: MESSAGES, multiple: true }));
  const bytes = conn.sent.reduce((sum, sent) => sum + sent.bytes, 0);
  assert.ok(bytes > 2 * MESSAGES * BODY_BYTES, "everything was delivered");
  assert.ok(conn.sent.length > 4, "in several pieces");
  assert.deepEqual(conn.sent.filter((sent) => sent.unwritten > 0), []);
});
