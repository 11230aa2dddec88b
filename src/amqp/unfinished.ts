// What one connection has begun and not finished, all channels together: bodies that are not whole, and transactions.

import { UNFINISHED_BODIES_BYTES_MAX } from "../limits.ts";
import { AmqpError } from "./errors.ts";

export class Unfinished {
  #bytes = 0;
  readonly #bytesMax: number;

  /** One message always fits. */
  constructor(messageBytesMax: number) {
    this.#bytesMax = Math.max(UNFINISHED_BODIES_BYTES_MAX, messageBytesMax);
  }

  /** More (or, below 0, fewer) bytes are held. Throws when that is too much. */
  hold(bytes: number): void {
    this.#bytes += bytes;
    if (bytes <= 0 || this.#bytes <= this.#bytesMax) return;
    throw new AmqpError(
      506,
      `unfinished messages and transactions of all channels are larger than ${this.#bytesMax} bytes`,
    );
  }
}
