// Whose turn it is among the consumers of a queue: round robin among equals, those of a higher priority first as long
// as they take messages; or the single active one.

import { QUEUE_CONSUMERS_MAX } from "../limits.ts";
import { Refusal } from "./refusal.ts";

/** Refuses one more consumer, for whom `alone` tells that others would have to go. */
export function checkConsumers(
  consumers: readonly { readonly exclusive: boolean }[],
  alone: boolean,
  where: string,
): void {
  // An exclusive one is the only one.
  if (alone || consumers[0]?.exclusive) throw new Refusal("access-refused", `${where} in exclusive use`);
  if (consumers.length < QUEUE_CONSUMERS_MAX) return;
  throw new Refusal("precondition-failed", `${where} has ${QUEUE_CONSUMERS_MAX} consumers, which is the limit`);
}

/** What the rota needs to know of a consumer. */
export interface Candidate {
  readonly priority: number;
  ready(): boolean;
}

export class ConsumerRota<C extends Candidate> {
  /** The highest priority first; among equals in the order in which they came. */
  readonly all: C[] = [];
  readonly #single: boolean;
  /** Not all have the same priority. */
  #ranked = false;
  /** Where the search begins; of those of one priority, when there are several. */
  #next = 0;
  #nextOf: Map<number, number> | null = null;
  /** With `single`: the one that is served until it leaves. */
  #active: C | null = null;

  /** `single`: only one is served at a time, the others wait for it to leave. */
  constructor(single: boolean) {
    this.#single = single;
  }

  /** With `single`: the one that is served. */
  get active(): C | null {
    return this.#single ? this.#active : null;
  }

  /** Who gets the next message, null when nobody takes one. Hot. */
  pick(): C | null {
    if (this.#ranked || this.#single) return this.#pickRanked();
    const consumers = this.all;
    const count = consumers.length;
    let index = this.#next;
    for (let tried = 0; tried < count; tried++) {
      if (index >= count) index = 0;
      const consumer = consumers[index++]!;
      if (consumer.ready()) {
        this.#next = index;
        return consumer;
      }
    }
    return null;
  }

  add(consumer: C): void {
    const { all } = this;
    const last = all.at(-1);
    // Mostly at the end: there may be tens of thousands of equals, which are not gone through for each.
    if (last === undefined || last.priority >= consumer.priority) all.push(consumer);
    else all.splice(all.findIndex(({ priority }) => priority < consumer.priority), 0, consumer);
    this.#active ??= consumer;
    this.#rank();
  }

  /** False when it was not there. */
  remove(consumer: C): boolean {
    const index = this.all.lastIndexOf(consumer);
    if (index < 0) return false;
    this.all.splice(index, 1);
    if (this.#next > index) this.#next--;
    if (this.#active === consumer) this.#active = this.all[0] ?? null;
    this.#rank();
    return true;
  }

  /** Takes all out. */
  clear(): C[] {
    this.#active = null;
    this.#ranked = false;
    return this.all.splice(0);
  }

  #rank(): void {
    const ranked = this.all.length > 0 && this.all[0]!.priority !== this.all.at(-1)!.priority;
    if (this.#ranked !== ranked) this.#nextOf = ranked ? new Map() : null;
    this.#ranked = ranked;
  }

  #pickRanked(): C | null {
    if (this.#single) return this.#active?.ready() ? this.#active : null;
    const consumers = this.all;
    for (let from = 0; from < consumers.length;) {
      const { priority } = consumers[from]!;
      let to = from + 1;
      while (to < consumers.length && consumers[to]!.priority === priority) to++;
      const count = to - from;
      const first = this.#nextOf?.get(priority) ?? 0;
      for (let tried = 0; tried < count; tried++) {
        const place = (first + tried) % count;
        const consumer = consumers[from + place]!;
        if (!consumer.ready()) continue;
        this.#nextOf?.set(priority, place + 1);
        return consumer;
      }
      from = to;
    }
    return null;
  }
}
