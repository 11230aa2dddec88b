import fc from "fast-check";
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { leftByCrash } from "./crash_model_testing.ts";
import { Message } from "./message.ts";
import type { QueueStore } from "./queue_store.ts";
import { bodyOf, filesOf, messageOf, takeAll, TestHost } from "./queue_store_testing.ts";

// The model: every message ever published, in order, with its state. What a crash keeps: crash_model_testing.ts.

type State = "ready" | "requeued" | "unacked" | "settled";

interface Entry {
  readonly body: string;
  state: State;
  position: number;
  recordBytes: number;
  /** It may or must come back flagged. */
  delivered: boolean;
}

class Model {
  entries: Entry[] = [];
  flushed: Entry[] = [];
  appended: Entry[] = [];

  of(state: State): Entry[] {
    return this.entries.filter((entry) => entry.state === state);
  }

  /** Requeued ones are before everything that was never delivered, so the order of arrival is the order of delivery. */
  ready(): Entry[] {
    return this.entries.filter(({ state }) => state === "ready" || state === "requeued");
  }

  flush(): void {
    this.entries = this.entries.filter(({ state }) => state !== "settled");
    this.flushed = this.entries.map((entry) => ({ ...entry }));
    this.appended = [];
  }

  /** `found`: the bodies that are there, in their order. */
  crash(found: readonly string[]): void {
    this.entries = leftByCrash(found, this).map((entry) => ({ ...entry, state: "ready" }));
    this.flush();
    assert.deepEqual(found, this.ready().map(({ body }) => body));
  }
}

type Command =
  | { kind: "append"; sizes: number[] }
  | { kind: "next"; count: number }
  | { kind: "settle" | "requeue"; picks: number[] }
  | { kind: "settleOldest"; count: number }
  | { kind: "purge" | "flush" | "cool" | "crash" | "reopen" | "peek" | "sync" };

const picks = fc.array(fc.nat(), { minLength: 1, maxLength: 12 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      sizes: fc.array(fc.oneof(fc.nat(60), fc.nat(3000), fc.constant(12_000)), { minLength: 1, maxLength: 30 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("next" as const), count: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("settle" as const, "requeue" as const), picks }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("settleOldest" as const), count: fc.nat(40) }) },
  { weight: 4, arbitrary: fc.constant({ kind: "flush" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "purge" as const,
        "cool" as const,
        "crash" as const,
        "reopen" as const,
        "peek" as const,
        "sync" as const,
      ),
    }),
  },
);

class Run {
  store: QueueStore;
  readonly host: TestHost;
  readonly model: Model = new Model();
  readonly #message = new Message();
  #published = 0;

  constructor(host: TestHost) {
    this.host = host;
    this.store = this.#open();
  }

  apply(command: Command): void {
    const { model, store, host } = this;
    switch (command.kind) {
      case "append":
        for (const size of command.sizes) this.#append(size);
        break;
      case "next":
        for (let i = 0; i < command.count; i++) this.#next();
        break;
      case "settle":
      case "requeue":
        for (const pick of command.picks) this.#return(command.kind, pick);
        break;
      case "settleOldest":
        for (let i = 0; i < command.count; i++) this.#return("settle", 0);
        break;
      case "purge": {
        const ready = model.ready();
        assert.equal(store.purge(), ready.length);
        for (const entry of ready) entry.state = "settled";
        break;
      }
      case "flush":
        host.commit.endTurn();
        model.flush();
        break;
      case "cool":
        store.cool();
        model.flush();
        break;
      case "sync":
        host.commit.sync();
        break;
      case "peek": {
        const first = model.ready()[0];
        assert.equal(store.peek(this.#message), first !== undefined);
        if (first !== undefined) assert.equal(bodyOf(this.#message), first.body);
        break;
      }
      case "reopen":
      case "crash":
        if (host.files.kind === "memory") break;
        if (command.kind === "reopen") {
          store.close();
          model.flush();
        }
        host.commit.touched.length = 0;
        model.crash(takeAll(this.#open()));
        host.commit.touched.length = 0;
        this.store = this.#open();
        break;
    }
    this.#check();
  }

  #open(): QueueStore {
    return this.host.open({ segmentBytesMin: 1024, segmentBytesMax: 8192 });
  }

  #append(size: number): void {
    const body = `${this.#published++}:`.padEnd(size, "x");
    const position = this.store.append(messageOf(body));
    const entry: Entry = { body, state: "ready", position, recordBytes: 0, delivered: false };
    this.model.entries.push(entry);
    this.model.appended.push(entry);
  }

  #next(): void {
    const entry = this.model.ready()[0];
    const message = this.#message;
    assert.equal(this.store.next(message), entry !== undefined);
    if (entry === undefined) return;
    assert.equal(bodyOf(message), entry.body);
    assert.equal(message.position, entry.position);
    if (entry.state === "requeued") assert.equal(message.redelivered, true);
    if (!entry.delivered) assert.equal(message.redelivered, false);
    entry.state = "unacked";
    entry.delivered = true;
    entry.recordBytes = message.recordBytes;
  }

  #return(kind: "settle" | "requeue", pick: number): void {
    const unacked = this.model.of("unacked");
    if (unacked.length === 0) return;
    const entry = unacked[pick % unacked.length]!;
    const message = this.#message;
    this.store.read(entry.position, message);
    assert.equal(bodyOf(message), entry.body);
    if (kind === "settle") this.store.settle(entry.position, entry.recordBytes, entry.body.length);
    else this.store.requeue(entry.position, entry.body.length);
    entry.state = kind === "settle" ? "settled" : "requeued";
  }

  #check(): void {
    const { store, model } = this;
    const bytes = (entries: Entry[]) => entries.reduce((sum, { body }) => sum + body.length, 0);
    assert.deepEqual(
      [store.readyCount, store.readyBytes, store.unackedCount, store.unackedBytes],
      [model.ready().length, bytes(model.ready()), model.of("unacked").length, bytes(model.of("unacked"))],
    );
  }
}

for (const kind of ["mapped", "plain", "memory"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;

  test(`${kind}: a queue store behaves as a list does, through crashes`, { timeout: 120_000 }, async () => {
    const runs = Number(process.env["FUZZ_RUNS"] ?? 60);
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 80 }), async (commands) => {
        const host = new TestHost(kind === "memory" ? new MemoryFiles() : files);
        try {
          const run = new Run(host);
          for (const one of commands) run.apply(one);
          // Everything that is left comes out, and then nothing is left.
          for (const one of ["flush", "crash"] as const) run.apply({ kind: one });
          while (run.model.ready().length > 0) run.apply({ kind: "next", count: 1000 });
          run.apply({ kind: "settleOldest", count: run.model.entries.length });
          run.store.cool();
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
