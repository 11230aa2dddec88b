// The acknowledgement log of one segment: a header and entries of 16 bytes, each with a checksum of its own that the
// segment's nonce seeds. Entries only ever add to what is settled, so one that is damaged is passed over.

import type { Disk } from "../runtime/disk.ts";
import { xxh32Words } from "./checksum.ts";
import { RangeList } from "./range_list.ts";
import type { Segment } from "./segment.ts";
import { StoreFault } from "./store_event.ts";

const MAGIC = 0x4b41564c; // "LVAK"
export const ACK_LOG_VERSION = 1;
export const ACK_LOG_HEADER_BYTES = 24;
export const ACK_ENTRY_BYTES = 16;
const HEADER_WORDS = ACK_LOG_HEADER_BYTES / 4;
const ENTRY_WORDS = ACK_ENTRY_BYTES / 4;
const NO_WORDS = new Int32Array(0);
const NO_RETURNS: readonly number[] = [];
const KIND_SETTLED = 1;
const KIND_DELIVERED = 2;
const KIND_RETURNED = 3;
/** What an entry's value can hold. */
const RETURNS_MAX = 0xff_ffff;

/** Words that a log is encoded into, shared by the logs of a queue. */
export class AckScratch {
  words = NO_WORDS;

  ensure(words: number): Int32Array {
    if (words > this.words.length) this.words = new Int32Array(Math.max(words, 64, this.words.length * 2));
    return this.words;
  }
}

export class AckLog {
  readonly path: string;
  /** -1 while closed. */
  fd = -1;
  readonly #disk: Disk;
  readonly #queueId: number;
  readonly #segment: number;
  readonly #nonce: number;
  /** Entries that stand in the file. */
  #entries: number;
  /** The header stands in the file. */
  #headed: boolean;
  #made: boolean;

  constructor(disk: Disk, path: string, queueId: number, segment: number, nonce: number, entries = 0, headed = false) {
    this.#disk = disk;
    this.path = path;
    this.#queueId = queueId;
    this.#segment = segment;
    this.#nonce = nonce;
    this.#entries = entries;
    this.#headed = headed;
    this.#made = headed || entries > 0;
  }

  /** The file has been made, by this process or an earlier one. */
  get exists(): boolean {
    return this.#made;
  }

  /**
   * Writes what is pending of `segment` (settled ranges, returns), and "delivered" up to deliveredTo when that is above
   * 0: one write.
   * Returns errno's name when it fails; the file is then as it was, and the same call may be tried again.
   */
  append(segment: Segment, deliveredTo: number, scratch: AckScratch): string | null {
    const { pending } = segment;
    const returns = segment.returns ?? NO_RETURNS;
    pending.normalise();
    const words = scratch.ensure(HEADER_WORDS + (pending.count + returns.length / 2 + 1) * ENTRY_WORDS);
    let at = 0;
    let index = this.#entries;
    const position = this.#headed ? ACK_LOG_HEADER_BYTES + index * ACK_ENTRY_BYTES : 0;
    if (!this.#headed) {
      if (index > 0) return this.#writeHeader(words) ?? this.append(segment, deliveredTo, scratch);
      at = this.#encodeHeader(words);
    }
    for (let i = 0; i < pending.count; i++) {
      at = this.#encode(words, at, index++, KIND_SETTLED, pending.from[i]!, pending.to[i]!);
    }
    for (let i = 0; i < returns.length; i += 2) {
      const unit = returns[i]!;
      const value = Math.min(returns[i + 1]!, RETURNS_MAX);
      at = this.#encode(words, at, index++, KIND_RETURNED | value << 8, unit, unit + 1);
    }
    if (deliveredTo > 0) at = this.#encode(words, at, index++, KIND_DELIVERED, 0, deliveredTo / 8);
    const problem = this.#write(words, at, position);
    if (problem !== null) return problem;
    this.#headed = true;
    this.#entries = index;
    return null;
  }

  /** Gives the descriptor (-1: none) away to be closed; the next append opens the file again. */
  detach(): number {
    const fd = this.fd;
    this.fd = -1;
    return fd;
  }

  #encode(words: Int32Array, at: number, index: number, kindAndValue: number, from: number, to: number): number {
    words[at + 1] = kindAndValue;
    words[at + 2] = from;
    words[at + 3] = to;
    words[at] = xxh32Words(words, at + 1, 3, (this.#nonce + index) | 0);
    return at + ENTRY_WORDS;
  }

  #encodeHeader(words: Int32Array): number {
    words[0] = MAGIC;
    words[1] = ACK_LOG_VERSION | (ACK_LOG_HEADER_BYTES << 16);
    words[2] = this.#queueId;
    words[3] = this.#segment;
    words[4] = this.#nonce;
    words[5] = xxh32Words(words, 0, 5, 0);
    return HEADER_WORDS;
  }

  /** Over a damaged one. */
  #writeHeader(words: Int32Array): string | null {
    const problem = this.#write(words, this.#encodeHeader(words), 0);
    this.#headed ||= problem === null;
    return problem;
  }

  #write(words: Int32Array, count: number, position: number): string | null {
    try {
      if (this.fd < 0) this.fd = this.#disk.open(this.path, this.#made ? "r+" : "w+");
      this.#made = true;
      const bytes = new Uint8Array(words.buffer, 0, count * 4);
      // A full disk shows as a short write on some runtimes, as an exception on others.
      return this.#disk.write(this.fd, bytes, 0, bytes.length, position) === bytes.length ? null : "ENOSPC";
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === "ENOSPC" || code === "EDQUOT" || code === "EMFILE" || code === "ENFILE") return code;
      throw error;
    }
  }
}

export interface AckLogReading {
  /** Sorted and joined. */
  readonly settled: RangeList;
  /** Records before this offset may have been delivered. */
  readonly deliveredTo: number;
  /** How often the record at offset / 8 was given back; null when none was. */
  readonly returns: ReadonlyMap<number, number> | null;
  /** To go on with. */
  readonly log: AckLog;
  /** Entries that are not intact, a header counted as one. */
  readonly damagedEntries: number;
}

/** Reads a log; null when it is an orphan: it belongs to another life of the segment, or nothing in it is intact. */
export function readAckLog(
  disk: Disk,
  path: string,
  queueId: number,
  segment: number,
  nonce: number,
): AckLogReading | null {
  const content = disk.readFile(path);
  if (content === null) return null;
  const wholeBytes = Math.max(0, content.length - ACK_LOG_HEADER_BYTES);
  // The last entry may be a part of one: it is read as a damaged one and written over.
  const entries = Math.floor(wholeBytes / ACK_ENTRY_BYTES);
  const words = new Int32Array(HEADER_WORDS + entries * ENTRY_WORDS);
  new Uint8Array(words.buffer).set(content.subarray(0, Math.min(content.length, words.byteLength)));
  const headed = words[0] === MAGIC && words[5] === xxh32Words(words, 0, 5, 0);
  if (headed) {
    const version = words[1]! & 0xffff;
    if (version !== ACK_LOG_VERSION) {
      throw new StoreFault(
        path,
        `version ${ACK_LOG_VERSION} of acknowledgement logs was expected, ${version} was found`,
      );
    }
    if (words[2] !== (queueId | 0) || words[3] !== segment || words[4] !== nonce) return null;
  }
  const settled = new RangeList();
  let deliveredTo = 0;
  let returns: Map<number, number> | null = null;
  let intact = 0;
  for (let i = 0; i < entries; i++) {
    const at = HEADER_WORDS + i * ENTRY_WORDS;
    if (words[at] !== xxh32Words(words, at + 1, 3, (nonce + i) | 0)) continue;
    intact++;
    const kind = words[at + 1]! & 0xff;
    if (kind === KIND_SETTLED) settled.add(words[at + 2]!, words[at + 3]!);
    else if (kind === KIND_DELIVERED) deliveredTo = Math.max(deliveredTo, words[at + 3]! * 8);
    else if (kind === KIND_RETURNED) (returns ??= new Map()).set(words[at + 2]!, words[at + 1]! >>> 8);
  }
  if (!headed && intact === 0) return null;
  settled.normalise();
  return {
    settled,
    deliveredTo,
    returns,
    log: new AckLog(disk, path, queueId, segment, nonce, entries, headed),
    damagedEntries: entries - intact + (headed ? 0 : 1),
  };
}
