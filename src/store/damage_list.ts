// What was found damaged since the process began: a bounded list for whoever looks after the broker. It stops nobody.

import { isDamage, type StoreEvent } from "./store_event.ts";

/** The latest of them; a disk that dies may bring thousands. */
const KEPT_MAX = 1000;

export interface Damage extends StoreEvent {
  /** When it was found, milliseconds since 1970. */
  readonly foundMs: number;
}

export class DamageList {
  /** The latest ones, oldest first. */
  readonly entries: Damage[] = [];
  /** All of them. */
  count = 0;
  /** Of all of them. */
  bytes = 0;
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Keeps the event if it tells of damage; true if it does. */
  add(event: StoreEvent): boolean {
    if (!isDamage(event.kind)) return false;
    this.count++;
    this.bytes += event.bytes;
    if (this.entries.length === KEPT_MAX) this.entries.shift();
    this.entries.push({ ...event, foundMs: this.#now() });
    return true;
  }
}
