// What a channel in transaction mode (class tx) has done since its last commit or rollback: messages that nobody sees
// yet, and settlements that have not happened yet. Bounded: what it holds counts as unfinished work of its connection.

import { copyOfMessage, type Message } from "../store/message.ts";
import type { Delivery } from "./unacked.ts";

/** What one more message or settlement costs beside its bytes: objects, roughly. */
const ENTRY_BYTES = 256;

/** What becomes of a delivery. */
export type Outcome = typeof ACKNOWLEDGED | typeof REJECTED | typeof REQUEUED;
export const ACKNOWLEDGED = 0;
export const REJECTED = 1;
export const REQUEUED = 2;

/** A message to be published at commit. */
export interface Publication {
  readonly message: Message;
  readonly mandatory: boolean;
  readonly immediate: boolean;
  /** Routing keys beside its own. */
  readonly copies: readonly string[];
}

export interface Settlement {
  readonly delivery: Delivery;
  readonly outcome: Outcome;
}

export class Transaction {
  #publications: Publication[] = [];
  #settlements: Settlement[] = [];
  #bytes = 0;
  readonly #hold: (bytes: number) => void;

  /** `hold` is told of bytes held (below 0: no longer held) and throws when they are too many. */
  constructor(hold: (bytes: number) => void) {
    this.#hold = hold;
  }

  /** Keeps a copy of a message. */
  publish(publication: Publication): void {
    const { routeBytes, headerBytes, bodyBytes } = publication.message;
    this.#grow(ENTRY_BYTES + routeBytes + headerBytes + bodyBytes);
    this.#publications.push({ ...publication, message: copyOfMessage(publication.message) });
  }

  settle(delivery: Delivery, outcome: Outcome): void {
    // Noted first: it is out of the channel's hands already, and must not get lost when it is one too many.
    this.#settlements.push({ delivery: { ...delivery }, outcome });
    this.#grow(ENTRY_BYTES);
  }

  get publicationCount(): number {
    return this.#publications.length;
  }

  get settlementCount(): number {
    return this.#settlements.length;
  }

  takePublications(): Publication[] {
    const taken = this.#publications;
    this.#publications = [];
    return taken;
  }

  takeSettlements(): Settlement[] {
    const taken = this.#settlements;
    this.#settlements = [];
    return taken;
  }

  /** All is taken or given up. */
  clear(): void {
    this.#publications = [];
    this.#settlements = [];
    this.#hold(-this.#bytes);
    this.#bytes = 0;
  }

  #grow(bytes: number): void {
    this.#bytes += bytes;
    this.#hold(bytes);
  }
}
