// Priority stores for tests: a message's priority is the digit that its body begins with. Not part of the product.

import type { Message } from "./message.ts";
import type { MessageStore } from "./message_store.ts";
import { PriorityStore, type PriorityStoreOptions } from "./priority_store.ts";
import type { TestHost } from "./queue_store_testing.ts";
import { bodyOf } from "./queue_store_testing.ts";

export function priorityOf(message: Message): number {
  return message.body[message.bodyAt]! - 0x30;
}

export function openPriorities(host: TestHost, options: Partial<PriorityStoreOptions> = {}): PriorityStore {
  return PriorityStore.open(
    { queueId: 7, directory: host.queueDirectory, maxPriority: 9, priorityOf, ...options },
    host,
  );
}

export function countsOf(store: MessageStore): number[] {
  return [store.readyCount, store.readyBytes, store.unackedCount, store.unackedBytes];
}

/** A message that was taken, as the store wants it back. */
export interface Taken {
  readonly body: string;
  readonly position: number;
  readonly recordBytes: number;
  readonly bodyBytes: number;
  readonly redelivered: boolean;
}

export function take(store: MessageStore, message: Message): Taken | null {
  if (!store.next(message)) return null;
  const { position, recordBytes, bodyBytes, redelivered } = message;
  return { body: bodyOf(message), position, recordBytes, bodyBytes, redelivered };
}
