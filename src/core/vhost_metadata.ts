// What people say of a virtual host, and what they limit in it.

import type { QueueType } from "./any_queue.ts";

export interface VhostMetadata {
  readonly description: string;
  readonly tags: readonly string[];
  /** Of queues that name no type; null for classic. */
  readonly defaultQueueType: QueueType | null;
}

export const NO_METADATA: VhostMetadata = { description: "", tags: [], defaultQueueType: null };

/** Undefined: any number. */
export interface VhostLimits {
  readonly maxConnections?: number;
  readonly maxQueues?: number;
}
