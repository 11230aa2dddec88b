// What one connection makes the broker hold, all its channels together, and the bounds of it.

import type { ReadGate } from "../lib/read_gate.ts";
import { REPLIES_WAITING_MAX, UNFINISHED_BODIES_BYTES_MAX } from "../limits.ts";
import { AmqpError } from "./errors.ts";

/** Buffers that channels keep for messages to come, bytes: they must not come to count as unfinished messages. */
const KEPT_BYTES_MAX = 1024 * 1024;

export class Holdings {
  readonly #bytesMax: number;
  readonly #gate: ReadGate;
  #bytes = 0;
  #replies = 0;
  readonly #answered = () => {
    if (this.#replies === 0) this.#gate.waiting = false;
  };

  /** `gate` is closed while too many replies wait. */
  constructor(messageBytesMax: number, gate: ReadGate) {
    this.#bytesMax = Math.max(UNFINISHED_BODIES_BYTES_MAX, messageBytesMax);
    this.#gate = gate;
  }

  /** More (or, below 0, fewer) bytes of bodies that are not whole and of transactions. Throws when that is too much. */
  addBytes(bytes: number): void {
    this.#bytes += bytes;
    if (bytes <= 0 || this.#bytes <= this.#bytesMax) return;
    throw new AmqpError(
      506,
      `unfinished messages and transactions of all channels are larger than ${this.#bytesMax} bytes`,
    );
  }

  /** No channel should keep a buffer for later. */
  get areLarge(): boolean {
    return this.#bytes > KEPT_BYTES_MAX;
  }

  /** More (or, below 0, fewer) replies that wait for the disk. */
  addReplies(count: number): void {
    this.#replies += count;
    if (this.#replies > REPLIES_WAITING_MAX) this.#gate.waiting = true;
    // Not within the turn of whoever was waited for.
    else if (this.#replies === 0 && this.#gate.waiting) queueMicrotask(this.#answered);
  }
}
