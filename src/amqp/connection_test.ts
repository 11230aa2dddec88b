// That nothing is sent ahead of the files. What connections do otherwise is tested over real sockets, in test/.

import assert from "node:assert/strict";
import { test } from "node:test";
import { completeConfig } from "../config/config.ts";
import { NO_ARGUMENTS } from "../core/arguments.ts";
import { Timers } from "../core/timers.ts";
import { Turn } from "../core/turn.ts";
import { Users } from "../core/user.ts";
import { VirtualHost } from "../core/virtual_host.ts";
import { CoarseClock } from "../lib/clock.ts";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import type { Conn } from "../runtime/runtime.ts";
import { type Flushable, GroupCommit } from "../store/group_commit.ts";
import { Message } from "../store/message.ts";
import { QueueStore } from "../store/queue_store.ts";
import {
  writeBasicAck,
  writeBasicConsume,
  writeBasicQos,
  writeChannelOpen,
  writeConnectionOpen,
  writeConnectionStartOk,
  writeConnectionTuneOk,
} from "../wire/amqp_methods.ts";
import { tableOf } from "../wire/amqp_table.ts";
import { AmqpConnection } from "./connection.ts";

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
  readonly remote = { host: "127.0.0.1", port: 1 };
  readonly local = { host: "127.0.0.1", port: 2 };
  readonly out: OutBuffer = new OutBuffer(new BufferPool());
  readonly pending = 0;
  readonly sent: { bytes: number; unwritten: number }[] = [];
  readonly #commit: WatchedCommit;

  constructor(commit: WatchedCommit) {
    this.#commit = commit;
  }

  flush(): void {
    if (this.out.length > 0) this.sent.push({ bytes: this.out.length, unwritten: this.#commit.unwritten });
    this.out.clear();
  }

  pause(): void {}
  resume(): void {}
  close(): void {}
  abort(): void {}
}

function setUp() {
  const commit = new WatchedCommit({ syncer: null, onFault: (fault) => assert.fail(fault) });
  const turn = new Turn(commit, (fault) => assert.fail(String(fault)));
  const files = new MemoryFiles();
  const vhost = new VirtualHost("/", {
    turn,
    definitions: { append: () => {} },
    openStore: (queueId) =>
      QueueStore.open(
        { queueId, directory: "" },
        { files, commit, pool: null, now: () => 0, report: () => {} },
      ),
    destroyStore: () => {},
    nextQueueId: () => 1,
    timers: new Timers(turn, (fault) => assert.fail(String(fault))),
    limits: { queuesMax: 1, exchangesMax: 9, bindingsMax: 1 },
  });
  const users = new Users();
  users.add("guest", "guest", true);
  const conn = new WatchedConn(commit);
  const connection = new AmqpConnection(conn, {
    settings: completeConfig({ memory: true }, {}).amqp,
    vhosts: new Map([["/", vhost]]),
    users,
    turn,
    commit,
    clock: new CoarseClock(),
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    product: { name: "test", version: "0", platform: "test" },
  }, () => {});
  const { queue } = vhost.declareQueue(
    "q",
    { durable: true, autoDelete: false, exclusive: false, args: NO_ARGUMENTS },
    connection,
  );
  const receive = async (write: (out: OutBuffer) => void) => {
    const out = new OutBuffer(new BufferPool());
    write(out);
    connection.onData(out.bytes.slice(out.start, out.end));
    await Promise.resolve();
  };
  return { conn, queue, receive };
}

test("deliveries that are sent in the middle of a turn are noted first, and so is what made room for them", async () => {
  const { conn, queue, receive } = setUp();
  const message = new Message();
  message.route = new Uint8Array([0, 1, 0x71]);
  message.routeBytes = 3;
  message.header = new Uint8Array(10);
  message.headerBytes = 10;
  message.body = new Uint8Array(BODY_BYTES);
  message.bodyBytes = BODY_BYTES;
  for (let i = 0; i < 2 * MESSAGES; i++) queue.publish(message);
  await receive((out) => out.append(new TextEncoder().encode("AMQP\0\0\x09\x01")));
  await receive((out) => {
    const response = new TextEncoder().encode("\0guest\0guest");
    writeConnectionStartOk(out, 0, {
      clientProperties: tableOf({}),
      mechanism: "PLAIN",
      response,
      locale: "en_US",
    });
    writeConnectionTuneOk(out, 0, { channelMax: 10, frameMax: 131_072, heartbeat: 0 });
    writeConnectionOpen(out, 0, { virtualHost: "/" });
    writeChannelOpen(out, 1);
    writeBasicQos(out, 1, { prefetchSize: 0, prefetchCount: MESSAGES, global: false });
  });
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
