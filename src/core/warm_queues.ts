// Which queues are in use: those hold files, mappings and buffers, of which there are not enough for all. One that is not
// used for a while gives them back; when too many are in use at a time, those go first that have been so for longest.

import { isDiskFull } from "../lib/disk_full.ts";
import type { AnyQueue } from "./any_queue.ts";
import type { Servable, Turn } from "./turn.ts";

export class WarmQueues implements Servable {
  readonly #max: number;
  readonly #turn: Turn;
  /** In order of their first use since the last housekeeping. */
  #warm = new Set<AnyQueue>();
  /** Used before it, and perhaps not since. */
  #cooling = new Set<AnyQueue>();
  #queued = false;

  /** `max`: queues that may be in use at a time; a few descriptors each. */
  constructor(max: number, turn: Turn) {
    this.#max = max;
    this.#turn = turn;
  }

  /** A queue is used that was not. */
  add(queue: AnyQueue): void {
    queue.warm = true;
    this.#warm.add(queue);
    if (this.#queued || this.#warm.size + this.#cooling.size <= this.#max) return;
    this.#queued = true;
    this.#turn.serveLater(this);
  }

  /** The queue is gone, and with it all that it held. */
  forget(queue: AnyQueue): void {
    this.#warm.delete(queue);
    this.#cooling.delete(queue);
  }

  /** There are too many: half of them stay. */
  serve(): boolean {
    this.#queued = false;
    this.#cool(this.#cooling);
    this.#cooling.clear();
    const surplus = [...this.#warm].slice(0, Math.max(0, this.#warm.size - Math.floor(this.#max / 2)));
    for (const queue of surplus) {
      this.#warm.delete(queue);
      queue.warm = false;
    }
    this.#cool(surplus);
    return false;
  }

  /** Now and then: those that were not used since the last time give back what they hold. */
  keepHouse(): void {
    this.#cool(this.#cooling);
    this.#cooling = this.#warm;
    this.#warm = new Set();
    for (const queue of this.#cooling) queue.warm = false;
  }

  #cool(queues: Iterable<AnyQueue>): void {
    for (const queue of queues) {
      if (queue.warm || queue.gone) continue;
      try {
        queue.store.cool();
      } catch (error) {
        // What it holds cannot be written now: it is used for a while longer.
        if (!isDiskFull(error)) throw error;
        this.add(queue);
      }
    }
  }
}
