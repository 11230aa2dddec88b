// What a queue needs of the place where its messages lie. `QueueStore` is the plain one and the measure of speed;
// `PriorityStore` has several of them.

import type { Message } from "./message.ts";

export interface MessageStore {
  // Counts: read by everybody, written only by the store. Bytes are those of bodies.
  readonly readyCount: number;
  readonly readyBytes: number;
  readonly unackedCount: number;
  readonly unackedBytes: number;

  /** Of the messages that were there when it was opened some have an expiration. */
  readonly recoveredExpiring: boolean;

  /** How many segment files it has. */
  readonly segmentCount: number;

  /** Appends a message; returns its position. Throws a FileFault (ENOSPC) with nothing changed. Hot. */
  append(message: Message): number;

  /**
   * Fills `message` with the message whose turn it is, and makes it unacked; false when none is ready. What it refers
   * to is valid until the next call of any method of this store. Hot.
   */
  next(message: Message): boolean;

  /** As `next`, but only looks. */
  peek(message: Message): boolean;

  /** Fills `message` with the unacked message at `position`. Throws a StoreFault when it is damaged. */
  read(position: number, message: Message): void;

  /** An unacked message is settled for good. `bodyBytes` as delivered. Hot. */
  settle(position: number, recordBytes: number, bodyBytes: number): void;

  /** An unacked message is ready again, at its old place, flagged redelivered. */
  requeue(position: number, bodyBytes: number): void;

  /** An unacked message was given back so often: to be found after a restart. */
  noteReturns(position: number, count: number): void;

  /** What `noteReturns` of earlier processes left, by position; null when nothing. Once. */
  takeReturns(): ReadonlyMap<number, number> | null;

  /** Settles everything that is ready; returns how many. */
  purge(): number;

  /** Gives the buffers and files of a queue that is not in use back; it opens them again on the next use. */
  cool(): void;

  /** Flushes and closes. */
  close(): void;

  /** Closes and removes every file. */
  destroy(): void;
}
