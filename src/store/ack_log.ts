// The acknowledgement log of one segment: a header and entries of 16 bytes, each with a checksum of its own that the
// segment's nonce seeds. Entries only ever add to what is settled, so one that is damaged is passed over.

import type { Disk } from "../runtime/disk.ts";
import { xxh32Words } from "./checksum.ts";
import { FoundFile } from "./found_file.ts";
import { RangeList } from "./range_list.ts";
import { type Segment, SEGMENT_HEADER_BYTES } from "./segment.ts";
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
/** Entries are read in pieces of so many. */
const ENTRIES_READ = 4096;
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

/** What of a segment is to be written. */
type Settled = Pick<Segment, "pending" | "returns">;

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
  append(segment: Settled, deliveredTo: number, scratch: AckScratch): string | null {
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
      // Somebody's folder has its name: acknowledgements stay in memory.
      if (code === "EISDIR") return code;
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
  readonly intactEntries: number;
  /** Entries that are not intact, a header counted as one. */
  readonly damagedEntries: number;
  /** Behind the entries stands a part of one. */
  readonly torn: boolean;
}

/** Reads a log; null when it is an orphan: it belongs to another life of the segment, or nothing was ever in it. */
export function readAckLog(disk: Disk, path: string, queueId: number, segment: Segment): AckLogReading | null {
  const file = FoundFile.open(disk, path);
  try {
    const headed = readHeader(file);
    const { number, nonce } = segment;
    const isOurs = headed === null || (headed[2] === (queueId | 0) && headed[3] === number && headed[4] === nonce);
    return isOurs && file.capacity > 0 ? readEntries(disk, file, queueId, segment, headed !== null) : null;
  } finally {
    file.close();
  }
}

/** The nonce of the segment's life that a log belongs to; null when its header is damaged. */
export function nonceOfAckLog(disk: Disk, path: string): number | null {
  const file = FoundFile.open(disk, path);
  try {
    return readHeader(file)?.[4] ?? null;
  } finally {
    file.close();
  }
}

/** The header's words; null when it is damaged. */
function readHeader(file: FoundFile): Int32Array | null {
  const words = new Int32Array(HEADER_WORDS);
  file.read(0, new Uint8Array(words.buffer), 0, Math.min(ACK_LOG_HEADER_BYTES, file.capacity));
  if (words[0] !== MAGIC || words[5] !== xxh32Words(words, 0, 5, 0)) return null;
  const version = words[1]! & 0xffff;
  if (version === ACK_LOG_VERSION) return words;
  const detail = `version ${ACK_LOG_VERSION} of acknowledgement logs was expected, ${version} was found`;
  throw new StoreFault(file.path, detail);
}

function readEntries(
  disk: Disk,
  file: FoundFile,
  queueId: number,
  segment: Segment,
  headed: boolean,
): AckLogReading {
  const { number, nonce } = segment;
  const bytesOfEntries = Math.max(0, file.capacity - ACK_LOG_HEADER_BYTES);
  const entries = Math.floor(bytesOfEntries / ACK_ENTRY_BYTES);
  const words = new Int32Array(Math.min(entries, ENTRIES_READ) * ENTRY_WORDS);
  const bytes = new Uint8Array(words.buffer);
  const settled = new RangeList();
  let deliveredTo = 0;
  let returns: Map<number, number> | null = null;
  let intact = 0;
  for (let i = 0; i < entries; i++) {
    const at = i % ENTRIES_READ * ENTRY_WORDS;
    if (at === 0) {
      const count = Math.min(entries - i, ENTRIES_READ) * ACK_ENTRY_BYTES;
      file.read(ACK_LOG_HEADER_BYTES + i * ACK_ENTRY_BYTES, bytes, 0, count);
    }
    const kind = words[at + 1]! & 0xff;
    const from = words[at + 2]!;
    const to = words[at + 3]!;
    if (words[at] !== xxh32Words(words, at + 1, 3, (nonce + i) | 0)) continue;
    if (kind <= KIND_RETURNED && !isWithin(kind, from, to, segment.capacity)) continue;
    intact++;
    if (kind === KIND_SETTLED) settled.add(from, to);
    else if (kind === KIND_DELIVERED) deliveredTo = Math.max(deliveredTo, to * 8);
    else if (kind === KIND_RETURNED) (returns ??= new Map()).set(from, words[at + 1]! >>> 8);
  }
  settled.normalise();
  const damaged = entries - intact + (headed ? 0 : 1);
  // Whatever it was that damaged entries spoke of was delivered once.
  if (damaged > 0) deliveredTo = segment.capacity;
  return {
    settled,
    deliveredTo,
    returns,
    log: new AckLog(disk, file.path, queueId, number, nonce, headed || intact > 0 ? entries : 0, headed),
    intactEntries: intact,
    damagedEntries: damaged,
    torn: bytesOfEntries % ACK_ENTRY_BYTES > 0,
  };
}

/** Whether an entry speaks of what a segment of this size can hold. */
function isWithin(kind: number, from: number, to: number, capacity: number): boolean {
  const least = kind === KIND_DELIVERED ? 0 : SEGMENT_HEADER_BYTES / 8;
  return kind > 0 && from >= least && from < to && to <= capacity / 8;
}

/** Writes a log anew with what is intact in it; the one to go on with, null when that cannot be done now. */
export function rewriteAckLog(disk: Disk, reading: AckLogReading, queueId: number, segment: Segment): AckLog | null {
  const { path } = reading.log;
  const beside = `${path}.new`;
  const log = new AckLog(disk, beside, queueId, segment.number, segment.nonce);
  const { returns, settled: pending, deliveredTo } = reading;
  try {
    const written = log.append({ pending, returns: [...returns ?? []].flat() }, deliveredTo, new AckScratch()) === null;
    if (written) disk.sync(log.fd);
    const fd = log.detach();
    if (fd >= 0) disk.close(fd);
    if (!written) throw new Error("the disk is full");
    disk.rename(beside, path);
    const entries = pending.count + (returns?.size ?? 0) + (deliveredTo > 0 ? 1 : 0);
    return new AckLog(disk, path, queueId, segment.number, segment.nonce, entries, true);
  } catch {
    disk.remove(beside);
    return null;
  }
}
