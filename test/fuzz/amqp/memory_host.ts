// A broker's inside without sockets and disk, put together by hand: connections are driven step by step, so that a case
// takes microseconds and every step of it is the same when it is run again.

import { Registry } from "../../../src/core/statistics/registry.ts";
import assert from "node:assert/strict";
import { AmqpConnection } from "../../../src/amqp/connection.ts";
import { DirectReplies } from "../../../src/amqp/direct_replies.ts";
import type { AmqpServices } from "../../../src/amqp/services.ts";
import { completeConfig } from "../../../src/config/config.ts";
import { Alarms } from "../../../src/core/alarms.ts";
import { DefinitionsReplay } from "../../../src/core/definitions_replay.ts";
import { LoginGuard } from "../../../src/core/identity/login_guard.ts";
import { maxPriorityOf, priorityOf } from "../../../src/core/priority.ts";
import { Realm } from "../../../src/core/realm.ts";
import { Timers } from "../../../src/core/timers.ts";
import { Turn } from "../../../src/core/turn.ts";
import type { VirtualHost } from "../../../src/core/virtual_host.ts";
import { CoarseClock } from "../../../src/lib/clock.ts";
import { BufferPool } from "../../../src/lib/out_buffer.ts";
import { MemoryFiles } from "../../../src/runtime/memory_file.ts";
import type { Syncer } from "../../../src/runtime/runtime.ts";
import { GroupCommit } from "../../../src/store/group_commit.ts";
import { PriorityStore } from "../../../src/store/priority_store.ts";
import { QueueStore } from "../../../src/store/queue_store.ts";
import { ReadWindow } from "../../../src/store/read_window.ts";
import { StreamStore } from "../../../src/store/stream_store.ts";
import { Wire } from "./wire.ts";

/** Small, so that segments fill up and roll over. */
const SEGMENT_BYTES_MAX = 256 * 1024;
export const MESSAGE_BYTES_MAX = 64 * 1024;
export const FRAME_BYTES_MAX = 16 * 1024;
export const CHANNEL_MAX = 16;
/** Stands for the definitions log: what is dirty is synced. */
const DEFINITIONS_FD = 1_000_000;
/** Steps in which everything must have come to rest. */
const STEPS_MAX = 20_000;

export class MemoryHost {
  readonly vhost: VirtualHost;
  readonly alarms = new Alarms();
  /** What nobody can be served after; a broker would have ended. */
  readonly faults: unknown[] = [];
  /** Lines that are logged only when something is wrong with the broker itself. */
  readonly errors: string[] = [];
  /** The disk answers nothing. */
  holdSyncs = false;
  readonly wires = new Set<Wire<AmqpConnection>>();
  readonly services: AmqpServices;
  readonly #timers: Timers;
  readonly #commit: GroupCommit;
  readonly #pool = new BufferPool();
  /** The lines of the definitions log since `takeDefinitions`. */
  #definitions: string[] = [];
  #sync: ((fault: Error | null) => void) | null = null;
  #queueId = 0;

  constructor({ channelMax = CHANNEL_MAX, queuesMax = 50 } = {}) {
    const onFault = (fault: unknown): void => void this.faults.push(fault);
    const syncer: Syncer = { sync: (_, done) => void (this.#sync = done), close: () => Promise.resolve() };
    this.#commit = new GroupCommit({ syncer, onFault });
    const turn = new Turn(this.#commit, onFault);
    const clock = new CoarseClock();
    this.#timers = new Timers(turn, onFault);
    const files = new MemoryFiles();
    const commit = this.#commit;
    const recoveryWindow = new ReadWindow(files, 4096);
    const report = (event: unknown): void => void this.errors.push(`store: ${JSON.stringify(event)}`);
    const host = { files, commit, pool: null, recoveryWindow, now: () => clock.nowMs, report };
    const place = (queueId: number) => ({ queueId, directory: `queue-${queueId}`, segmentBytesMax: SEGMENT_BYTES_MAX });
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
      timers: this.#timers,
      commit,
      limits: { queuesMax, exchangesMax: 50, bindingsMax: 100, warmQueuesMax: 10 },
    }, { loopbackOnly: ["guest"], logins });
    realm.createDefaults("guest", "guest");
    this.vhost = realm.vhost("/");
    const quiet = (): void => {};
    const settings = { messageBytesMax: MESSAGE_BYTES_MAX, frameBytesMax: FRAME_BYTES_MAX, channelMax };
    this.services = {
      settings: completeConfig({ memory: true, amqp: settings }, {}).amqp,
      realm,
      turn,
      commit,
      clock,
      log: { debug: quiet, info: quiet, warn: quiet, error: (text) => void this.errors.push(text) },
      product: { name: "fuzzed", version: "0", platform: "test", node: "fuzzed@here" },
      alarms: this.alarms,
      replies: new DirectReplies(),
      registry: new Registry(),
    };
    this.alarms.subscribe(() => {
      for (const { handler } of this.wires) handler.alarmsChanged();
    });
  }

  connect(): Wire<AmqpConnection> {
    const gone = (): void => void this.wires.delete(wire);
    const wire: Wire<AmqpConnection> = new Wire(
      this.#pool,
      (conn) => new AmqpConnection(conn, this.services, gone),
    );
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

  /** As after a restart: what a definitions log makes. */
  static restored(definitions: readonly string[]): MemoryHost {
    const host = new MemoryHost();
    const replay = new DefinitionsReplay();
    for (const line of definitions) replay.replay(JSON.parse(line));
    replay.restore(host.vhost);
    return host;
  }

  async close(): Promise<void> {
    for (const wire of [...this.wires]) wire.abort();
    await this.settle();
    this.#timers.close();
    this.vhost.close();
  }
}
