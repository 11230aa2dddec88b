// Bodies that tell who made them and that a single wrong byte gives away: sixteen bytes that name the message, then
// bytes that follow from its name.
//
//   u32 run | u8 publisher | u8 route | u16 zero | u32 number | u32 body bytes | pattern ...

import { Random } from "./random.ts";

export const NAME_BYTES = 16;
const PATTERN_BYTES = 4096;
/** What a body may have at most. */
export const BODY_BYTES_MAX = 256 * 1024;
/** Most are small; one in LARGE_EVERY is large. */
const SMALL_BYTES: readonly number[] = [0, 8, 100, 500, 1_000, 2_000, 5_000];
const LARGE_EVERY = 500;

export interface BodyName {
  publisher: number;
  route: number;
  number: number;
}

export class Bodies {
  readonly #run: number;
  /** The pattern, from any place in its first part as long as any body. */
  readonly #pattern = new Uint8Array(PATTERN_BYTES + BODY_BYTES_MAX);

  constructor(run: number) {
    this.#run = run >>> 0;
    const random = new Random(run);
    for (let i = 0; i < PATTERN_BYTES; i++) this.#pattern[i] = random.next();
    for (let i = PATTERN_BYTES; i < this.#pattern.length; i++) this.#pattern[i] = this.#pattern[i - PATTERN_BYTES]!;
  }

  /** Bytes of a message's body. */
  sizeOf(publisher: number, number: number): number {
    const mixed = Math.imul(number ^ (publisher << 20), 0x9e3779b1) >>> 8;
    if (mixed % LARGE_EVERY === 0) return mixed % (BODY_BYTES_MAX - NAME_BYTES) + NAME_BYTES;
    return NAME_BYTES + SMALL_BYTES[mixed % SMALL_BYTES.length]!;
  }

  /** Writes the body to the beginning of `target`; returns its size. */
  make(target: Uint8Array, { publisher, route, number }: BodyName): number {
    const size = this.sizeOf(publisher, number);
    const view = new DataView(target.buffer, target.byteOffset);
    view.setUint32(0, this.#run);
    view.setUint32(4, (publisher << 24 | route << 16) >>> 0);
    view.setUint32(8, number);
    view.setUint32(12, size);
    const from = this.#from(publisher, number);
    target.set(this.#pattern.subarray(from, from + size - NAME_BYTES), NAME_BYTES);
    return size;
  }

  /** Reads the name at the beginning of a body of `size` bytes into `name`; null when all fits, else what does not. */
  readName(bytes: Uint8Array, at: number, count: number, size: number, name: BodyName): string | null {
    if (count < NAME_BYTES) return `a body that begins with ${count} bytes`;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at);
    if (view.getUint32(0) !== this.#run) return "a body of another run, or a damaged one";
    name.publisher = view.getUint8(4);
    name.route = view.getUint8(5);
    name.number = view.getUint32(8);
    const made = this.sizeOf(name.publisher, name.number);
    if (view.getUint16(6) !== 0 || view.getUint32(12) !== size || made !== size) {
      return `a body of ${size} bytes, ${made} expected, of message ${name.number} of publisher ${name.publisher}`;
    }
    return null;
  }

  /** Whether `count` bytes at `at` are what stands from `offset` on, behind the name. */
  matches(name: BodyName, offset: number, bytes: Uint8Array, at: number, count: number): boolean {
    const from = this.#from(name.publisher, name.number) + offset - NAME_BYTES;
    const expected = Buffer.from(this.#pattern.buffer, from, count);
    return expected.compare(bytes, at, at + count) === 0;
  }

  #from(publisher: number, number: number): number {
    return (Math.imul(number, 31) + publisher * 977 >>> 0) % PATTERN_BYTES;
  }
}
