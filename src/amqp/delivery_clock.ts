// How long a channel's deliveries have been out, without a time per delivery: now and then the newest tag is written
// down with the time, so whatever has a tag up to that one is at least so old. A timeout is noticed late by a sixteenth
// of itself at most, and by the time between two ticks.

/** Of a timeout lie between two notes. */
const NOTES = 16;

export class DeliveryClock {
  readonly timeoutMs: number;
  /** Newest tag and time, oldest note first. */
  readonly #notes: { tag: number; ms: number }[] = [];

  constructor(timeoutMs: number) {
    this.timeoutMs = timeoutMs;
  }

  /** Notes that `tag` is the newest; returns the newest of those that have been out for too long, 0 when none has. */
  overdue(tag: number, nowMs: number): number {
    const notes = this.#notes;
    const last = notes.at(-1);
    if (last === undefined || (last.tag !== tag && nowMs - last.ms >= this.timeoutMs / NOTES)) {
      notes.push({ tag, ms: nowMs });
    }
    const since = nowMs - this.timeoutMs;
    while (notes.length > 1 && notes[1]!.ms <= since) notes.shift();
    const first = notes[0]!;
    return first.ms <= since ? first.tag : 0;
  }
}
