// The memory of a broker while something is done to it: the most that was seen since somebody began to look.

import { anonymousBytes } from "../support/process_state.ts";

const SAMPLE_MS = 100;
export const MIB = 1024 * 1024;

/**
 * Samples RssAnon: what the process holds itself. Pages of mapped segment files are not in it; the kernel takes those
 * back when it needs them, and counts as many as it likes.
 */
export class WatchedMemory {
  readonly #pid: () => number;
  readonly #timer: ReturnType<typeof setInterval>;
  #highest = 0;

  constructor(pid: () => number) {
    this.#pid = pid;
    this.#timer = setInterval(() => this.#look(), SAMPLE_MS);
  }

  /** The most since the last `begin`, bytes. */
  get highest(): number {
    this.#look();
    return this.#highest;
  }

  /** Bytes now. */
  get current(): number {
    return anonymousBytes(this.#pid());
  }

  begin(): void {
    this.#highest = 0;
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#highest = Math.max(this.#highest, this.current);
  }
}

export function inMib(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`;
}
