// Who takes the messages of a queue, whatever its protocol.

import type { Message } from "../store/message.ts";
import type { Arguments } from "./arguments.ts";
import type { LiveChannel } from "./statistics/registry.ts";

export interface Consumer {
  readonly exclusive: boolean;
  /** Settled by being delivered. */
  readonly noAck: boolean;
  /** Who has a higher one is served first, as long as it takes messages. 0 for most. */
  readonly priority: number;
  /** What management shows of it; not there where nobody is to be shown. */
  readonly shown?: ShownConsumer;
  /** Whether it takes one more message now. When it does again, it calls `queue.wake()`. Hot. */
  ready(): boolean;
  /** Takes a message; what it refers to is valid only during the call. Hot. */
  deliver(message: Message): void;
  /** The queue is gone. */
  cancelled(): void;
}

export interface ShownConsumer {
  readonly tag: string;
  /** Deliveries it holds. */
  readonly unsettledCount: number;
  readonly prefetch: number;
  readonly args: Arguments;
  readonly channel: LiveChannel;
}

/** Identifies a connection, as the owner of exclusive queues. */
export type Owner = object;
