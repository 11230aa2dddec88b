// What a virtual host needs of its surroundings.

import type { MessageStore } from "../store/message_store.ts";
import type { StreamStore } from "../store/stream_store.ts";
import type { QueueFiles } from "./any_queue.ts";
import type { Arguments } from "./arguments.ts";
import type { DeadLetterServices } from "./dead_letters.ts";
import type { DefinitionsSink } from "./definitions.ts";
import type { Churn } from "./statistics/counters.ts";
import type { StreamSettings } from "./stream_settings.ts";
import type { Timers } from "./timers.ts";
import type { Turn } from "./turn.ts";
import type { WarmQueues } from "./warm_queues.ts";

export interface VirtualHostServices {
  readonly turn: Turn;
  readonly definitions: DefinitionsSink;
  openStore(queueId: number, durable: boolean, args: Arguments): MessageStore;
  openStream(queueId: number, settings: StreamSettings): StreamStore;
  /** Removes the files of a deleted queue, once its deletion is on disk. */
  destroyStore(store: QueueFiles, durable: boolean): void;
  nextQueueId(): number;
  /** Something that an operator must know. */
  report?(text: string): void;
  /** Which queues hold files, of all virtual hosts together; kept by whoever gives it. Without it each has its own. */
  readonly warmQueues?: WarmQueues;
  readonly timers: Timers;
  readonly commit: DeadLetterServices["commit"];
  readonly limits: VirtualHostLimits;
  /** Counts queues that come and go. */
  readonly churn?: Churn;
}

/** What clients may declare in one virtual host: names that they choose must not cost memory without end. */
export interface VirtualHostLimits {
  readonly queuesMax: number;
  readonly exchangesMax: number;
  readonly bindingsMax: number;
  /** Queues that hold files and buffers at a time. */
  readonly warmQueuesMax: number;
}
