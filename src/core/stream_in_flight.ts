// What one consumer of a stream has been given and not settled: offset and place of each, in order. Tells how far the
// consumer came without a gap, which is where it goes on after a restart.

/** Settled ones at the beginning are let go of in such portions. */
const TRIM_COUNT = 1024;

export class InFlight {
  readonly #offsets: number[] = [];
  readonly #positions: number[] = [];
  #first = 0;
  /** Out of order, behind the first that is not settled. */
  readonly #settled = new Set<number>();

  get count(): number {
    return this.#offsets.length - this.#first - this.#settled.size;
  }

  /** A message with an offset above all others. */
  add(offset: number, position: number): void {
    this.#offsets.push(offset);
    this.#positions.push(position);
  }

  /** Where the message lies; null when it is not in flight. */
  positionOf(offset: number): number | null {
    let low = this.#first;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return this.#offsets[low] === offset ? this.#positions[low]! : null;
  }

  /** Returns the offset up to which all is settled, -1 when there is a gap before this one. */
  settle(offset: number): number {
    const offsets = this.#offsets;
    if (offsets[this.#first] !== offset) {
      this.#settled.add(offset);
      return -1;
    }
    let last = offset;
    this.#first++;
    while (this.#settled.size > 0 && this.#settled.delete(offsets[this.#first]!)) last = offsets[this.#first++]!;
    if (this.#first >= TRIM_COUNT || this.#first === offsets.length) this.#trim();
    return last;
  }

  #trim(): void {
    // Moving what is left must not cost more than what goes.
    if (this.#first * 2 < this.#offsets.length) return;
    this.#offsets.splice(0, this.#first);
    this.#positions.splice(0, this.#first);
    this.#first = 0;
  }
}
