// A broker's inside without sockets and disk, put together by hand: connections are driven step by step, so that a case
// takes microseconds and every step of it is the same when it is run again. What a protocol needs is added by its own host.

import { Registry } from "../../src/core/statistics/registry.ts";
import assert from "node:assert/strict";
import { Alarms } from "../../src/core/alarms.ts";
import { DefinitionsReplay } from "../../src/core/definitions_replay.ts";
import { LoginGuard } from "../../src/core/identity/login_guard.ts";
import { maxPriorityOf, priorityOf } from "../../src/core/priority.ts";
import { Realm } from "../../src/core/realm.ts";
import { Timers } from "../../src/core/timers.ts";
import { Turn } from "../../src/core/turn.ts";
import type { VirtualHost } from "../../src/core/virtual_host.ts";
import { CoarseClock } from "../../src/lib/clock.ts";
import { BufferPool } from "../../src/lib/out_buffer.ts";
import { MemoryFiles } from "../../src/runtime/memory_file.ts";
import type { Conn, ConnHandler, Syncer } from "../../src/runtime/runtime.ts";
import type { MessageStore } from "../../src/store/message_store.ts";
import { GroupCommit } from "../../src/store/group_commit.ts";
import { PriorityStore } from "../../src/store/priority_store.ts";
import { QueueStore } from "../../src/store/queue_store.ts";
import { ReadWindow } from "../../src/store/read_window.ts";
import { StreamStore } from "../../src/store/stream_store.ts";
import type { AmqpServices } from "../../src/amqp/services.ts";
import { Wire } from "./stepped_conn.ts";

/** Small, so that segments fill up and roll over. */
const SEGMENT_BYTES_MAX = 256 * 1024;
/** Stands for the definitions log: what is dirty is synced. */
const DEFINITIONS_FD = 1_000_000;
/** Steps in which everything must have come to rest. */
const STEPS_MAX = 20_000;

/** What every protocol's connections need of a broker around them. */
export type Common = Pick<
  AmqpServices,
  "realm" | "turn" | "commit" | "clock" | "log" | "alarms" | "registry"
>;

export abstract class MemoryBroker<H extends ConnHandler & { alarmsChanged(): void }> {
  readonly vhost: VirtualHost;
  readonly alarms = new Alarms();
  /** What nobody can be served after; a broker would have ended. */
  readonly faults: unknown[] = [];
  /** Lines that are logged only when something is wrong with the broker itself. */
  readonly errors: string[] = [];
  /** The disk answers nothing. */
  holdSyncs = false;
  readonly wires = new Set<Wire<H>>();
  protected readonly common: Common;
  protected readonly timers: Timers;
  readonly #pool = new BufferPool();
  /** The lines of the definitions log since `takeDefinitions`. */
  #definitions: string[] = [];
  #sync: ((fault: Error | null) => void) | null = null;
  #queueId = 0;
  readonly #openQueue: (queueId: number) => QueueStore;

  constructor({ queuesMax = 50, bindingsMax = 100 } = {}) {
    const onFault = (fault: unknown): void => void this.faults.push(fault);
    const syncer: Syncer = { sync: (_, done) => void (this.#sync = done), close: () => Promise.resolve() };
    const commit = new GroupCommit({ syncer, onFault });
    const turn = new Turn(commit, onFault);
    const clock = new CoarseClock();
    this.timers = new Timers(turn, onFault);
    const files = new MemoryFiles();
    const recoveryWindow = new ReadWindow(files, 4096);
    const report = (event: unknown): void => void this.errors.push(`store: ${JSON.stringify(event)}`);
    const host = { files, commit, pool: null, recoveryWindow, now: () => clock.nowMs, report };
    const place = (queueId: number) => ({ queueId, directory: `queue-${queueId}`, segmentBytesMax: SEGMENT_BYTES_MAX });
    this.#openQueue = (queueId) => QueueStore.open(place(queueId), host);
    // Hours go by between two logins: nobody waits, or what a case does would hang on what came before it.
    let loginMs = 0;
    const logins = new LoginGuard(() => loginMs += 3_600_000);
    const realm = new Realm({
      turn,
      definitions: {
        append: (entry) => {
          this.#definitions.push(JSON.stringify(entry));
          commit.dirty(DEFINITIONS_FD);
        },
      },
      openStore: (queueId, _, args) => {
        const maxPriority = maxPriorityOf(args);
        if (maxPriority > 0) return PriorityStore.open({ ...place(queueId), maxPriority, priorityOf }, host);
        return QueueStore.open(place(queueId), host);
      },
      openStream: (queueId, { retention, segmentBytesMax }) =>
        StreamStore.open({
          ...place(queueId),
          retention,
          segmentBytesMax: Math.min(segmentBytesMax ?? Infinity, SEGMENT_BYTES_MAX),
        }, host),
      destroyStore: (store) => store.destroy(),
      nextQueueId: () => ++this.#queueId,
      report: (text) => void this.errors.push(`vhost: ${text}`),
      timers: this.timers,
      commit,
      limits: { queuesMax, exchangesMax: 50, bindingsMax, warmQueuesMax: 10 },
    }, { loopbackOnly: ["guest"], logins });
    realm.createDefaults("guest", "guest");
    this.vhost = realm.vhost("/");
    const quiet = (): void => {};
    this.common = {
      realm,
      turn,
      commit,
      clock,
      log: { debug: quiet, info: quiet, warn: quiet, error: (text) => void this.errors.push(text) },
      alarms: this.alarms,
      registry: new Registry(),
    };
    this.alarms.subscribe(() => {
      for (const { handler } of this.wires) handler.alarmsChanged();
    });
  }

  /** The broker's end of a new connection. */
  protected abstract accept(conn: Conn, gone: () => void): H;

  /** A store beside the queues. */
  protected openStore(): MessageStore {
    return this.#openQueue(++this.#queueId);
  }

  connect(): Wire<H> {
    const wire: Wire<H> = new Wire(this.#pool, (conn) => this.accept(conn, () => void this.wires.delete(wire)));
    this.wires.add(wire);
    return wire;
  }

  /** Lets everything happen that can: chunks arrive, sockets take more, syncs end. */
  async settle(): Promise<void> {
    for (let step = 0, quietSteps = 0; quietSteps < 2; step++) {
      assert.ok(step < STEPS_MAX, "the broker comes to rest");
      await Promise.resolve();
      let moved = false;
      for (const wire of this.wires) if (wire.step()) moved = true;
      quietSteps = this.answerSync() || moved ? 0 : quietSteps + 1;
    }
  }

  /** The disk has done what it was asked for; false when that was nothing. */
  answerSync(): boolean {
    const done = this.holdSyncs ? null : this.#sync;
    if (done === null) return false;
    this.#sync = null;
    done(null);
    return true;
  }

  /** What was written to the definitions log since the last call. */
  takeDefinitions(): string[] {
    return this.#definitions.splice(0);
  }

  /** As after a restart: takes what a definitions log makes. */
  restore(definitions: readonly string[]): void {
    const replay = new DefinitionsReplay();
    for (const line of definitions) replay.replay(JSON.parse(line));
    replay.restore(this.vhost);
  }

  async close(): Promise<void> {
    for (const wire of [...this.wires]) wire.abort();
    await this.settle();
    this.timers.close();
    this.vhost.close();
  }
}
