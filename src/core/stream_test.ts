import assert from "node:assert/strict";
import { test } from "node:test";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { GroupCommit } from "../store/group_commit.ts";
import { Message } from "../store/message.ts";
import { ReadWindow } from "../store/read_window.ts";
import { StreamStore } from "../store/stream_store.ts";
import { NO_LIMITS, SMALL_SEGMENTS } from "../store/stream_store_testing.ts";
import { decodeHeader, putProperties } from "../wire/amqp_properties.ts";
import type { Field, FieldTable } from "../wire/amqp_table.ts";
import { putLonglong } from "../wire/amqp_values.ts";
import type { Source } from "./any_queue.ts";
import type { Consumer } from "./queue.ts";
import { Stream } from "./stream.ts";
import { StreamSettings } from "./stream_settings.ts";
import { Turn } from "./turn.ts";

const TEXT = "queue 's' in vhost '/'";

function setUp(maxLength = Infinity) {
  const commit = new GroupCommit({ syncer: null, onFault: (fault) => assert.fail(fault) });
  const turn = new Turn(commit, (fault) => assert.fail(String(fault)));
  const files = new MemoryFiles();
  const recoveryWindow = new ReadWindow(files, 4096);
  const host = { files, commit, pool: null, recoveryWindow, now: () => 0, report: () => {} };
  const retention = { ...NO_LIMITS, maxLength };
  const store = StreamStore.open({ queueId: 1, directory: "", retention, ...SMALL_SEGMENTS }, host);
  const args = new Map([["x-queue-type", "stream"]]);
  const options = { args, policy: null, settings: new StreamSettings(args, TEXT), text: TEXT };
  const stream = new Stream("s", 1, options, store, { turn, warmed: (used) => used.warm = true });
  return { stream, store };
}

/** The turn ends, and those that it makes necessary. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

function message(text: string, filterValue = ""): Message {
  const whole = new Message();
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, text.length);
  const headers: FieldTable = new Map([["x-stream-filter-value", { type: "S", value: filterValue }]]);
  putProperties(out, filterValue === "" ? {} : { headers });
  whole.header = out.bytes.slice(out.start, out.end);
  whole.headerBytes = whole.header.length;
  whole.route = Uint8Array.of(0, 1, 0x73);
  whole.routeBytes = 3;
  whole.body = new TextEncoder().encode(text);
  whole.bodyBytes = whole.body.length;
  return whole;
}

class Reader implements Consumer {
  readonly exclusive = false;
  readonly noAck = false;
  readonly priority = 0;
  room = Infinity;
  /** Offsets of what came, redelivered ones with an exclamation mark. */
  readonly got: string[] = [];
  isCancelled = false;
  readonly source: Source;

  constructor(
    stream: Stream,
    tag = "",
    fields: [string, Field][] = [["x-stream-offset", { type: "S", value: "first" }]],
  ) {
    const args: FieldTable = new Map(fields);
    this.source = stream.addConsumer(this, TEXT, { tag, prefetch: 10, prefetchIsShared: false, args });
  }

  ready(): boolean {
    return this.room > 0;
  }

  deliver({ header, headerAt, headerBytes, position, redelivered }: Message): void {
    const offset = decodeHeader(header, headerAt, headerBytes).headers?.get("x-stream-offset")?.value;
    assert.equal(offset, position);
    this.room--;
    this.got.push(`${offset}${redelivered ? "!" : ""}`);
  }

  cancelled(): void {
    this.isCancelled = true;
  }

  settle(...offsets: number[]): void {
    for (const offset of offsets) this.source.settle(offset, 0, 0);
  }
}

function fill(stream: Stream, count: number): void {
  for (let i = 0; i < count; i++) assert.equal(stream.publish(message(`body ${i}`)), true);
}

test("each reader goes on as fast as it takes messages, whatever the others do", async () => {
  const { stream } = setUp();
  const [fast, slow] = [new Reader(stream), new Reader(stream)];
  slow.room = 2;
  fill(stream, 5);
  await settled();
  assert.deepEqual(fast.got, ["0", "1", "2", "3", "4"]);
  assert.deepEqual(slow.got, ["0", "1"]);
  slow.room = 1;
  slow.source.wake();
  await settled();
  assert.deepEqual(slow.got, ["0", "1", "2"]);
  assert.equal(fast.got.length, 5);
});

test("what is given back comes again, in order and before what is new", async () => {
  const { stream } = setUp();
  const reader = new Reader(stream);
  fill(stream, 4);
  await settled();
  for (const offset of [2, 0, 3]) reader.source.requeue(offset, 0);
  fill(stream, 1);
  await settled();
  assert.deepEqual(reader.got.slice(4), ["0!", "2!", "3!", "4"]);
});

test("what was given back and is gone by then counts as settled", async () => {
  const { stream, store } = setUp(100);
  const reader = new Reader(stream, "app", []);
  fill(stream, 3);
  await settled();
  reader.room = 0;
  for (const offset of [0, 1, 2]) reader.source.requeue(offset, 0);
  fill(stream, 1000);
  stream.retain(0);
  assert.ok(store.firstOffset > 500);
  reader.room = 1;
  reader.source.wake();
  await settled();
  assert.deepEqual(reader.got.slice(3), [String(store.firstOffset)], "not what was given back");
  assert.equal(store.offsets.get("app"), store.firstOffset, "everything before is done with");
});

test("a name is remembered as far as all is settled, also when the consumer is gone by then", async () => {
  const { stream, store } = setUp();
  const reader = new Reader(stream, "app", []);
  fill(stream, 6);
  await settled();
  assert.equal(store.offsets.get("app"), null);
  reader.settle(1, 2, 4);
  assert.equal(store.offsets.get("app"), null, "0 is not settled");
  reader.settle(0);
  assert.equal(store.offsets.get("app"), 3);
  assert.equal(stream.removeConsumer(reader), true);
  reader.settle(3);
  assert.equal(store.offsets.get("app"), 5);
  const again = new Reader(stream, "app", []);
  await settled();
  assert.deepEqual(again.got, ["5"]);
});

test("with nothing in flight what a filter passed over is done with, too", async () => {
  const { stream, store } = setUp();
  const reader = new Reader(stream, "app", [["x-stream-filter", { type: "S", value: "wanted" }]]);
  fill(stream, 1);
  stream.publish(message("this one", "wanted"));
  fill(stream, 8);
  await settled();
  assert.deepEqual(reader.got, ["1"]);
  reader.settle(1);
  assert.equal(store.offsets.get("app"), 10);
});

test("a stream that ends tells nobody anything more", async () => {
  const { stream } = setUp();
  const reader = new Reader(stream);
  fill(stream, 2);
  assert.deepEqual(stream.end(), [reader]);
  await settled();
  reader.settle(0);
  reader.source.requeue(1, 0);
  assert.equal(stream.publish(message("late")), true);
  assert.deepEqual(reader.got, []);
  assert.equal(stream.consumers.length, 0);
});

test("a reader far behind leaves others their turn", async () => {
  const { stream } = setUp();
  for (let i = 0; i < 40; i++) stream.publish(message("x".repeat(100_000)));
  const reader = new Reader(stream);
  await new Promise<void>((resolve) => queueMicrotask(() => queueMicrotask(resolve)));
  assert.ok(reader.got.length > 5 && reader.got.length < 20, `${reader.got.length} in the first turn`);
  await settled();
  assert.equal(reader.got.length, 40);
});
