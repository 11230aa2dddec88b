// Random numbers that a seed gives again, in the shapes that fuzzing asks for.

/** Values at which lengths and counts go wrong. */
export const EDGES: readonly bigint[] = [
  0n,
  1n,
  2n,
  127n,
  128n,
  255n,
  256n,
  32_767n,
  32_768n,
  65_535n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Marsaglia's xorshift with 128 bits of state. */
export class FuzzRandom {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    this.#a = scramble(seed);
    this.#b = scramble(this.#a);
    this.#c = scramble(this.#b);
    this.#d = scramble(this.#c) | 1;
  }

  /** 32 bits, unsigned. */
  next(): number {
    let t = this.#d;
    const s = this.#a;
    this.#d = this.#c;
    this.#c = this.#b;
    this.#b = s;
    t ^= t << 11;
    t ^= t >>> 8;
    this.#a = t ^ s ^ (s >>> 19);
    return this.#a >>> 0;
  }

  /** From 0 to `limit` - 1. */
  below(limit: number): number {
    return this.next() % limit;
  }

  /** Both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) bytes[i] = this.next() >>> 7;
    return bytes;
  }

  /** Small mostly, now and then up to `most`. */
  size(most: number): number {
    return this.below(this.oneIn(8) ? most + 1 : Math.min(most, 12) + 1);
  }

  /** A value of EDGES, or one beside it. */
  edge(): bigint {
    return this.pick(EDGES) + BigInt(this.oneIn(3) ? this.between(-1, 1) : 0);
  }
}

/** The seed of one case of a run. */
export function caseSeed(runSeed: number, index: number): number {
  return scramble(runSeed ^ scramble(index + 0x5bd1e995)) >>> 0;
}

function scramble(value: number): number {
  let x = (value + 0x9e3779b9) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return x ^ (x >>> 15);
}
