// Slows down who guesses passwords: after a few failures of one user from one address, the next attempts wait for each
// other, longer each time. Attempts that come side by side wait one behind the other, so many connections help nobody.

import { LOGIN_FAILURES_MAX } from "../../limits.ts";

/** Failures that cost nothing: people mistype. */
const FREE_FAILURES = 5;
const FIRST_DELAY_MS = 100;
const DELAY_MS_MAX = 5_000;
/** Within a handshake's time: nobody could wait for longer, and nobody is locked out for longer by the guesses of others. */
const WAIT_MS_MAX = 9_000;
/** After so long without a failure all is forgotten. */
const FORGET_MS = 5 * 60_000;
const NAME_LENGTH_MAX = 255;

interface Record {
  failures: number;
  lastMs: number;
  /** When the last attempt is, or was, judged: the next one comes behind it. */
  judgedMs: number;
}

export class LoginGuard {
  /** By user and address, the longest untouched first: it goes when there are too many. */
  readonly #records = new Map<string, Record>();
  readonly #nowMs: () => number;

  /** `nowMs` is monotonic. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /**
   * How long an attempt has to wait before its password is looked at, milliseconds; 0 for most. Null: too many wait already,
   * it is refused whatever its password is.
   */
  waitMs(user: string, host: string): number | null {
    const record = this.#records.get(keyOf(user, host));
    if (record === undefined) return 0;
    const nowMs = this.#nowMs();
    if (nowMs - record.lastMs > FORGET_MS && record.judgedMs <= nowMs) return 0;
    const delay = delayMs(record.failures);
    if (delay === 0) return 0;
    const judgedMs = Math.max(nowMs, record.judgedMs) + delay;
    if (judgedMs - nowMs > WAIT_MS_MAX) return null;
    record.judgedMs = judgedMs;
    return judgedMs - nowMs;
  }

  failed(user: string, host: string): void {
    const key = keyOf(user, host);
    const nowMs = this.#nowMs();
    let record = this.#records.get(key);
    if (record === undefined || nowMs - record.lastMs > FORGET_MS) record = { failures: 0, lastMs: 0, judgedMs: 0 };
    record.failures++;
    record.lastMs = nowMs;
    this.#records.delete(key);
    this.#records.set(key, record);
    if (this.#records.size <= LOGIN_FAILURES_MAX) return;
    for (const oldest of this.#records.keys()) {
      this.#records.delete(oldest);
      break;
    }
  }

  succeeded(user: string, host: string): void {
    this.#records.delete(keyOf(user, host));
  }
}

function delayMs(failures: number): number {
  if (failures < FREE_FAILURES) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (failures - FREE_FAILURES), DELAY_MS_MAX);
}

function keyOf(user: string, host: string): string {
  return `${host}\0${user.slice(0, NAME_LENGTH_MAX)}`;
}
