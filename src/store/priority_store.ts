// The messages of a queue with priorities: a store for each priority that was ever used, in a directory of its own, and
// which of them is served. Made with its first message, so that the highest possible priority costs nothing.
//
//   DIR/p000  priority 0
//   DIR/p005  priority 5
//
// A position tells its priority: priority * 2^45 + the position in that priority's store, modulo 2^45. As long as the
// live segments of one priority span less than 2^45 positions (2^18 segments: 2 TiB), the store knows what the modulo
// took away. Positions rise with arrival within a priority, but for once in 2 TiB.

import { join } from "node:path";
import { assert } from "../lib/assert.ts";
import type { Disk } from "../runtime/disk.ts";
import type { Message } from "./message.ts";
import type { MessageStore } from "./message_store.ts";
import { QueueStore, type QueueStoreOptions } from "./queue_store.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import { POSITIONS_PER_SEGMENT } from "./segment_position.ts";
import { StoreFault } from "./store_event.ts";

export const PRIORITY_MAX = 255;
/** Positions that a priority has: with 256 of them every number is exact. */
export const POSITIONS_PER_PRIORITY = 2 ** 45;

export interface PriorityStoreOptions extends QueueStoreOptions {
  /** 1 to PRIORITY_MAX. */
  readonly maxPriority: number;
  /** The priority that a message asks for, 0 or more; what is above the highest counts as that. */
  readonly priorityOf: (message: Message) => number;
}

export class PriorityStore implements MessageStore {
  readyCount = 0;
  readyBytes = 0;
  unackedCount = 0;
  unackedBytes = 0;
  readonly #options: PriorityStoreOptions;
  readonly #host: QueueStoreHost;
  /** Those in use, the highest first. */
  readonly #levels: Level[] = [];
  /** By priority. */
  readonly #byPriority = new Map<number, Level>();
  #closed = false;

  /** Reads what is on disk; see `QueueStore.open`. */
  static open(options: PriorityStoreOptions, host: QueueStoreHost): PriorityStore {
    return new PriorityStore(options, host);
  }

  private constructor(options: PriorityStoreOptions, host: QueueStoreHost) {
    const { maxPriority } = options;
    assert(maxPriority >= 1 && maxPriority <= PRIORITY_MAX, `a highest priority of 1 to 255, not ${maxPriority}`);
    this.#options = options;
    this.#host = host;
    for (const priority of this.#list()) this.#add(priority);
  }

  get segmentCount(): number {
    return this.#levels.reduce((count, { store }) => count + store.segmentCount, 0);
  }

  append(message: Message): number {
    assert(!this.#closed, "a message was appended to a priority store that is closed");
    const { priorityOf, maxPriority } = this.#options;
    const priority = Math.min(priorityOf(message), maxPriority);
    const level = this.#byPriority.get(priority) ?? this.#add(priority);
    const { store } = level;
    // The message may need a new segment.
    if (store.positionsTo - store.positionsFrom >= POSITIONS_PER_PRIORITY) this.#refuse(priority);
    const position = store.append(message);
    this.#count(level);
    return toOuter(priority, position);
  }

  next(message: Message): boolean {
    for (const level of this.#levels) {
      if (level.store.readyCount === 0) continue;
      const found = level.store.next(message);
      // Also when nothing was found: it may have met damage.
      this.#count(level);
      if (!found) continue;
      message.position = toOuter(level.priority, message.position);
      return true;
    }
    return false;
  }

  peek(message: Message): boolean {
    for (const level of this.#levels) {
      if (level.store.readyCount === 0) continue;
      const found = level.store.peek(message);
      this.#count(level);
      if (!found) continue;
      message.position = toOuter(level.priority, message.position);
      return true;
    }
    return false;
  }

  read(position: number, message: Message): void {
    const level = this.#levelOf(position);
    level.store.read(toInner(level.store, position), message);
    message.position = position;
  }

  settle(position: number, recordBytes: number, bodyBytes: number): void {
    const level = this.#levelOf(position);
    level.store.settle(toInner(level.store, position), recordBytes, bodyBytes);
    this.#count(level);
  }

  requeue(position: number, bodyBytes: number): void {
    const level = this.#levelOf(position);
    level.store.requeue(toInner(level.store, position), bodyBytes);
    this.#count(level);
  }

  get recoveredExpiring(): boolean {
    return this.#levels.some(({ store }) => store.recoveredExpiring);
  }

  noteReturns(position: number, count: number): void {
    const level = this.#levelOf(position);
    level.store.noteReturns(toInner(level.store, position), count);
  }

  takeReturns(): ReadonlyMap<number, number> | null {
    const all = new Map<number, number>();
    for (const { priority, store } of this.#levels) {
      for (const [position, count] of store.takeReturns() ?? []) all.set(toOuter(priority, position), count);
    }
    return all.size === 0 ? null : all;
  }

  purge(): number {
    let count = 0;
    for (const level of this.#levels) {
      count += level.store.purge();
      this.#count(level);
    }
    return count;
  }

  cool(): void {
    for (const { store } of this.#levels) store.cool();
  }

  close(): void {
    this.#closed = true;
    for (const { store } of this.#levels) store.close();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { store } of this.#levels) store.destroy();
    if (this.#persistent) this.#host.files.disk.removeTree(this.#options.directory);
  }

  #refuse(priority: number): never {
    const segments = POSITIONS_PER_PRIORITY / POSITIONS_PER_SEGMENT;
    throw new StoreFault(
      this.#options.directory,
      `messages of priority ${priority} within ${segments} segments were expected, and they lie further apart`,
    );
  }

  get #persistent(): boolean {
    return this.#host.files.kind !== "memory";
  }

  #levelOf(position: number): Level {
    const level = this.#byPriority.get(Math.floor(position / POSITIONS_PER_PRIORITY));
    assert(level !== undefined, "a message was asked for whose priority has no messages");
    return level;
  }

  /** The priorities that have a directory. */
  #list(): number[] {
    if (!this.#persistent) return [];
    const { priorities, foreign } = listPriorities(this.#host.files.disk, this.#options.directory);
    for (const path of foreign) {
      this.#host.report({ kind: "foreign-file", path, offset: 0, bytes: 0, detail: "not one of ours, left alone" });
    }
    return priorities;
  }

  #add(priority: number): Level {
    const directory = priorityPath(this.#options.directory, priority);
    const level = new Level(priority, QueueStore.open({ ...this.#options, directory }, this.#host));
    this.#byPriority.set(priority, level);
    const behind = this.#levels.findIndex((other) => other.priority < priority);
    this.#levels.splice(behind < 0 ? this.#levels.length : behind, 0, level);
    this.#count(level);
    return level;
  }

  /** Brings the sums up to date with a store that was used. */
  #count(level: Level): void {
    const { store } = level;
    this.readyCount += store.readyCount - level.readyCount;
    this.readyBytes += store.readyBytes - level.readyBytes;
    this.unackedCount += store.unackedCount - level.unackedCount;
    this.unackedBytes += store.unackedBytes - level.unackedBytes;
    level.readyCount = store.readyCount;
    level.readyBytes = store.readyBytes;
    level.unackedCount = store.unackedCount;
    level.unackedBytes = store.unackedBytes;
  }
}

/** What is in the directory of a queue with priorities: nothing is nothing. */
export function listPriorities(disk: Disk, directory: string): { priorities: number[]; foreign: string[] } {
  const priorities: number[] = [];
  const foreign: string[] = [];
  for (const { name, kind } of disk.stat(directory) === null ? [] : disk.entries(directory)) {
    const priority = kind === "directory" && /^p[0-9]{3}$/.test(name) ? Number(name.slice(1)) : -1;
    if (priority >= 0 && priority <= PRIORITY_MAX) priorities.push(priority);
    else foreign.push(join(directory, name));
  }
  return { priorities: priorities.sort((a, b) => a - b), foreign };
}

export function priorityPath(directory: string, priority: number): string {
  return join(directory, `p${String(priority).padStart(3, "0")}`);
}

/** One priority: its store, and the counts of it that are in the sums. */
class Level {
  readonly priority: number;
  readonly store: QueueStore;
  readyCount = 0;
  readyBytes = 0;
  unackedCount = 0;
  unackedBytes = 0;

  constructor(priority: number, store: QueueStore) {
    this.priority = priority;
    this.store = store;
  }
}

function toOuter(priority: number, position: number): number {
  return priority * POSITIONS_PER_PRIORITY + position % POSITIONS_PER_PRIORITY;
}

/** The position in the store: the one in the last 2^45 that the store has given. */
function toInner(store: QueueStore, position: number): number {
  const to = store.positionsTo;
  const inner = to - to % POSITIONS_PER_PRIORITY + position % POSITIONS_PER_PRIORITY;
  return inner < to ? inner : inner - POSITIONS_PER_PRIORITY;
}
