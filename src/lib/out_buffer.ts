// Bytes on their way out of a connection. Owns one growing buffer, which it borrows from a pool while something
// stands in it, so that an idle connection costs none. Knows nothing of sockets or protocols.

/** A write of this size costs little more per byte than a larger one. */
export const OUT_BUFFER_BYTES = 64 * 1024;
/** Sizes of pooled buffers, bytes. */
const SIZES: readonly number[] = [16 * 1024, OUT_BUFFER_BYTES, 256 * 1024, 1024 * 1024];
/** Buffers of each size that a pool keeps; more are left to the garbage collector. */
const POOLED_MAX: readonly number[] = [256, 64, 8, 4];
/** With more than this lent, bytes, a pool is crowded. */
const CROWDED_BYTES = 64 * 1024 * 1024;

const EMPTY = new Uint8Array(0);
const EMPTY_VIEW = new DataView(EMPTY.buffer);

/** Buffers that wait for their next use; one pool per runtime instance. */
export class BufferPool {
  readonly #free: readonly DataView<ArrayBuffer>[][] = SIZES.map(() => []);
  #lentBytes = 0;

  /** So much is under way that nobody should let much more stand in a buffer. */
  get crowded(): boolean {
    return this.#lentBytes > CROWDED_BYTES;
  }

  /** A buffer of `count` bytes or more; its contents are left over from earlier use. */
  take(count: number): DataView<ArrayBuffer> {
    const index = SIZES.findIndex((size) => size >= count);
    const size = SIZES[index] ?? 2 ** Math.ceil(Math.log2(count));
    this.#lentBytes += size;
    return this.#free[index]?.pop() ?? new DataView(new ArrayBuffer(size));
  }

  /** As `take`, but not twice as large as it has to be where no size fits. */
  takeExactly(count: number): DataView<ArrayBuffer> {
    if (count <= SIZES.at(-1)!) return this.take(count);
    this.#lentBytes += count;
    return new DataView(new ArrayBuffer(count));
  }

  give(view: DataView): void {
    this.#lentBytes -= view.byteLength;
    const index = SIZES.indexOf(view.byteLength);
    if (index < 0) return;
    const free = this.#free[index]!;
    if (free.length < POOLED_MAX[index]!) free.push(view as DataView<ArrayBuffer>);
  }
}

/**
 * A writer calls `reserve(count)`, writes `count` bytes at the offset it returns into `bytes` or `view`, and the
 * bytes stand in the buffer. `bytes` and `view` may change with every call of `reserve`: never keep them over one.
 */
export class OutBuffer {
  bytes: Uint8Array = EMPTY;
  view: DataView = EMPTY_VIEW;
  /** First byte that is not yet sent. */
  start = 0;
  /** One past the last byte written. */
  end = 0;
  readonly #pool: BufferPool;
  /** Of the buffer that it had last, so that one that is always full does not grow step by step. */
  #bytesBefore = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Bytes that stand here and are not sent yet. */
  get length(): number {
    return this.end - this.start;
  }

  /** All buffers of its pool together hold very much. */
  get crowded(): boolean {
    return this.#pool.crowded;
  }

  /** Makes room for `count` bytes and returns the offset at which they begin. Hot. */
  reserve(count: number): number {
    const at = this.end;
    const end = at + count;
    if (end > this.bytes.length) return this.#grow(count);
    this.end = end;
    return at;
  }

  /** Copies `count` bytes of `source` from `from` on to the end. */
  append(source: Uint8Array, from = 0, count = source.length - from): void {
    const at = this.reserve(count);
    copyBytes(source, from, this.bytes, at, count);
  }

  /** `count` bytes from `start` on have been sent. Gives the buffer back when nothing is left. */
  consume(count: number): void {
    this.start += count;
    if (this.start === this.end) this.clear();
  }

  /** Forgets everything that stands here and gives the buffer back. */
  clear(): void {
    const bytes = this.bytes.length;
    this.#bytesBefore = this.end > bytes / 4 ? Math.min(bytes, OUT_BUFFER_BYTES) : 0;
    this.start = 0;
    this.end = 0;
    this.#pool.give(this.view);
    this.bytes = EMPTY;
    this.view = EMPTY_VIEW;
  }

  /**
   * Makes room for `count` bytes that follow in several pieces: a large message is not copied again and again, and takes
   * up no more than it has to.
   */
  ensure(count: number): void {
    if (this.end + count <= this.bytes.length) return;
    const length = this.end - this.start;
    this.#replace(this.#pool.takeExactly(length + count));
    this.start = 0;
    this.end = length;
  }

  #grow(count: number): number {
    const length = this.end - this.start;
    const wanted = length + count;
    if (wanted <= this.bytes.length && this.start >= length) {
      this.bytes.copyWithin(0, this.start, this.end);
    } else {
      this.#replace(this.#pool.take(Math.max(wanted, this.#bytesBefore)));
    }
    this.start = 0;
    this.end = wanted;
    return length;
  }

  #replace(view: DataView<ArrayBuffer>): void {
    const [old, oldView] = [this.bytes, this.view];
    this.view = view;
    this.bytes = new Uint8Array(view.buffer);
    this.bytes.set(old.subarray(this.start, this.end));
    this.#pool.give(oldView);
  }
}

/** Copies `count` bytes; a loop where that is cheaper than making a view. Hot. */
export function copyBytes(source: Uint8Array, from: number, target: Uint8Array, to: number, count: number): void {
  if (count < 64) {
    for (let i = 0; i < count; i++) target[to + i] = source[from + i]!;
  } else {
    target.set(from === 0 && count === source.length ? source : source.subarray(from, from + count), to);
  }
}
