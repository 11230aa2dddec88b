// Guessing passwords takes time: who fails again and again under one name from one address is looked at later each time,
// whether the next guess is right or wrong, so that there is nothing to be learned by hanging up early.

import { LOGIN_FAILURES_MAX } from "../limits.ts";

/** Failures that cost nothing: people mistype. */
const FREE_FAILURES = 5;
const DELAY_MS_MIN = 100;
/** Well within a handshake's time. */
const DELAY_MS_MAX = 5000;
/** Failures are forgotten when none has followed for so long. */
const FORGET_MS = 5 * 60_000;
const NAME_CHARS_MAX = 255;

interface Failures {
  readonly count: number;
  readonly lastMs: number;
}

export class LoginDelays {
  /** The one that failed last is the last. */
  readonly #failures = new Map<string, Failures>();

  /** How long the next login under this name from this address has to wait, milliseconds. `nowMs` is monotonic. */
  delayMs(name: string, address: string, nowMs: number): number {
    const failures = this.#find(keyOf(name, address), nowMs);
    if (failures < FREE_FAILURES) return 0;
    return Math.min(DELAY_MS_MIN * 2 ** (failures - FREE_FAILURES), DELAY_MS_MAX);
  }

  failed(name: string, address: string, nowMs: number): void {
    const key = keyOf(name, address);
    const count = this.#find(key, nowMs) + 1;
    this.#failures.delete(key);
    this.#failures.set(key, { count, lastMs: nowMs });
    if (this.#failures.size <= LOGIN_FAILURES_MAX) return;
    const [oldest] = this.#failures.keys();
    this.#failures.delete(oldest!);
  }

  succeeded(name: string, address: string): void {
    this.#failures.delete(keyOf(name, address));
  }

  #find(key: string, nowMs: number): number {
    const failures = this.#failures.get(key);
    return failures === undefined || nowMs - failures.lastMs > FORGET_MS ? 0 : failures.count;
  }
}

function keyOf(name: string, address: string): string {
  return `${address}\n${name.slice(0, NAME_CHARS_MAX)}`;
}
