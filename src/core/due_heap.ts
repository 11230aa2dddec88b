// What is due when: a binary heap in two typed arrays, the earliest first, and of those due together the one with the
// lowest position: 16 bytes for each.

const LEAST = 16;
const NONE = new Float64Array(0);

export class DueHeap {
  count = 0;
  #dues = NONE;
  #positions = NONE;

  /** When the first one is due, milliseconds. Only when `count` is above 0. */
  get firstDueMs(): number {
    return this.#dues[0]!;
  }

  /** Its position. Only when `count` is above 0. */
  get firstPosition(): number {
    return this.#positions[0]!;
  }

  push(dueMs: number, position: number): void {
    if (this.count === this.#dues.length) this.#resize(Math.max(LEAST, this.count * 2));
    this.#rise(this.count++, dueMs, position);
  }

  /** Removes the first one. Only when `count` is above 0. */
  pop(): void {
    this.#removeAt(0);
  }

  /** Removes the one with this position; false when there is none. Looks at all of them. */
  remove(position: number): boolean {
    const at = this.#positions.subarray(0, this.count).indexOf(position);
    if (at < 0) return false;
    this.#removeAt(at);
    return true;
  }

  #removeAt(at: number): void {
    const last = --this.count;
    if (at < last) {
      const [dueMs, position] = [this.#dues[last]!, this.#positions[last]!];
      const parent = (at - 1) >>> 1;
      if (at > 0 && this.#isBefore(dueMs, position, parent)) this.#rise(at, dueMs, position);
      else this.#sink(at, dueMs, position);
    }
    if (last === 0) this.#dues = this.#positions = NONE;
    else if (last > LEAST && last < this.#dues.length / 4) this.#resize(this.#dues.length / 2);
  }

  #rise(at: number, dueMs: number, position: number): void {
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.#isBefore(dueMs, position, parent)) break;
      this.#put(at, this.#dues[parent]!, this.#positions[parent]!);
      at = parent;
    }
    this.#put(at, dueMs, position);
  }

  #sink(at: number, dueMs: number, position: number): void {
    const { count } = this;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= count) break;
      const other = child + 1;
      if (other < count && this.#isBefore(this.#dues[other]!, this.#positions[other]!, child)) child = other;
      if (this.#isBefore(dueMs, position, child)) break;
      this.#put(at, this.#dues[child]!, this.#positions[child]!);
      at = child;
    }
    this.#put(at, dueMs, position);
  }

  #isBefore(dueMs: number, position: number, at: number): boolean {
    const other = this.#dues[at]!;
    return dueMs < other || (dueMs === other && position < this.#positions[at]!);
  }

  #put(at: number, dueMs: number, position: number): void {
    this.#dues[at] = dueMs;
    this.#positions[at] = position;
  }

  #resize(length: number): void {
    const [dues, positions] = [new Float64Array(length), new Float64Array(length)];
    dues.set(this.#dues.subarray(0, this.count));
    positions.set(this.#positions.subarray(0, this.count));
    this.#dues = dues;
    this.#positions = positions;
  }
}
