// What a broker keeps: the data directory and what lies in it, opened in the order that recovery needs, and a store for
// each queue and stream. Owns the files and the numbers of queues; who is told when something is on disk is GroupCommit's
// business.

import { join } from "node:path";
import type { Config } from "./config/config.ts";
import type { Arguments } from "./core/arguments.ts";
import { DefinitionsReplay } from "./core/definitions_replay.ts";
import { maxPriorityOf, priorityOf } from "./core/priority.ts";
import type { StreamSettings } from "./core/stream_settings.ts";
import type { CoarseClock } from "./lib/clock.ts";
import { TRANSIENT_BYTES_IN_MEMORY_MAX } from "./limits.ts";
import { MemoryFiles } from "./runtime/memory_file.ts";
import type { Runtime, SegmentFiles } from "./runtime/runtime.ts";
import { DataDir } from "./store/data_dir.ts";
import { type DefinitionsEntry, DefinitionsLog } from "./store/definitions_log.ts";
import type { GroupCommit } from "./store/group_commit.ts";
import { LastStop } from "./store/last_stop.ts";
import type { MessageStore } from "./store/message_store.ts";
import { settleOrphans } from "./store/orphan_queues.ts";
import { PriorityStore } from "./store/priority_store.ts";
import { QueueStore, type QueueStoreHost } from "./store/queue_store.ts";
import { ReadWindow, RECOVERY_AHEAD_BYTES } from "./store/read_window.ts";
import { SpareSegments } from "./store/segment_pool.ts";
import type { StoreEvent } from "./store/store_event.ts";
import { StreamStore } from "./store/stream_store.ts";
import type { Watch } from "./watch.ts";

/** A definitions log is rewritten when it has this many entries and most of them are dead. */
const COMPACT_ENTRIES_MIN = 1000;

export interface StoreSideParts {
  /** What the stores are opened with does not change while they are open. */
  readonly config: Config;
  readonly runtime: Runtime;
  readonly commit: GroupCommit;
  readonly clock: CoarseClock;
  readonly watch: Watch;
  readonly report: (event: StoreEvent) => void;
  readonly warn: (text: string) => void;
}

export class StoreSide {
  readonly #parts: StoreSideParts;
  #dataDir: DataDir | null = null;
  #lastStop: LastStop | null = null;
  #definitions: DefinitionsLog | null = null;
  #pool: SpareSegments | null = null;
  #durableFiles: SegmentFiles | null = null;
  #transientFiles: SegmentFiles = new MemoryFiles();
  #diskHost: QueueStoreHost | null = null;
  #memoryHost: QueueStoreHost | null = null;
  #queueIdMax = 0;

  constructor(parts: StoreSideParts) {
    this.#parts = parts;
  }

  /** Where the API is also listened on; null without a data directory. */
  get socketPath(): string | null {
    return this.#dataDir?.socketPath ?? null;
  }

  /** The number of a queue that is new. */
  nextQueueId(): number {
    return ++this.#queueIdMax;
  }

  /** Takes the data directory, and reads what was defined. Throws when it cannot be used; `release` then. */
  open(): DefinitionsReplay {
    const replay = new DefinitionsReplay();
    if (!this.#parts.config.memory) this.#openDisk(replay);
    this.#queueIdMax = Math.max(this.#queueIdMax, replay.queueIdMax);
    return replay;
  }

  #openDisk(replay: DefinitionsReplay): void {
    const { config, runtime, clock, commit, watch, report, warn } = this.#parts;
    const { disk } = runtime;
    const dataDir = this.#dataDir = DataDir.open(config.dataDir, runtime);
    const isNew = disk.stat(dataDir.definitionsPath) === null;
    this.#lastStop = LastStop.read(disk, dataDir.runPath, isNew, clock.nowMs);
    const files = this.#durableFiles = chooseFiles(config.store, runtime);
    this.#pool = new SpareSegments({
      directory: dataDir.sparePath,
      segmentBytes: config.segmentBytes,
      files,
      report: (fault) => warn(fault.message),
      space: watch.space,
      mayPrepare: () => watch.hasRoomForSpare(),
    });
    watch.reserve(files);
    const spillPath = join(dataDir.path, "transient");
    disk.removeTree(spillPath);
    disk.makeDirectory(spillPath);
    this.#transientFiles = new MemoryFiles(TRANSIENT_BYTES_IN_MEMORY_MAX, { files, directory: spillPath });
    const { definitionsPath } = dataDir;
    this.#definitions = DefinitionsLog.open(disk, definitionsPath, commit, (entry) => replay.replay(entry), report);
    // Before a queue is opened: what lies in its place may not be its own.
    this.#queueIdMax = settleOrphans(disk, dataDir, replay.ids, report);
  }

  /** Written at the end of the turn. */
  append(entry: DefinitionsEntry): void {
    this.#definitions?.append(entry);
  }

  /** What is defined is written anew, all of it or nothing. Throws when the disk is full. */
  rewriteDefinitions(live: Iterable<DefinitionsEntry>): void {
    this.#definitions?.compact(live);
  }

  /** The same, if most of what is there is dead. */
  compactDefinitions(entries: () => Iterable<DefinitionsEntry>): void {
    const log = this.#definitions;
    if (log === null || log.entryCount < COMPACT_ENTRIES_MIN) return;
    const live = [...entries()];
    if (log.entryCount > 2 * live.length) log.compact(live);
  }

  openQueue(queueId: number, durable: boolean, args: Arguments): MessageStore {
    const { directory, host } = this.#placeOf(queueId, durable);
    const options = { queueId, directory, segmentBytesMax: this.#parts.config.segmentBytes };
    const maxPriority = maxPriorityOf(args);
    if (maxPriority > 0) return PriorityStore.open({ ...options, maxPriority, priorityOf }, host);
    return QueueStore.open(options, host);
  }

  openStream(queueId: number, { retention, segmentBytesMax }: StreamSettings): StreamStore {
    const { directory, host } = this.#placeOf(queueId, true);
    const { segmentBytes } = this.#parts.config;
    const options = {
      queueId,
      directory,
      retention,
      segmentBytesMax: Math.min(segmentBytesMax ?? Infinity, segmentBytes),
    };
    return StreamStore.open(options, host);
  }

  #placeOf(queueId: number, durable: boolean): { directory: string; host: QueueStoreHost } {
    const onDisk = durable && this.#dataDir !== null;
    const directory = onDisk ? this.#dataDir!.queuePath(queueId) : join("transient", String(queueId));
    if (onDisk) return { directory, host: this.#diskHost ??= this.#hostOf(this.#durableFiles!, this.#pool) };
    return { directory, host: this.#memoryHost ??= this.#hostOf(this.#transientFiles, null) };
  }

  #hostOf(files: SegmentFiles, pool: SpareSegments | null): QueueStoreHost {
    const { commit, watch, clock, report } = this.#parts;
    return {
      files,
      commit,
      pool,
      space: watch.space,
      recoveryWindow: new ReadWindow(files, RECOVERY_AHEAD_BYTES),
      unsureBeforeMs: this.#lastStop?.unsureBeforeMs ?? 0,
      now: () => clock.nowMs,
      report,
    };
  }

  /** Everything is on disk: the next start need not doubt the clock. */
  noteStop(): void {
    this.#lastStop?.stopped();
  }

  /** No spare segment is prepared, no definition written from here on. */
  async stopWriting(): Promise<void> {
    await this.#pool?.close();
    this.#definitions?.close();
  }

  /** When no sync runs any more. */
  async release(): Promise<void> {
    await this.#transientFiles.close();
    await this.#durableFiles?.close();
    this.#dataDir?.close();
  }
}

function chooseFiles(store: Config["store"], runtime: Runtime): SegmentFiles {
  if (store === "plain") return runtime.plainFiles();
  const mapped = runtime.mappedFiles();
  if (mapped !== null) return mapped;
  if (store === "mapped") {
    throw new Error("memory-mapped files are not to be had here; expected store = auto or plain");
  }
  return runtime.plainFiles();
}
