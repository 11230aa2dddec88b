// Latencies as counts in buckets that widen with the value: 64 to each doubling, so a percentile is at most 1.6 % off.
// Recording allocates nothing.

/** Values below this have a bucket of their own. */
const LINEAR_MAX = 64;
const BUCKETS_PER_DOUBLING = 64;
const BITS = 6;
/** Up to 2^32 - 1: one linear part, then one for each doubling from 2^6 on. */
const BUCKETS = LINEAR_MAX + (32 - BITS) * BUCKETS_PER_DOUBLING;

export class LatencyHistogram {
  count = 0;
  min = 0xFFFF_FFFF;
  max = 0;
  readonly #buckets = new Float64Array(BUCKETS);

  /** Counts one value, an integer from 0 to 2^32 - 1. Hot. */
  record(value: number): void {
    this.count++;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
    this.#buckets[bucketOf(value)]!++;
  }

  clear(): void {
    this.count = 0;
    this.min = 0xFFFF_FFFF;
    this.max = 0;
    this.#buckets.fill(0);
  }

  add(other: LatencyHistogram): void {
    this.count += other.count;
    if (other.min < this.min) this.min = other.min;
    if (other.max > this.max) this.max = other.max;
    for (let i = 0; i < BUCKETS; i++) this.#buckets[i]! += other.#buckets[i]!;
  }

  /** The value that `share` (0 to 1) of all values do not exceed: the middle of its bucket, within min and max. */
  percentile(share: number): number {
    let left = Math.max(1, Math.ceil(share * this.count));
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.#buckets[i]!;
      if (left <= 0) return Math.min(this.max, Math.max(this.min, middleOf(i)));
    }
    return this.max;
  }
}

function bucketOf(value: number): number {
  if (value < LINEAR_MAX) return value;
  const shift = 31 - Math.clz32(value) - BITS;
  return LINEAR_MAX + shift * BUCKETS_PER_DOUBLING + (value >>> shift) - BUCKETS_PER_DOUBLING;
}

function middleOf(bucket: number): number {
  if (bucket < LINEAR_MAX) return bucket;
  const shift = Math.floor((bucket - LINEAR_MAX) / BUCKETS_PER_DOUBLING);
  const step = (bucket - LINEAR_MAX) % BUCKETS_PER_DOUBLING;
  const width = 2 ** shift;
  return (BUCKETS_PER_DOUBLING + step) * width + Math.floor(width / 2);
}
