// The deliveries of one channel that are not settled yet, by delivery tag: a ring of plain arrays, no object each.
// Acknowledged in order it costs a few stores; out of order it leaves holes, which are closed when the ring is full.

import type { AmqpConsumer } from "./consumer.ts";
import type { Source } from "../core/any_queue.ts";

const CAPACITY_MIN = 64;

/** One delivery, as `each` and `take` hand it out; reused. */
export interface Delivery {
  tag: number;
  queue: Source;
  /** Who got it; null for basic.get. */
  consumer: AmqpConsumer | null;
  position: number;
  recordBytes: number;
  bodyBytes: number;
}

export class Unacked {
  /** Deliveries that are not settled. */
  count = 0;
  // Slots from #first to #first + #used, modulo the capacity, in order of tag; a settled one has no queue.
  #capacity = CAPACITY_MIN;
  #first = 0;
  #used = 0;
  #tags = new Float64Array(CAPACITY_MIN);
  #positions = new Float64Array(CAPACITY_MIN);
  #recordBytes = new Uint32Array(CAPACITY_MIN);
  #bodyBytes = new Uint32Array(CAPACITY_MIN);
  #queues: (Source | null)[] = new Array(CAPACITY_MIN).fill(null);
  #consumers: (AmqpConsumer | null)[] = new Array(CAPACITY_MIN).fill(null);

  /** Adds a delivery with a tag above all others. Hot. */
  push(
    tag: number,
    queue: Source,
    consumer: AmqpConsumer | null,
    position: number,
    recordBytes: number,
    bodyBytes: number,
  ): void {
    if (this.#used === this.#capacity) this.#makeRoom();
    const slot = (this.#first + this.#used) & (this.#capacity - 1);
    this.#tags[slot] = tag;
    this.#positions[slot] = position;
    this.#recordBytes[slot] = recordBytes;
    this.#bodyBytes[slot] = bodyBytes;
    this.#queues[slot] = queue;
    this.#consumers[slot] = consumer;
    this.#used++;
    this.count++;
  }

  /** Whether a delivery with this tag is not settled. */
  has(tag: number): boolean {
    return this.#find(tag) >= 0;
  }

  /** Whether one with a tag up to `tag` is of a queue that `matches`. */
  some(tag: number, matches: (queue: Source) => boolean): boolean {
    for (let index = 0; index < this.#used; index++) {
      const slot = (this.#first + index) & (this.#capacity - 1);
      if (this.#tags[slot]! > tag) return false;
      const queue = this.#queues[slot];
      if (queue !== null && queue !== undefined && matches(queue)) return true;
    }
    return false;
  }

  /** Takes the delivery with this tag out and hands it to `settle`; false when there is none. Hot. */
  take(tag: number, settle: (delivery: Delivery) => void): boolean {
    const slot = this.#find(tag);
    if (slot < 0) return false;
    this.#settle(slot, settle);
    this.#trim();
    return true;
  }

  /** Takes every delivery with a tag up to `tag` out, oldest first. Hot. */
  takeUpTo(tag: number, settle: (delivery: Delivery) => void): void {
    while (this.#used > 0) {
      const slot = this.#first;
      if (this.#tags[slot]! > tag) return;
      this.#first = (slot + 1) & (this.#capacity - 1);
      this.#used--;
      if (this.#queues[slot] !== null) this.#settle(slot, settle);
    }
  }

  readonly #delivery = {
    tag: 0,
    queue: null,
    consumer: null,
    position: 0,
    recordBytes: 0,
    bodyBytes: 0,
  } as unknown as Delivery;

  #settle(slot: number, settle: (delivery: Delivery) => void): void {
    const delivery = this.#delivery;
    delivery.tag = this.#tags[slot]!;
    delivery.queue = this.#queues[slot]!;
    delivery.consumer = this.#consumers[slot]!;
    delivery.position = this.#positions[slot]!;
    delivery.recordBytes = this.#recordBytes[slot]!;
    delivery.bodyBytes = this.#bodyBytes[slot]!;
    this.#queues[slot] = null;
    this.#consumers[slot] = null;
    this.count--;
    settle(delivery);
  }

  /** The slot of an unsettled delivery, or -1: the first one mostly, else by halving. */
  #find(tag: number): number {
    const mask = this.#capacity - 1;
    let low = 0;
    let high = this.#used - 1;
    if (high >= 0 && this.#tags[this.#first] === tag) high = 0;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const slot = (this.#first + middle) & mask;
      const found = this.#tags[slot]!;
      if (found === tag) return this.#queues[slot] === null ? -1 : slot;
      if (found < tag) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Steps over settled deliveries at the beginning. */
  #trim(): void {
    const mask = this.#capacity - 1;
    while (this.#used > 0 && this.#queues[this.#first] === null) {
      this.#first = (this.#first + 1) & mask;
      this.#used--;
    }
  }

  /** Closes the holes, and doubles the ring when that frees less than half. */
  #makeRoom(): void {
    const capacity = this.count > this.#capacity / 2 ? this.#capacity * 2 : this.#capacity;
    const [tags, positions] = [new Float64Array(capacity), new Float64Array(capacity)];
    const [recordBytes, bodyBytes] = [new Uint32Array(capacity), new Uint32Array(capacity)];
    const queues: (Source | null)[] = new Array(capacity).fill(null);
    const consumers: (AmqpConsumer | null)[] = new Array(capacity).fill(null);
    let used = 0;
    for (let index = 0; index < this.#used; index++) {
      const slot = (this.#first + index) & (this.#capacity - 1);
      if (this.#queues[slot] === null) continue;
      tags[used] = this.#tags[slot]!;
      positions[used] = this.#positions[slot]!;
      recordBytes[used] = this.#recordBytes[slot]!;
      bodyBytes[used] = this.#bodyBytes[slot]!;
      queues[used] = this.#queues[slot]!;
      consumers[used] = this.#consumers[slot]!;
      used++;
    }
    this.#tags = tags;
    this.#positions = positions;
    this.#recordBytes = recordBytes;
    this.#bodyBytes = bodyBytes;
    this.#queues = queues;
    this.#consumers = consumers;
    this.#capacity = capacity;
    this.#first = 0;
    this.#used = used;
  }
}
