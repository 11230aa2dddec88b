// A window of ordinary memory over segment files, for whatever is not in the tail buffer any more. Reads ahead when it
// is read in order. Whatever is taken from it was checked against its checksum.

import type { SegmentFiles } from "../runtime/runtime.ts";
import { NO_RECORDS, paddedBytes, RECORD_HEADER_BYTES, RecordBuffer, recordBytesAt, recordIntact } from "./record.ts";
import { type Segment, SEGMENT_HEADER_BYTES } from "./segment.ts";

/** Read ahead at most where a whole segment is read front to back, bytes. */
export const RECOVERY_AHEAD_BYTES = 256 * 1024;
/** Read when nothing tells that more will be wanted, bytes. */
const FIRST_BYTES = 4 * 1024;

export class ReadWindow {
  buffer: RecordBuffer = NO_RECORDS;
  segment: Segment | null = null;
  /** The offsets in the segment that the window covers. */
  #from = 0;
  #end = 0;
  #aheadBytes = FIRST_BYTES;
  readonly #files: SegmentFiles;
  readonly #aheadBytesMax: number;

  /** `aheadBytesMax`: a multiple of 8. */
  constructor(files: SegmentFiles, aheadBytesMax: number) {
    this.#files = files;
    this.#aheadBytesMax = aheadBytesMax;
  }

  /**
   * Where in `buffer` the record at `offset` of `segment` lies, whole and intact; -1 when no intact record is there.
   * Reads nothing from `limit` on. `buffer` may change with every call.
   */
  record(segment: Segment, offset: number, limit: number): number {
    const seed = (segment.nonce + offset / 8) | 0;
    let at = this.hold(segment, offset, RECORD_HEADER_BYTES, limit);
    if (at < 0) return -1;
    const recordBytes = recordBytesAt(this.buffer.words, at, limit - offset, seed);
    if (recordBytes === 0) return -1;
    at = this.hold(segment, offset, paddedBytes(recordBytes), limit);
    return at >= 0 && recordIntact(this.buffer.words, at, recordBytes, seed) ? at : -1;
  }

  /** The offset of the first intact record from `offset` on, -1 when there is none before `limit`. */
  findRecord(segment: Segment, offset: number, limit: number): number {
    for (let from = offset; from + RECORD_HEADER_BYTES <= limit;) {
      const at = this.hold(segment, from, RECORD_HEADER_BYTES, limit);
      const last = this.#end - RECORD_HEADER_BYTES - from;
      const words = this.buffer.words;
      let step = 0;
      for (; step <= last; step += 8) {
        // Zeros are what is most often found: an unused rest.
        if (words[(at + step) / 4 + 1] === 0) continue;
        const seed = (segment.nonce + (from + step) / 8) | 0;
        if (recordBytesAt(words, at + step, limit - from - step, seed) !== 0) break;
      }
      from += step;
      // The look at the whole record may move the window, so the search starts again behind it.
      if (step <= last) {
        if (this.record(segment, from, limit) >= 0) return from;
        from += 8;
      }
    }
    return -1;
  }

  /** Where in `buffer` `count` bytes from `offset` on stand; -1 when they would reach over `limit`. */
  hold(segment: Segment, offset: number, count: number, limit: number): number {
    if (segment === this.segment && offset >= this.#from && offset + count <= this.#end) return offset - this.#from;
    if (offset + count > limit) return -1;
    const inOrder = segment === this.segment
      ? offset >= this.#from && offset <= this.#end
      : offset === SEGMENT_HEADER_BYTES;
    this.#aheadBytes = inOrder ? Math.min(this.#aheadBytes * 4, this.#aheadBytesMax) : FIRST_BYTES;
    const size = Math.min(limit - offset, Math.max(count, this.#aheadBytes));
    if (size > this.buffer.bytes.length || this.buffer.bytes.length > 2 * Math.max(size, this.#aheadBytesMax)) {
      this.buffer = new RecordBuffer((Math.max(size, Math.min(this.#aheadBytes, limit)) + 7) & ~7);
    }
    const file = segment.file ??= this.#files.open(segment.path);
    // A read that fails must not leave the window claiming what it does not hold.
    this.segment = null;
    file.read(offset, this.buffer.bytes, 0, size);
    this.segment = segment;
    this.#from = offset;
    this.#end = offset + size;
    return 0;
  }

  /** Holds nothing any more. */
  clear(): void {
    this.segment = null;
    this.buffer = NO_RECORDS;
    this.#aheadBytes = FIRST_BYTES;
  }

  /** The segment goes, or bytes of it have changed. */
  forget(segment: Segment): void {
    if (this.segment === segment) this.segment = null;
  }
}
