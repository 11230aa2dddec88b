// What is to happen later: one-shot timers whose work belongs to a turn, like everything else that changes queues.

import { steadyMs } from "../lib/clock.ts";
import type { Turn } from "./turn.ts";

/** setTimeout takes no more; longer waits are made of several. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export interface Timer {
  /** Idempotent; also once it has run. */
  cancel(): void;
}

export class Timers {
  readonly #turn: Turn;
  readonly #onFault: (fault: unknown) => void;
  readonly #live = new Set<Handle>();

  /** `onFault` is told of what a timer's work throws: nobody else can answer for it. */
  constructor(turn: Turn, onFault: (fault: unknown) => void) {
    this.#turn = turn;
    this.#onFault = onFault;
  }

  /** Runs `work` after `delayMs`, 0 or more, and ends the turn behind it. Keeps no process alive. */
  after(delayMs: number, work: () => void): Timer {
    const handle = new Handle(steadyMs() + delayMs, work, this.#done);
    this.#live.add(handle);
    handle.arm();
    return { cancel: () => this.#cancel(handle) };
  }

  /** Cancels all: the broker stops. */
  close(): void {
    for (const handle of [...this.#live]) this.#cancel(handle);
  }

  #cancel(handle: Handle): void {
    handle.disarm();
    this.#live.delete(handle);
  }

  readonly #done = (handle: Handle): void => {
    this.#live.delete(handle);
    try {
      handle.work();
    } catch (fault) {
      this.#onFault(fault);
    }
    this.#turn.schedule();
  };
}

class Handle {
  readonly dueMs: number;
  readonly work: () => void;
  readonly #done: (handle: Handle) => void;
  #timeout: ReturnType<typeof setTimeout> | null = null;

  constructor(dueMs: number, work: () => void, done: (handle: Handle) => void) {
    this.dueMs = dueMs;
    this.work = work;
    this.#done = done;
  }

  arm(): void {
    const leftMs = Math.max(0, this.dueMs - steadyMs());
    this.#timeout = setTimeout(() => {
      if (this.dueMs > steadyMs()) this.arm();
      else this.#done(this);
    }, Math.min(leftMs, DELAY_MS_MAX));
    this.#timeout.unref();
  }

  disarm(): void {
    if (this.#timeout !== null) clearTimeout(this.#timeout);
    this.#timeout = null;
  }
}
