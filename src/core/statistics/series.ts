// The samples of one thing: what its numbers have changed by, tick by tick. Ticks without a change take no room, so that
// something idle costs nothing, and a ring grows with what happens up to its capacity.
//
//   int32  int32 ...
//  +------+-------+-------+-----
//  | tick | change of each number    one row for a tick with changes
//  +------+-------+-------+-----
//
// The newest absolute values stand beside the ring; older ones follow by going back over the changes.

const ROWS_MIN = 4;
const INT32_MAX = 2 ** 31 - 1;

export class Series {
  /** The newest values. */
  readonly last: Float64Array;
  readonly #rowsMax: number;
  #rows: Int32Array;
  /** Where the newest row stands. */
  #newest = -1;
  #count = 0;

  /** `last`: the values before the first sample. */
  constructor(last: Float64Array, rowsMax: number) {
    this.last = last;
    this.#rowsMax = Math.max(1, rowsMax);
    this.#rows = new Int32Array(Math.min(ROWS_MIN, this.#rowsMax) * this.#rowLength);
  }

  get #rowLength(): number {
    return this.last.length + 1;
  }

  /** Memory, bytes. */
  get bytes(): number {
    return this.#rows.byteLength + this.last.byteLength;
  }

  /** The newest tick with a change, -1 when there is none. */
  get newestTick(): number {
    return this.#count === 0 ? -1 : this.#rows[this.#newest * this.#rowLength]!;
  }

  /** Takes a sample; ticks only ever grow. Returns whether something has changed. */
  record(tick: number, values: Float64Array): boolean {
    const { last } = this;
    let changed = false;
    for (let i = 0; i < last.length && !changed; i++) changed = values[i] !== last[i];
    if (!changed) return false;
    const at = this.#nextRow();
    const rows = this.#rows;
    rows[at] = tick;
    for (let i = 0; i < last.length; i++) {
      const change = values[i]! - last[i]!;
      rows[at + 1 + i] = Math.max(-INT32_MAX, Math.min(INT32_MAX, change));
      last[i] = values[i]!;
    }
    return true;
  }

  /** What a number has changed by in exactly this tick. */
  change(tick: number, field: number): number {
    for (let age = 0; age < this.#count; age++) {
      const at = this.#rowAt(age);
      const found = this.#rows[at]!;
      if (found < tick) return 0;
      if (found === tick) return this.#rows[at + 1 + field]!;
    }
    return 0;
  }

  /** The values of a number at `ticks`, which go back in time. */
  values(field: number, ticks: Iterable<number>): number[] {
    const values: number[] = [];
    let value = this.last[field]!;
    let age = 0;
    for (const tick of ticks) {
      while (age < this.#count && this.#rows[this.#rowAt(age)]! > tick) {
        value -= this.#rows[this.#rowAt(age) + 1 + field]!;
        age++;
      }
      values.push(value);
    }
    return values;
  }

  #nextRow(): number {
    const capacity = this.#rows.length / this.#rowLength;
    if (this.#count === capacity && capacity < this.#rowsMax) this.#grow(Math.min(this.#rowsMax, 2 * capacity));
    const rows = this.#rows.length / this.#rowLength;
    this.#newest = (this.#newest + 1) % rows;
    if (this.#count < rows) this.#count++;
    return this.#newest * this.#rowLength;
  }

  #grow(rows: number): void {
    const larger = new Int32Array(rows * this.#rowLength);
    for (let age = this.#count - 1, to = 0; age >= 0; age--, to += this.#rowLength) {
      const at = this.#rowAt(age);
      larger.set(this.#rows.subarray(at, at + this.#rowLength), to);
    }
    this.#rows = larger;
    this.#newest = this.#count - 1;
  }

  /** Where the row stands that is the newest but `age`. */
  #rowAt(age: number): number {
    const rows = this.#rows.length / this.#rowLength;
    return ((this.#newest - age + rows) % rows) * this.#rowLength;
  }
}
