// The times to live of a queue's messages: which has run out, and a timer for the one at the head. Those behind one
// that lives longer wait for their turn, as with RabbitMQ.

import { arrivalMs, steadyMs } from "../lib/clock.ts";
import { type Message, MESSAGE_EXPIRES } from "../store/message.ts";
import { readExpirationMs } from "./expiration.ts";
import type { Timer, Timers } from "./timers.ts";

export class Expiry {
  /** Infinity without one. */
  #queueTtlMs: number;
  readonly #timers: Timers;
  readonly #onDue: () => void;
  #timer: Timer | null = null;
  #dueMs = Infinity;
  /** When the last message of this turn came in; 0 when none did. */
  #arrivedMs = 0;

  /** `onDue` looks at the head and says `watch` again. */
  constructor(queueTtlMs: number | null, timers: Timers, onDue: () => void) {
    this.#queueTtlMs = queueTtlMs ?? Infinity;
    this.#timers = timers;
    this.#onDue = onDue;
  }

  /** The head is to be watched anew. */
  changeTtl(queueTtlMs: number | null): void {
    this.#queueTtlMs = queueTtlMs ?? Infinity;
    this.close();
  }

  arrived(message: Message): void {
    this.#arrivedMs = message.timestampMs;
  }

  /**
   * The time by which messages are judged in this turn. What came in with it is not late yet, however long the turn is
   * taking: a message that expires at once still reaches who waits.
   */
  takeNow(): number {
    const nowMs = this.#arrivedMs === 0 ? steadyMs() : this.#arrivedMs;
    this.#arrivedMs = 0;
    return nowMs;
  }

  isExpired(message: Message, nowMs: number): boolean {
    return nowMs > this.#endOf(message, nowMs);
  }

  /** Sees to it that the head is looked at when its time has run out; null when the queue is empty. */
  watch(head: Message | null): void {
    const nowMs = steadyMs();
    const dueMs = head === null ? Infinity : this.#endOf(head, nowMs) + 1;
    // One that is due earlier comes back here.
    if (dueMs >= this.#dueMs) return;
    this.close();
    this.#dueMs = dueMs;
    this.#timer = this.#timers.after(Math.max(0, dueMs - nowMs), () => {
      this.#timer = null;
      this.#dueMs = Infinity;
      this.#onDue();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#dueMs = Infinity;
  }

  #endOf(message: Message, nowMs: number): number {
    let ttlMs = this.#queueTtlMs;
    if ((message.flags & MESSAGE_EXPIRES) !== 0) {
      ttlMs = Math.min(ttlMs, readExpirationMs(message.header, message.headerAt) ?? Infinity);
    }
    return arrivalMs(message.timestampMs, nowMs) + ttlMs;
  }
}
