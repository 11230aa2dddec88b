// Slows down who guesses passwords: after a few failures of one user from one address, the next attempts wait for each
// other, longer each time. Attempts that come side by side wait one behind the other, so many connections help nobody.

import { LOGIN_FAILURES_MAX } from "../../limits.ts";

/** Failures that cost nothing: people mistype. */
const FREE_FAILURES = 3;
const FIRST_DELAY_MS = 100;
const DELAY_MS_MAX = 3_000;
/** After so long without a failure all is forgotten. */
const FORGET_MS = 60_000;

interface Record {
  failures: number;
  lastMs: number;
  /** When the next attempt may be judged. */
  nextMs: number;
}

export class LoginGuard {
  /** By user and address, the longest untouched first: it goes when there are too many. */
  readonly #records = new Map<string, Record>();
  readonly #nowMs: () => number;

  /** `nowMs` is monotonic. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** How long an attempt has to wait before its password is looked at, milliseconds; 0 for most. */
  waitMs(user: string, host: string): number {
    const record = this.#records.get(keyOf(user, host));
    if (record === undefined) return 0;
    const nowMs = this.#nowMs();
    if (nowMs - record.lastMs > FORGET_MS && record.nextMs <= nowMs) return 0;
    const atMs = Math.max(nowMs, record.nextMs);
    record.nextMs = atMs + delayMs(record.failures);
    return atMs - nowMs;
  }

  failed(user: string, host: string): void {
    const key = keyOf(user, host);
    const nowMs = this.#nowMs();
    let record = this.#records.get(key);
    if (record === undefined || nowMs - record.lastMs > FORGET_MS) record = { failures: 0, lastMs: 0, nextMs: nowMs };
    record.failures++;
    record.lastMs = nowMs;
    record.nextMs = Math.max(record.nextMs, nowMs + delayMs(record.failures));
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
  return `${host}\0${user}`;
}
