import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryFiles } from "../runtime/memory_file.ts";
import type { SegmentFiles } from "../runtime/runtime.ts";
import { Message } from "../store/message.ts";
import { bodyOf, contentOf, filesOf, FIRST, restore, type TestHost, testHosts } from "../store/queue_store_testing.ts";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { decodeHeader, type Properties, putProperties } from "../wire/amqp_properties.ts";
import { type FieldTable, type PlainValue, tableOf } from "../wire/amqp_table.ts";
import { putLonglong } from "../wire/amqp_values.ts";
import { Delay, DelayedMessages, readDelayMs } from "./delayed_messages.ts";
import type { Target } from "./target.ts";

const hostOf = testHosts();
const encoder = new TextEncoder();
const plain = (await filesOf("plain"))!;
const START_MS = Date.now() - 1_000_000;

/** A persistent message that came in at `atMs` after START_MS. */
function messageOf(body: string, atMs: number, headers: { [name: string]: PlainValue }, flags = 1): Message {
  const properties: Properties = { headers: tableOf(headers), deliveryMode: 2, correlationId: "id" };
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, body.length);
  putProperties(out, properties);
  const message = new Message();
  message.timestampMs = START_MS + atMs;
  message.flags = flags;
  message.route = encoder.encode("\x02ex\x03key");
  message.routeBytes = message.route.length;
  message.header = out.bytes.slice(out.start, out.end);
  message.headerBytes = message.header.length;
  message.body = encoder.encode(body);
  message.bodyBytes = body.length;
  return message;
}

function headersOf({ header, headerAt, headerBytes }: Message): FieldTable {
  return decodeHeader(header, headerAt, headerBytes).headers!;
}

/** Delayed messages with timers and syncs that are moved by hand. */
class Held {
  readonly host: TestHost;
  delayed: DelayedMessages;
  readonly released: { body: string; keys: readonly string[]; headers: FieldTable; timestampMs: number }[] = [];
  readonly reports: string[] = [];
  readonly waits: number[] = [];
  /** Targets beside the one that takes notes. */
  targets: Target[] = [];
  #work: (() => void) | null = null;
  #waiters: (() => void)[] = [];
  #keys: readonly string[] = [];

  constructor(files: SegmentFiles) {
    this.host = hostOf(files);
    this.delayed = this.open();
  }

  open(): DelayedMessages {
    return new DelayedMessages(7, true, this.host.open(), {
      timers: {
        after: (delayMs, work) => {
          this.waits.push(delayMs);
          this.#work = work;
          return { cancel: () => this.#work = null };
        },
      },
      commit: { wait: ({ durable }) => void this.#waiters.push(durable) },
      route: (_message, keys) => {
        this.#keys = keys;
        return { queues: [this.#notes, ...this.targets], remember: null };
      },
      report: (text) => void this.reports.push(text),
    });
  }

  hold(body: string, atMs: number, delayMs: number, keys = ["key"]): number {
    return this.holdMessage(messageOf(body, atMs, { "x-delay": delayMs }), delayMs, keys);
  }

  holdMessage(message: Message, delayMs: number, keys: string[]): number {
    return this.delayed.hold(message, headersOf(message), delayMs, keys);
  }

  /** The timer's time has come, until none is set. */
  run(): void {
    for (let work = this.#take(); work !== null; work = this.#take()) work();
    this.host.commit.endTurn();
  }

  sync(): void {
    this.host.commit.sync();
    for (const durable of this.#waiters.splice(0)) durable();
    this.host.commit.endTurn();
  }

  restart(): void {
    this.host.commit.endTurn();
    this.#work = null;
    this.#waiters = [];
    this.delayed = this.open();
  }

  get bodies(): string[] {
    return this.released.map(({ body }) => body);
  }

  /** A timer that is not due yet is left alone. */
  #take(): (() => void) | null {
    const work = this.waits.at(-1) === 0 ? this.#work : null;
    this.#work = null;
    return work;
  }

  readonly #notes: Target = {
    kind: "queue",
    name: "notes",
    durable: true,
    logged: true,
    keepsAll: false,
    makesWait: () => false,
    publish: (message) => {
      const { timestampMs } = message;
      this.released.push({ body: bodyOf(message), keys: this.#keys, headers: headersOf(message), timestampMs });
      return true;
    },
  };
}

test("messages come in the order in which they are due, then in that of arrival (behaviours 58)", () => {
  const held = new Held(new MemoryFiles());
  held.hold("third", 0, 3000);
  held.hold("first", 10, 1000);
  held.hold("second", 500, 1000);
  held.hold("also second", 1000, 500);
  assert.equal(held.delayed.count, 4);
  held.run();
  assert.deepEqual(held.bodies, ["first", "second", "also second", "third"]);
  assert.equal(held.delayed.count, 0);
});

test("what is not due stays, and the timer is for the earliest", () => {
  const held = new Held(new MemoryFiles());
  const hour = 3_600_000;
  held.hold("later", 1_000_000, 2 * hour);
  held.hold("earlier", 1_000_000, hour);
  held.hold("latest", 1_000_000, 3 * hour);
  assert.equal(held.waits.length, 2, "nothing new for one that is due later");
  assert.ok(held.waits[0]! > hour && held.waits[1]! <= hour && held.waits[1]! > hour / 2);
  held.hold("now", 0, 1);
  held.run();
  assert.deepEqual(held.bodies, ["now"]);
  assert.ok(held.waits.at(-1)! > hour / 2, "the timer is for the next one");
});

test("a released message tells how long it was held, where it came from, and counts its life from now", () => {
  const held = new Held(new MemoryFiles());
  const headers = { "x-delay": 700, a: "b", CC: ["second", 5] };
  held.holdMessage(messageOf("m", 0, headers), 700, ["key", "second"]);
  const before = Date.now();
  held.run();
  const [one] = held.released;
  assert.deepEqual(one!.keys, ["key", "second"]);
  assert.deepEqual(one!.headers.get("x-delay"), { type: "l", value: -700 });
  assert.deepEqual([...one!.headers.keys()], ["x-delay", "a", "CC"]);
  assert.ok(one!.timestampMs >= before);
});

test("keys that do not show in the message are kept, and stay hidden (behaviours 32)", () => {
  const held = new Held(plain);
  const message = messageOf("m", 0, { "x-delay": 5 });
  const { header } = message;
  new Delay(held.delayed, headersOf(message), 5, ["key", "hidden"]).publish(message);
  assert.equal(message.header, header, "others get it as it was");
  held.restart();
  held.run();
  assert.deepEqual(held.released.map(({ keys }) => keys), [["key", "hidden"]]);
  assert.deepEqual([...held.released[0]!.headers.keys()], ["x-delay"]);
});

test("a message is settled when what became of it is on disk, not before (behaviours 58)", () => {
  const held = new Held(plain);
  held.hold("m", 0, 10);
  held.run();
  held.restart();
  assert.equal(held.delayed.count, 1, "a kill before the sync may double it");
  held.run();
  held.sync();
  held.restart();
  assert.equal(held.delayed.count, 0);
  assert.deepEqual(held.bodies, ["m", "m"]);
});

test("a restart finds what waits, due when it was due before (behaviours 58)", () => {
  const held = new Held(plain);
  held.hold("second", 0, 2000);
  held.hold("first", 0, 1000);
  held.hold("far", 1_000_000, 3_600_000);
  held.holdMessage(messageOf("transient", 0, { "x-delay": 5 }, 0), 5, ["key"]);
  held.restart();
  assert.equal(held.delayed.count, 3);
  held.run();
  held.sync();
  assert.deepEqual(held.bodies, ["first", "second"]);
  held.restart();
  assert.equal(held.delayed.count, 1);
  assert.ok(held.waits.at(-1)! > 3_000_000);
});

test("what is cancelled never comes", () => {
  const held = new Held(plain);
  const [, position] = [held.hold("a", 0, 1), held.hold("b", 0, 2), held.hold("c", 0, 3)];
  assert.equal(held.delayed.cancel(position), true);
  assert.equal(held.delayed.cancel(position), false);
  held.restart();
  held.run();
  assert.deepEqual(held.bodies, ["a", "c"]);
});

test("with a full disk messages wait, and who has one does not get it twice", () => {
  const held = new Held(new MemoryFiles());
  let full = true;
  const got: string[] = [];
  held.targets.push({
    kind: "queue",
    name: "full",
    durable: true,
    logged: true,
    keepsAll: false,
    makesWait: () => false,
    publish: (message) => {
      if (full) throw Object.assign(new Error("allocate x: ENOSPC"), { code: "ENOSPC" });
      got.push(bodyOf(message));
      return true;
    },
  });
  held.hold("a", 0, 1);
  held.hold("b", 0, 2);
  held.run();
  assert.deepEqual([held.bodies, got, held.delayed.count], [["a"], [], 2]);
  assert.match(held.reports[0]!, /disk is full/);
  assert.ok(held.waits.at(-1)! > 0, "it is tried again in a while");
  full = false;
  held.hold("c", 0, 0.5);
  held.run();
  assert.deepEqual([held.bodies, got, held.delayed.count], [["a", "c", "b"], ["c", "a", "b"], 0]);
});

test("a damaged message is reported and holds up no other", () => {
  const held = new Held(plain);
  const positions = [held.hold("aaaa", 0, 1), held.hold("bbbb", 0, 2)];
  held.host.commit.endTurn();
  held.delayed.store.cool();
  const content = contentOf(held.host);
  const at = positions[0]! % 2 ** 27 * 8 + 40;
  const file = content.get(FIRST)!;
  file[at] = file[at]! ^ 0xff;
  restore(held.host, content);
  held.run();
  assert.deepEqual(held.bodies, ["bbbb"]);
  assert.match(held.reports[0]!, /delayed message is lost/);
});

test("a store at rest gives back its files, and takes messages again", () => {
  const held = new Held(plain);
  held.hold("a", 0, 1);
  held.host.commit.endTurn();
  held.host.commit.sync();
  for (let count = 0; count < 2; count++) held.delayed.cool();
  held.host.commit.sync();
  assert.equal(held.host.files.openCount, 0);
  held.hold("b", 0, 2);
  held.run();
  assert.deepEqual(held.bodies, ["a", "b"]);
});

test("a delay is a positive number of milliseconds that fits a u32, whatever its type (behaviours 58)", () => {
  const delay = (value: PlainValue) => readDelayMs(tableOf({ "x-delay": value }));
  assert.deepEqual([1, 5.9, "250", 0xffffffff].map(delay), [1, 5, 250, 0xffffffff]);
  assert.deepEqual([0, -1, 0.5, 0x100000000, "soon", "", true, null, [5], { a: 5 }].map(delay), Array(10).fill(0));
  assert.equal(readDelayMs(tableOf({ other: 5 })), 0);
  assert.equal(readDelayMs(null), 0);
});
