// Who takes the messages of a queue, whatever its protocol.

import type { Message } from "../store/message.ts";

export interface Consumer {
  readonly exclusive: boolean;
  /** Settled by being delivered. */
  readonly noAck: boolean;
  /** Who has a higher one is served first, as long as it takes messages. 0 for most. */
  readonly priority: number;
  /** Whether it takes one more message now. When it does again, it calls `queue.wake()`. Hot. */
  ready(): boolean;
  /** Takes a message; what it refers to is valid only during the call. Hot. */
  deliver(message: Message): void;
  /** The queue is gone. */
  cancelled(): void;
}

/** Identifies a connection, as the owner of exclusive queues. */
export type Owner = object;
