// How often each message of a queue was given back, for queues that count it: told to whoever gets the message again,
// and noted in the store, so that a message that kills its consumers is stopped across restarts too.

import type { Message } from "../store/message.ts";
import type { MessageStore } from "../store/message_store.ts";
import { changedHeader } from "./changed_header.ts";

const HEADER = "x-delivery-count";
/** Without a limit the count is a help and no promise: from here on only every power of two is noted. */
const EXACT_MAX = 64;

export class DeliveryCounts {
  readonly #store: MessageStore;
  limit: number | null;
  /** By position; only of messages that were given back. */
  readonly #counts: Map<number, number>;

  constructor(store: MessageStore, limit: number | null) {
    this.#store = store;
    this.limit = limit;
    this.#counts = new Map(store.takeReturns());
  }

  /** A message is given back; false when that was once too often. */
  add(position: number): boolean {
    const count = (this.#counts.get(position) ?? 0) + 1;
    if (this.limit !== null && count > this.limit) return false;
    this.#counts.set(position, count);
    const noted = this.limit !== null || count <= EXACT_MAX || (count & (count - 1)) === 0;
    if (noted) this.#store.noteReturns(position, count);
    return true;
  }

  /** Tells the one who gets it how often others gave it back. */
  tell(message: Message): void {
    const count = this.#counts.get(message.position);
    if (count === undefined) return;
    const header = changedHeader(message, (properties) => {
      properties.headers ??= new Map();
      properties.headers.set(HEADER, { type: "l", value: count });
    });
    if (header === null) return;
    message.header = header;
    message.headerAt = 0;
    message.headerBytes = header.length;
  }

  forget(position: number): void {
    this.#counts.delete(position);
  }

  /** After a purge: those that are out are still counted. */
  purged(): void {
    if (this.#store.unackedCount === 0) this.#counts.clear();
  }
}
