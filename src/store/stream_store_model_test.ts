import fc from "fast-check";
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { Message } from "./message.ts";
import { bodyOf, filesOf, TestHost } from "./queue_store_testing.ts";
import type { StreamCursor, StreamStart } from "./stream_cursor.ts";
import type { StreamStore } from "./stream_store.ts";
import { openStream, streamMessage } from "./stream_store_testing.ts";

// The model: an array of every body, whose index is the offset; the time of a message is ten times its offset. What a
// crash keeps is what the last turn wrote, and the first so many of the messages appended since.

const MAX_LENGTH = 300;

type Command =
  | { kind: "append"; sizes: number[] }
  | { kind: "seek"; cursor: number; start: StreamStart }
  | { kind: "read"; cursor: number; count: number }
  | { kind: "open" | "close" | "again"; cursor: number }
  | { kind: "track"; name: number; offset: number }
  | { kind: "flush" | "cool" | "crash" | "reopen" | "sync" | "retain" };

const cursor = fc.nat(5);
const start: fc.Arbitrary<StreamStart> = fc.oneof(
  fc.constantFrom({ kind: "first" as const }, { kind: "last" as const }, { kind: "next" as const }),
  fc.record({ kind: fc.constant("offset" as const), offset: fc.integer({ min: -400, max: 1000 }) }),
  fc.record({ kind: fc.constant("timestamp" as const), timestampMs: fc.nat(10_000) }),
);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      sizes: fc.array(fc.oneof(fc.nat(60), fc.nat(3000), fc.constant(12_000)), { minLength: 1, maxLength: 60 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("read" as const), cursor, count: fc.nat(60) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("seek" as const), cursor, start }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("open" as const, "close" as const, "again"), cursor }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("track" as const), name: fc.nat(3), offset: fc.nat(1000) }) },
  { weight: 4, arbitrary: fc.constant({ kind: "flush" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("cool" as const, "crash" as const, "reopen" as const, "sync" as const, "retain" as const),
    }),
  },
);

interface Reader {
  readonly cursor: StreamCursor;
  offset: number;
  /** Of the last message read: its offset and place. */
  last: { offset: number; position: number } | null;
}

class Run {
  stream: StreamStore;
  readonly host: TestHost;
  bodies: string[] = [];
  readonly #readers: Reader[] = [];
  readonly #message = new Message();
  #flushed = 0;
  #first = 0;
  readonly #tracked = new Map<string, number>();
  #trackedOnDisk = new Map<string, number>();

  constructor(host: TestHost) {
    this.host = host;
    this.stream = this.#open();
  }

  apply(command: Command): void {
    const { stream, host } = this;
    switch (command.kind) {
      case "append":
        for (const size of command.sizes) this.#append(size);
        break;
      case "open":
        if (this.#readers.length < 6) this.#readers.push({ cursor: stream.cursor(), offset: this.#first, last: null });
        break;
      case "close":
        this.#reader(command.cursor, (reader) => {
          reader.cursor.close();
          this.#readers.splice(this.#readers.indexOf(reader), 1);
        });
        break;
      case "seek":
        this.#reader(command.cursor, (reader) => {
          reader.cursor.seek(command.start);
          reader.offset = this.#startOf(command.start);
        });
        break;
      case "read":
        this.#reader(command.cursor, (reader) => {
          for (let i = 0; i < command.count; i++) this.#read(reader);
        });
        break;
      case "again":
        this.#reader(command.cursor, ({ cursor, last }) => {
          if (last === null) return;
          const found = cursor.read(last.position, last.offset, this.#message);
          assert.equal(found, last.offset >= this.#first);
          if (found) assert.equal(bodyOf(this.#message), this.bodies[last.offset]);
        });
        break;
      case "track":
        this.#tracked.set(`c${command.name}`, command.offset);
        if (this.bodies.length > 0) stream.track(`c${command.name}`, command.offset);
        else this.#tracked.clear();
        break;
      case "flush":
        host.commit.endTurn();
        this.#flush();
        break;
      case "cool":
        stream.cool();
        this.#flush();
        break;
      case "sync":
        host.commit.sync();
        break;
      case "retain":
        stream.retain(host.nowMs);
        break;
      case "reopen":
      case "crash":
        this.#restart(command.kind === "crash");
        break;
    }
    this.#check();
  }

  readAll(): void {
    const reader = { cursor: this.stream.cursor(), offset: this.#first, last: null };
    while (reader.offset < this.bodies.length) this.#read(reader);
    reader.cursor.close();
  }

  #open(): StreamStore {
    const retention = { maxAgeMs: Infinity, maxBytes: Infinity, maxLength: MAX_LENGTH };
    return openStream(this.host, { segmentBytesMin: 1024, segmentBytesMax: 8192, retention });
  }

  #restart(crash: boolean): void {
    if (this.host.files.kind === "memory") return;
    this.#readers.length = 0;
    if (!crash) {
      this.stream.close();
      this.#flush();
    }
    this.host.commit.touched.length = 0;
    this.stream = this.#open();
    const { nextOffset } = this.stream;
    assert.ok(nextOffset >= this.#flushed && nextOffset <= this.bodies.length, "nothing that was written is lost");
    this.bodies.length = nextOffset;
    this.#flushed = nextOffset;
    this.#tracked.clear();
    for (const [name, offset] of this.#trackedOnDisk) this.#tracked.set(name, offset);
  }

  #flush(): void {
    this.#flushed = this.bodies.length;
    this.#trackedOnDisk = new Map(this.#tracked);
  }

  #append(size: number): void {
    const body = `${this.bodies.length}:`.padEnd(size, "x");
    assert.equal(this.stream.append(streamMessage(body, this.bodies.length * 10)), this.bodies.length);
    this.bodies.push(body);
  }

  #startOf(start: StreamStart): number {
    const next = this.bodies.length;
    const within = (offset: number) => Math.min(Math.max(offset, this.#first), next);
    switch (start.kind) {
      case "first":
        return this.#first;
      case "last":
        return within(next - 1);
      case "next":
        return next;
      case "offset":
        return within(start.offset < 0 ? next + start.offset : start.offset);
      case "timestamp":
        return within(Math.ceil(start.timestampMs / 10));
    }
  }

  #reader(index: number, work: (reader: Reader) => void): void {
    if (this.#readers.length > 0) work(this.#readers[index % this.#readers.length]!);
  }

  #read(reader: Reader): void {
    const message = this.#message;
    const offset = Math.max(reader.offset, this.#first);
    assert.equal(reader.cursor.next(message), offset < this.bodies.length);
    if (offset === this.bodies.length) return;
    assert.equal(message.position, offset);
    assert.equal(bodyOf(message), this.bodies[offset]);
    reader.last = { offset, position: reader.cursor.position };
    reader.offset = offset + 1;
  }

  #check(): void {
    const { stream, bodies } = this;
    assert.equal(stream.nextOffset, bodies.length);
    assert.ok(stream.firstOffset >= this.#first, "what is gone stays gone");
    this.#first = stream.firstOffset;
    assert.equal(stream.messageCount, bodies.length - this.#first);
    const kept = bodies.slice(this.#first);
    assert.ok(this.#first === 0 || kept.length > 0);
    for (const { cursor, offset } of this.#readers) {
      assert.equal(Math.max(cursor.offset, this.#first), Math.max(offset, this.#first));
    }
    for (const [name, offset] of this.#tracked) assert.equal(stream.offsets.get(name), offset);
  }
}

for (const kind of ["mapped", "plain", "memory"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;

  test(`${kind}: a stream behaves as an array does, through retention and crashes`, { timeout: 120_000 }, async () => {
    const runs = Number(process.env["FUZZ_RUNS"] ?? 60);
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 80 }), async (commands) => {
        const host = new TestHost(kind === "memory" ? new MemoryFiles() : files);
        try {
          const run = new Run(host);
          for (const one of commands) run.apply(one as Command);
          for (const one of ["flush", "crash"] as const) run.apply({ kind: one });
          run.readAll();
          run.stream.cool();
          host.commit.sync();
          assert.deepEqual(host.events, []);
        } finally {
          await host.dispose();
        }
      }),
      { numRuns: runs },
    );
  });
}
