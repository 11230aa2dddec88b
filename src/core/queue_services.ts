// What a queue needs of its surroundings.

import type { Turn } from "./turn.ts";
import type { AnyQueue } from "./any_queue.ts";
import type { DeadLetters } from "./dead_letters.ts";
import type { Timers } from "./timers.ts";

export interface QueueServices {
  readonly turn: Turn;
  readonly timers: Timers;
  readonly deadLetters: DeadLetters;
  /** It is used, so it may hold files and buffers. Sets `warm`. */
  warmed(queue: AnyQueue): void;
  /** Nobody has used the queue for as long as x-expires allows. */
  expired(queue: AnyQueue): void;
}
