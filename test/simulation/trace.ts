// What happened in a run: a hash over everything, by which two runs are compared, and the last events as text.

const KEPT = 4096;

export class Trace {
  /** Events so far. */
  count = 0;
  #hash = 0x811c9dc5;
  readonly #words = new Map<string, number>();
  readonly #kept: (readonly [atMs: number, what: string, a: number | string, b: number | string])[] = [];
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(what: string, a: number | string = 0, b: number | string = 0): void {
    this.#mix(this.#word(what));
    this.#mix(typeof a === "number" ? a | 0 : this.#word(a));
    this.#mix(typeof b === "number" ? b | 0 : this.#word(b));
    this.#kept[this.count % KEPT] = [this.#now(), what, a, b];
    this.count++;
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** The last events, the oldest first. */
  last(count: number): string[] {
    const lines: string[] = [];
    for (let i = Math.max(0, this.count - Math.min(count, KEPT)); i < this.count; i++) {
      const [atMs, what, a, b] = this.#kept[i % KEPT]!;
      lines.push(`${String(i).padStart(7)} ${atMs.toFixed(2).padStart(12)} ms  ${what} ${a} ${b}`);
    }
    return lines;
  }

  #mix(value: number): void {
    let hash = Math.imul(this.#hash ^ value, 0x01000193);
    hash ^= hash >>> 15;
    this.#hash = Math.imul(hash, 0x85ebca6b) ^ (hash >>> 13);
  }

  #word(text: string): number {
    let hash = this.#words.get(text);
    if (hash !== undefined) return hash;
    hash = 0;
    for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
    this.#words.set(text, hash);
    return hash;
  }
}
