// The segments of a stream, oldest first, and what tells in which of them a message lies: memory by segment, never by
// message.
//
//   segment        1              2              3 (tail)
//   first offset   0              1000           2500         next offset: 2617
//   timestamps     t0 ... t1      t1 ... t2      t2 ...

import type { Segment } from "./segment.ts";

export interface StreamSegment {
  readonly segment: Segment;
  /** The offset of its first message. */
  readonly firstOffset: number;
  /** When its first message was taken in, milliseconds since 1970. */
  firstTimestampMs: number;
  /** No message in it is younger. */
  lastTimestampMs: number;
}

export class StreamIndex {
  readonly entries: StreamSegment[] = [];
  /** The offset that the next message will have. */
  nextOffset = 0;

  /** The offset of the oldest message there is, `nextOffset` when there is none. */
  get firstOffset(): number {
    return this.entries[0]?.firstOffset ?? this.nextOffset;
  }

  get last(): StreamSegment | null {
    return this.entries.at(-1) ?? null;
  }

  add(entry: StreamSegment): void {
    this.entries.push(entry);
  }

  removeFirst(): void {
    this.entries.shift();
  }

  /** The entry of a segment that is there. */
  of(segment: Segment): StreamSegment {
    return this.#lastUpTo((entry) => entry.segment.number <= segment.number)!;
  }

  /** The segment in which the message with this offset lies, or would lie; null when there is no segment. */
  holding(offset: number): StreamSegment | null {
    return this.#lastUpTo((entry) => entry.firstOffset <= offset) ?? this.entries[0] ?? null;
  }

  /** The offset behind the last message of a segment. */
  endOffset(segment: Segment): number {
    return segment.next === null ? this.nextOffset : this.of(segment.next).firstOffset;
  }

  /** The first segment that may have a message of this time or later; null when none has. */
  since(timestampMs: number): StreamSegment | null {
    // One after the other: a clock may have been set back.
    return this.entries.find(({ lastTimestampMs }) => lastTimestampMs >= timestampMs) ?? null;
  }

  #lastUpTo(holds: (entry: StreamSegment) => boolean): StreamSegment | null {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.entries[middle]!)) low = middle + 1;
      else high = middle;
    }
    return this.entries[low - 1] ?? null;
  }
}
