// GroupCommit against a model of disks: random turns, syncs that succeed or fail at random moments, files that are
// closed meanwhile, syncing that is switched off and on. The model knows for each write whether a sync that began after
// it has succeeded.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Syncer } from "../runtime/runtime.ts";
import { type CommitWaiter, GroupCommit } from "./group_commit.ts";

const FILES = 3;
const WAITERS = 3;

interface Write {
  readonly fd: number;
  /** Settled while it was buffered, it is never written. */
  state: "buffered" | "settled" | "written" | "durable" | "dropped";
  /** A consumer has it. */
  isHeld: boolean;
}

class ModelDisk implements Syncer {
  readonly written = new Map<number, Write[]>();
  readonly closed = new Set<number>();
  failed = false;
  /** Counted rather than asserted: after a fault nobody hears of an error thrown by a waiter. */
  toldAfterFailure = 0;
  syncsAfterFailure = 0;
  /** Told while syncing was switched off. */
  toldUnsynced: Write[] = [];
  #covered: Write[] = [];
  #fds: readonly number[] = [];
  #done: ((fault: Error | null) => void) | null = null;

  get running(): boolean {
    return this.#done !== null;
  }

  sync(fds: readonly number[], done: (fault: Error | null) => void): void {
    assert.equal(this.#done, null, "one sync at a time");
    if (this.failed) this.syncsAfterFailure += 1;
    assert.equal(new Set(fds).size, fds.length, "each descriptor once");
    for (const fd of fds) assert.equal(this.closed.has(fd), false, "a closed descriptor is synced");
    this.#fds = fds;
    this.#covered = fds.flatMap((fd) => this.written.get(fd) ?? []);
    this.#done = done;
  }

  answer(success: boolean): void {
    if (this.#done === null) return;
    const done = this.#done;
    this.#done = null;
    this.#fds = [];
    if (!success) this.failed = true;
    for (const write of this.#covered) if (success && write.state === "written") write.state = "durable";
    done(success ? null : new Error("EIO"));
  }

  closeFile(fd: number, forgotten: boolean): void {
    assert.equal(this.#fds.includes(fd), false, "closed under a running sync");
    assert.equal(this.closed.has(fd), false, "closed twice");
    this.closed.add(fd);
    // After a fault the process ends: what is not on disk is known not to be.
    if (forgotten || this.failed) return;
    for (const write of this.written.get(fd) ?? []) assert.equal(write.state, "durable", "closed before its sync");
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A file with its tail buffer, as a queue store has it. */
class ModelStore {
  fd: number;
  buffered: Write[] = [];
  /** Left the buffer so far. */
  #taken = 0;
  readonly #disk: ModelDisk;
  readonly #commit: GroupCommit;

  constructor(fd: number, disk: ModelDisk, commit: GroupCommit) {
    this.fd = fd;
    this.#disk = disk;
    this.#commit = commit;
  }

  append(): Write {
    if (this.buffered.length === 0) this.#commit.touch(this);
    const write: Write = { fd: this.fd, state: "buffered", isHeld: false };
    this.buffered.push(write);
    return write;
  }

  get mayHold(): boolean {
    return this.buffered.length > 0 && this.buffered.every((write) => write.isHeld);
  }

  get endPosition(): number {
    return this.#taken + this.buffered.length;
  }

  isSettledTo(position: number): boolean {
    const count = position - this.#taken;
    return count > 0 && this.buffered.slice(0, count).every(({ state }) => state === "settled");
  }

  settle(): void {
    for (const write of this.buffered) if (write.isHeld) write.state = "settled";
  }

  flush(): void {
    if (this.buffered.length === 0) return;
    this.#taken += this.buffered.length;
    if (this.buffered.every(({ state }) => state === "settled")) {
      this.buffered.length = 0;
      return;
    }
    const file = this.#disk.written.get(this.fd) ?? [];
    for (const write of this.buffered.splice(0)) {
      write.state = "written";
      file.push(write);
    }
    this.#disk.written.set(this.fd, file);
    this.#commit.dirty(this.fd);
  }

  /** Goes on in another file. */
  roll(forget: boolean): void {
    const fd = this.fd;
    this.flush();
    if (forget) { for (const write of this.#disk.written.get(fd) ?? []) write.state = "dropped"; }
    this.#commit.release(fd, forget, () => this.#disk.closeFile(fd, forget));
    this.fd += FILES;
  }
}

class ModelWaiter implements CommitWaiter {
  open: Write[] = [];
  sealed: Write[] = [];
  waits = false;
  readonly #disk: ModelDisk;
  readonly #commit: GroupCommit;
  again: (() => void) | null = null;

  constructor(disk: ModelDisk, commit: GroupCommit) {
    this.#disk = disk;
    this.#commit = commit;
  }

  seal(): void {
    assert.equal(this.waits, true, "sealed without having asked");
    this.waits = false;
    this.sealed.push(...this.open.splice(0));
  }

  durable(): void {
    if (this.#disk.failed) this.#disk.toldAfterFailure += 1;
    const told = this.sealed.splice(0);
    if (this.#commit.syncing) {
      // What was told without a sync may be what this rests on: a queue's declaration, say.
      for (const write of [...this.#disk.toldUnsynced.splice(0), ...told]) {
        const isOver = write.state === "durable" || write.state === "dropped" || write.state === "settled";
        assert.ok(isOver, `told while a write is ${write.state}`);
      }
    } else {
      for (const write of told) assert.notEqual(write.state, "buffered", "told before it is in the file");
      this.#disk.toldUnsynced.push(...told);
    }
    const again = this.again;
    this.again = null;
    again?.();
  }
}

type Command =
  | { readonly kind: "publish"; readonly file: number; readonly waiter: number; readonly waitFirst: boolean }
  | { readonly kind: "publish again when told"; readonly file: number; readonly waiter: number }
  | { readonly kind: "publish without confirm" | "acknowledge" | "deliver" | "settle"; readonly file: number }
  | { readonly kind: "wait"; readonly waiter: number }
  | { readonly kind: "roll"; readonly file: number; readonly forget: boolean }
  | { readonly kind: "switch"; readonly on: boolean }
  | { readonly kind: "end turn" | "sync done" | "sync failed" };

const file = fc.nat(FILES - 1);
const waiter = fc.nat(WAITERS - 1);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("publish" as const), file, waiter, waitFirst: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("publish again when told" as const), file, waiter }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("publish without confirm" as const, "acknowledge" as const), file }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("deliver" as const, "settle" as const), file }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), waiter }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("roll" as const), file, forget: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("switch" as const), on: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("end turn" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("sync done" as const) }) },
);

class Model {
  readonly disk = new ModelDisk();
  readonly faults: Error[] = [];
  readonly commit = new GroupCommit({
    syncer: this.disk,
    onFault: (fault) => this.faults.push(fault),
    lazySyncMs: 1_000_000,
  });
  readonly stores = Array.from({ length: FILES }, (_, index) => new ModelStore(index, this.disk, this.commit));
  readonly waiters = Array.from({ length: WAITERS }, () => new ModelWaiter(this.disk, this.commit));
  #inTurn = false;

  run(command: Command): void {
    switch (command.kind) {
      case "publish":
        this.#publish(command.file, command.waiter, command.waitFirst);
        break;
      case "publish again when told":
        this.waiters[command.waiter]!.again = () => this.#publish(command.file, command.waiter, false);
        break;
      case "publish without confirm":
        this.stores[command.file]!.append();
        this.#inTurn = true;
        break;
      case "acknowledge":
        this.commit.dirtyLazily(this.stores[command.file]!.fd);
        this.#inTurn = true;
        break;
      case "deliver":
        for (const write of this.stores[command.file]!.buffered) write.isHeld = true;
        break;
      case "settle":
        this.stores[command.file]!.settle();
        this.#inTurn = true;
        break;
      case "wait":
        this.#wait(command.waiter);
        break;
      case "roll":
        this.stores[command.file]!.roll(command.forget);
        this.#inTurn = true;
        break;
      case "switch":
        this.commit.syncing = command.on;
        break;
      case "end turn":
        this.endTurn();
        break;
      case "sync done":
      case "sync failed":
        // The event loop brings the answer between two turns.
        if (this.#inTurn) this.endTurn();
        this.disk.answer(command.kind === "sync done");
        break;
    }
  }

  endTurn(): void {
    this.#inTurn = false;
    this.commit.endTurn();
  }

  #publish(file: number, waiter: number, waitFirst: boolean): void {
    if (waitFirst) this.#wait(waiter);
    this.waiters[waiter]!.open.push(this.stores[file]!.append());
    if (!waitFirst) this.#wait(waiter);
  }

  #wait(waiter: number): void {
    this.waiters[waiter]!.waits = true;
    this.commit.wait(this.waiters[waiter]!);
    this.#inTurn = true;
  }
}

describe("group commit, any sequence", () => {
  it("tells everybody, and while syncing is on nobody before a sync that began after the write (behaviours 17)", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: "max" }), (commands) => {
        const model = new Model();
        for (const command of commands) model.run(command);
        model.endTurn();
        // What is held has its time in the end; here that is now.
        void model.commit.drain();
        for (let i = 0; model.disk.running; i++) {
          assert.ok(i < 10, "syncs without end");
          model.disk.answer(true);
        }
        assert.deepEqual(model.faults, []);
        for (const waiter of model.waiters) {
          assert.deepEqual([waiter.open, waiter.sealed, waiter.waits], [[], [], false]);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("leaves nothing dirty and no released file open after a drain", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 40, size: "max" }), async (commands) => {
        const model = new Model();
        for (const command of commands) model.run(command);
        const drained = model.commit.drain();
        while (model.disk.running) model.disk.answer(true);
        await drained;
        assert.equal(model.commit.busy, false);
        for (const [fd, writes] of model.disk.written) {
          for (const write of writes) assert.notEqual(write.state, "written", `descriptor ${fd}`);
        }
        for (const [index, store] of model.stores.entries()) {
          for (let fd = index; fd < store.fd; fd += FILES) assert.ok(model.disk.closed.has(fd), "left open");
        }
      }),
      { numRuns: 200 },
    );
  });

  it("tells nobody after a failed sync and never syncs again", () => {
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 40, size: "max" }),
        fc.array(command, { maxLength: 40, size: "max" }),
        (before, after) => {
          const model = new Model();
          for (const command of before) model.run(command);
          model.run({ kind: "switch", on: true });
          model.run({ kind: "publish", file: 0, waiter: 0, waitFirst: false });
          model.endTurn();
          model.run({ kind: "sync failed" });
          for (const command of after) model.run(command);
          model.endTurn();
          assert.equal(model.faults.length, 1);
          assert.deepEqual([model.disk.toldAfterFailure, model.disk.syncsAfterFailure], [0, 0]);
        },
      ),
      { numRuns: 200 },
    );
  });
});
