// Ranges [from, to) of whole numbers below 2^27 (offsets divided by 8), in typed arrays: no object per range.

/** 27 bits of `from` and 25 of the index make a number that sorts exactly. */
const INDEXES = 2 ** 25;
const NONE = new Int32Array(0);
/** More than a turn usually collects. */
const KEPT_MAX = 1024;

export class RangeList {
  from = NONE;
  to = NONE;
  count = 0;

  /** Adds a range; one that continues the last is joined with it. */
  add(from: number, to: number): void {
    const count = this.count;
    if (count > 0 && this.to[count - 1] === from) {
      this.to[count - 1] = to;
      return;
    }
    if (count === this.from.length) this.#grow();
    this.from[count] = from;
    this.to[count] = to;
    this.count = count + 1;
  }

  /** Whether all lies at or behind `at`. */
  isFrom(at: number): boolean {
    for (let i = 0; i < this.count; i++) if (this.from[i]! < at) return false;
    return true;
  }

  /** Whether all of [from, to) is in it. */
  covers(from: number, to: number): boolean {
    this.normalise();
    for (let i = 0; i < this.count; i++) if (this.from[i]! <= from && this.to[i]! >= to) return true;
    return false;
  }

  /** Takes out what lies at or behind `at`. */
  cut(at: number): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (this.from[i]! >= at) continue;
      this.from[kept] = this.from[i]!;
      this.to[kept++] = Math.min(this.to[i]!, at);
    }
    this.count = kept;
  }

  clear(): void {
    this.count = 0;
    if (this.from.length > KEPT_MAX) {
      this.from = NONE;
      this.to = NONE;
    }
  }

  /** Sorts the ranges and joins those that touch or overlap. */
  normalise(): void {
    const { from, to, count } = this;
    let ascending = true;
    for (let i = 1; i < count && ascending; i++) ascending = to[i - 1]! < from[i]!;
    if (ascending) return;
    const keys = new Float64Array(count);
    for (let i = 0; i < count; i++) keys[i] = from[i]! * INDEXES + i;
    keys.sort();
    const sortedFrom = new Int32Array(from.length);
    const sortedTo = new Int32Array(from.length);
    let last = -1;
    for (let i = 0; i < count; i++) {
      const index = keys[i]! % INDEXES;
      if (last >= 0 && from[index]! <= sortedTo[last]!) {
        if (to[index]! > sortedTo[last]!) sortedTo[last] = to[index]!;
      } else {
        last++;
        sortedFrom[last] = from[index]!;
        sortedTo[last] = to[index]!;
      }
    }
    this.from = sortedFrom;
    this.to = sortedTo;
    this.count = last + 1;
  }

  #grow(): void {
    const from = new Int32Array(Math.max(4, this.count * 2));
    const to = new Int32Array(from.length);
    from.set(this.from);
    to.set(this.to);
    this.from = from;
    this.to = to;
  }
}
