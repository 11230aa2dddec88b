// Keeps publishers to the pace of a queue's consumers. Where consumers are quick, a publisher that is quicker still only
// builds a backlog and takes the time that they need, so it waits until they have taken as much as it has brought. Slow
// consumers make nobody wait: a queue is there to hold what they have not come to yet.

import { steadyMs } from "../lib/clock.ts";
import type { Timer, Timers } from "./timers.ts";

/** Who publishes much and can be made to wait. */
export interface Waiter {
  /** Publishes again. Also called when it is gone. */
  goOn(): void;
}

/** Messages that may come in before those that are there have gone out. */
const AHEAD_MAX = 32_768;
/** About what a waiter brings at once. */
const WAITER_BRINGS = 1024;
/** While somebody waits it is looked so often, ms, whether the consumers are worth it: */
const LOOK_MS = 10;
/** quick ones take so many messages from one look to the next, */
const TAKEN_MIN = 1000;
/** and slow ones are not waited for again for a while, ms, longer each time: publishers lose 2 % by trying. */
const FREE_MS_MIN = 20;
const FREE_MS_MAX = 640;
/** Publishers who have not come for so long, ms, find the backlog as it is. */
const FORGET_MS = 100;

export class Pace {
  readonly #timers: Timers;
  /** In the order in which they came. */
  #waiters: Waiter[] = [];
  /** With more messages than this somebody waits. */
  #level = 0;
  /** Messages that consumers have been given so far, and had been at the last look. */
  #given = 0;
  #givenBefore = 0;
  #askedMs = -Infinity;
  #freeUntilMs = -Infinity;
  #freeMs = FREE_MS_MIN;
  #timer: Timer | null = null;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Whether so few messages make nobody wait, whatever happened before. */
  static isNear(ready: number): boolean {
    return ready <= AHEAD_MAX;
  }

  /**
   * Of a publisher that has just published much to a queue with `ready` messages, which has given its consumers `given`
   * so far: true when it is to wait for `goOn`.
   */
  holds(waiter: Waiter, ready: number, given: number): boolean {
    const nowMs = steadyMs();
    if (nowMs < this.#freeUntilMs) return false;
    if (nowMs - this.#askedMs > FORGET_MS) this.#level = Infinity;
    this.#askedMs = nowMs;
    if (this.#level === Infinity) this.#level = ready + AHEAD_MAX;
    if (ready <= this.#level) return false;
    this.#waiters.push(waiter);
    if (this.#timer !== null) return true;
    this.#given = this.#givenBefore = given;
    this.#timer = this.#timers.after(LOOK_MS, this.#look);
    return true;
  }

  /** The consumers were given what they take, `given` so far, which left `ready` messages. */
  served(ready: number, given: number): void {
    this.#given = given;
    this.#level = Math.min(this.#level, ready + AHEAD_MAX);
    if (this.#waiters.length > 0 && ready <= this.#level) this.#release(1 + (this.#level - ready) / WAITER_BRINGS);
  }

  /** Nobody waits any more: the queue is gone, or its consumers are. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#release(Infinity);
  }

  readonly #look = (): void => {
    this.#timer = null;
    if (this.#waiters.length === 0) return;
    if (this.#given - this.#givenBefore >= TAKEN_MIN) {
      this.#givenBefore = this.#given;
      this.#freeMs = FREE_MS_MIN;
      this.#timer = this.#timers.after(LOOK_MS, this.#look);
    } else {
      this.#freeUntilMs = steadyMs() + this.#freeMs;
      this.#freeMs = Math.min(2 * this.#freeMs, FREE_MS_MAX);
      this.#level = Infinity;
      this.#release(Infinity);
    }
  };

  #release(count: number): void {
    for (const waiter of this.#waiters.splice(0, count)) waiter.goOn();
  }
}
