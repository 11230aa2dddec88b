// The live segments of a queue, oldest first: a linked list, and a way from a position to its segment.

import type { Segment } from "./segment.ts";
import { POSITIONS_PER_SEGMENT, segmentOf } from "./segment_position.ts";

export class SegmentChain {
  first: Segment | null = null;
  last: Segment | null = null;
  /** The highest number ever used. */
  lastNumber: number;
  readonly #byNumber = new Map<number, Segment>();
  #found: Segment | null = null;

  constructor(lastNumber = 0) {
    this.lastNumber = lastNumber;
  }

  get count(): number {
    return this.#byNumber.size;
  }

  /** Adds the youngest. */
  add(segment: Segment): void {
    segment.previous = this.last;
    if (this.last === null) this.first = segment;
    else this.last.next = segment;
    this.last = segment;
    this.lastNumber = segment.number;
    this.#byNumber.set(segment.number, segment);
  }

  /** `segment.next` stays readable. */
  remove(segment: Segment): void {
    const { previous, next } = segment;
    if (previous === null) this.first = next;
    else previous.next = next;
    if (next === null) this.last = previous;
    else next.previous = previous;
    this.#byNumber.delete(segment.number);
    if (this.#found === segment) this.#found = null;
  }

  /** The segment of a position, null when it is gone. Hot. */
  find(position: number): Segment | null {
    const found = this.#found;
    if (found !== null) {
      const units = position - found.base;
      if (units >= 0 && units < POSITIONS_PER_SEGMENT) return found;
    }
    return this.#found = this.#byNumber.get(segmentOf(position)) ?? null;
  }
}
