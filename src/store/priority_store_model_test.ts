import fc from "fast-check";
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { leftByCrash } from "./crash_model_testing.ts";
import { Message } from "./message.ts";
import type { PriorityStore } from "./priority_store.ts";
import { countsOf, openPriorities, take } from "./priority_store_testing.ts";
import { bodyOf, filesOf, messageOf, TestHost } from "./queue_store_testing.ts";

// The model: every message ever published, in order, with its state. What a crash keeps: crash_model_testing.ts.

type State = "ready" | "requeued" | "unacked" | "settled";

interface Entry {
  readonly body: string;
  readonly priority: number;
  state: State;
  position: number;
  recordBytes: number;
  /** It may or must come back flagged. */
  delivered: boolean;
}

const PRIORITIES = [0, 2, 9];

class Model {
  entries: Entry[] = [];
  flushed: Entry[] = [];
  appended: Entry[] = [];

  unacked(): Entry[] {
    return this.entries.filter(({ state }) => state === "unacked");
  }

  /** In the order of delivery: sorting is stable. */
  ready(): Entry[] {
    const ready = this.entries.filter(({ state }) => state === "ready" || state === "requeued");
    return ready.sort((a, b) => b.priority - a.priority);
  }

  flush(): void {
    this.entries = this.entries.filter(({ state }) => state !== "settled");
    this.flushed = this.entries.map((entry) => ({ ...entry }));
    this.appended = [];
  }

  /** `found`: the bodies that are there, in order of delivery. */
  crash(found: readonly string[]): void {
    const left = leftByCrash(found, this, ({ priority }) => priority);
    this.entries = left.map((entry) => ({ ...entry, state: "ready" }));
    this.flush();
    assert.deepEqual(found, this.ready().map(({ body }) => body));
  }
}

type Command =
  | { kind: "append"; sizes: [number, number][] }
  | { kind: "next"; count: number }
  | { kind: "settle" | "requeue"; picks: number[] }
  | { kind: "settleOldest"; count: number }
  | { kind: "purge" | "flush" | "cool" | "crash" | "reopen" | "peek" | "sync" };

const picks = fc.array(fc.nat(), { minLength: 1, maxLength: 12 });
const size = fc.oneof(fc.nat(60), fc.nat(3000), fc.constant(12_000));
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      sizes: fc.array(fc.tuple(fc.constantFrom(...PRIORITIES), size), { minLength: 1, maxLength: 20 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("next" as const), count: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("settle" as const, "requeue" as const), picks }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("settleOldest" as const), count: fc.nat(30) }) },
  { weight: 4, arbitrary: fc.constant({ kind: "flush" as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(...["purge", "cool", "crash", "reopen", "peek", "sync"] as const),
    }),
  },
);

class Run {
  store: PriorityStore;
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
        for (const [priority, size] of command.sizes) this.#append(priority, size);
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
        this.#restart(command.kind === "crash");
        break;
    }
    this.#check();
  }

  #open(): PriorityStore {
    return openPriorities(this.host, { segmentBytesMin: 1024, segmentBytesMax: 8192 });
  }

  #restart(crash: boolean): void {
    const { host, model } = this;
    if (host.files.kind === "memory") return;
    if (!crash) {
      this.store.close();
      model.flush();
    }
    host.commit.touched.length = 0;
    this.store = this.#open();
    // The counts tell nothing of the priorities: so a look at all there is, in another store over the same files.
    const left: string[] = [];
    const other = this.#open();
    for (let one = take(other, this.#message); one !== null; one = take(other, this.#message)) left.push(one.body);
    host.commit.touched.length = 0;
    model.crash(left);
  }

  #append(priority: number, size: number): void {
    const body = `${priority}:${this.#published++}:`.padEnd(size, "x");
    const position = this.store.append(messageOf(body));
    const entry: Entry = { body, priority, state: "ready", position, recordBytes: 0, delivered: false };
    this.model.entries.push(entry);
    this.model.appended.push(entry);
  }

  #next(): void {
    const entry = this.model.ready()[0];
    const taken = take(this.store, this.#message);
    assert.equal(taken?.body, entry?.body);
    if (entry === undefined || taken === null) return;
    assert.equal(taken.position, entry.position);
    if (entry.state === "requeued") assert.equal(taken.redelivered, true);
    if (!entry.delivered) assert.equal(taken.redelivered, false);
    entry.state = "unacked";
    entry.delivered = true;
    entry.recordBytes = taken.recordBytes;
  }

  #return(kind: "settle" | "requeue", pick: number): void {
    const unacked = this.model.unacked();
    if (unacked.length === 0) return;
    const entry = unacked[pick % unacked.length]!;
    const message = this.#message;
    this.store.read(entry.position, message);
    assert.deepEqual([bodyOf(message), message.position], [entry.body, entry.position]);
    if (kind === "settle") this.store.settle(entry.position, entry.recordBytes, entry.body.length);
    else this.store.requeue(entry.position, entry.body.length);
    entry.state = kind === "settle" ? "settled" : "requeued";
  }

  #check(): void {
    const { store, model } = this;
    const bytes = (entries: Entry[]) => entries.reduce((sum, { body }) => sum + body.length, 0);
    const [ready, unacked] = [model.ready(), model.unacked()];
    assert.deepEqual(countsOf(store), [ready.length, bytes(ready), unacked.length, bytes(unacked)]);
  }
}

for (const kind of ["mapped", "plain", "memory"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;

  test(`${kind}: a priority store behaves as a list for each priority does, through crashes`, {
    timeout: 120_000,
  }, async () => {
    const runs = Number(process.env["FUZZ_RUNS"] ?? 40);
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 60 }), async (commands) => {
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
