// Positions that are ready again, before the head: a binary heap in a typed array, the oldest first. Pushing in
// ascending order, which is what a consumer that goes away does, costs a comparison each.

const LEAST = 16;

export class Requeued {
  count = 0;
  #heap = new Float64Array(0);

  /** The oldest position. Only when `count` is above 0. */
  get first(): number {
    return this.#heap[0]!;
  }

  push(position: number): void {
    let at = this.count++;
    if (at === this.#heap.length) this.#resize(Math.max(LEAST, at * 2));
    const heap = this.#heap;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (heap[parent]! <= position) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = position;
  }

  /** Removes the oldest position and returns it. */
  pop(): number {
    const heap = this.#heap;
    const first = heap[0]!;
    const count = --this.count;
    const moved = heap[count]!;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= count) break;
      if (child + 1 < count && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= moved) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
    if (count === 0 && heap.length > LEAST) this.#heap = new Float64Array(0);
    else if (count > LEAST && count < heap.length / 4) this.#resize(heap.length / 2);
    return first;
  }

  #resize(length: number): void {
    const heap = new Float64Array(length);
    heap.set(this.#heap.subarray(0, Math.min(this.#heap.length, length)));
    this.#heap = heap;
  }
}
