// The bytes of the definitions log (drawn in docs/file_formats.md): header, entries, and how intact entries are found
// among damaged ones. Touches no file.

import { xxh32 } from "./checksum.ts";
import { StoreFault } from "./store_event.ts";

export const HEADER_BYTES = 8;
const MAGIC = 0x4644564c; // "LVDF", little-endian
const VERSION = 1;
const ENTRY_HEADER_BYTES = 8;
/** The JSON of one entry, bytes: a declare with its arguments fits into a frame, and JSON makes little more of it. */
const ENTRY_BYTES_MAX = 8 * 1024 * 1024;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const decoder = new TextDecoder();

/** One change of the topology; what stands in it is its writer's business. */
export type DefinitionsEntry = Record<string, unknown>;

/** Only the beginning of a header: nothing was ever kept behind it. */
export function isTornHeader(bytes: Uint8Array): boolean {
  if (bytes.length >= HEADER_BYTES) return false;
  const header = headerBytes();
  return bytes.every((byte, index) => byte === header[index]);
}

/**
 * Whether the header is ours; false when it is damaged. Throws a StoreFault when it is that of a later version, which is
 * told from a damaged one by the checksum that it ends with.
 */
export function isHeaderIntact(path: string, bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES) return false;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC) return false;
  const version = view.getUint16(4, true);
  const headerLength = view.getUint16(6, true);
  if (version === VERSION && headerLength === HEADER_BYTES) return true;
  const checksumAt = headerLength - 4;
  if (checksumAt < HEADER_BYTES || headerLength > bytes.length) return false;
  if (view.getInt32(checksumAt, true) !== xxh32(bytes, 0, checksumAt, 0)) return false;
  throw new StoreFault(path, `unknown version of a definitions log: expected ${VERSION}, found ${version}`);
}

export function headerBytes(): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = viewOf(header);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, VERSION, true);
  view.setUint16(6, HEADER_BYTES, true);
  return header;
}

/** Entries as they stand in the file, one behind the other. */
export class EntryBuffer {
  bytes = new Uint8Array(1024);
  length = 0;
  readonly #encoder = new TextEncoder();

  /** `path` is for the StoreFault if the entry is too large. */
  push(path: string, entry: DefinitionsEntry): void {
    const json = this.#encoder.encode(JSON.stringify(entry));
    if (json.length > ENTRY_BYTES_MAX) {
      throw new StoreFault(path, `expected an entry of at most ${ENTRY_BYTES_MAX} bytes, found ${json.length}`);
    }
    const at = this.length;
    const end = at + ENTRY_HEADER_BYTES + json.length;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, at));
      this.bytes = grown;
    }
    this.bytes.set(json, at + ENTRY_HEADER_BYTES);
    const view = viewOf(this.bytes);
    view.setUint32(at, json.length, true);
    view.setUint32(at + 4, checksumOf(json), true);
    this.length = end;
  }

  clear(): void {
    this.length = 0;
  }
}

export interface Scan {
  /** Intact entries with their lengths and checksums, in order. */
  readonly entries: EntryRun[];
  /** Damaged bytes with an intact entry behind them. */
  readonly gaps: Run[];
  /** One past the last intact entry. */
  readonly end: number;
}

/** Bytes [from, to). */
export interface Run {
  readonly from: number;
  readonly to: number;
}

export interface EntryRun extends Run {
  readonly entry: DefinitionsEntry;
}

export function scanEntries(bytes: Uint8Array): Scan {
  const view = viewOf(bytes);
  const entries: EntryRun[] = [];
  const gaps: Run[] = [];
  let end = Math.min(HEADER_BYTES, bytes.length);
  // JSON holds no zero byte and the length of an entry ends in one: nothing inside an entry passes for an entry, so
  // behind damage the next one is found by trying every byte.
  for (let at = HEADER_BYTES; at + ENTRY_HEADER_BYTES < bytes.length;) {
    const to = entryEnd(bytes, view, at);
    const entry = to === -1 ? null : decodeEntry(bytes.subarray(at + ENTRY_HEADER_BYTES, to));
    if (entry === null) {
      at += 1;
      continue;
    }
    if (at > end) gaps.push({ from: end, to: at });
    entries.push({ from: at, to, entry });
    at = to;
    end = to;
  }
  return { entries, gaps, end };
}

/** One past the intact entry that begins at `at`, or -1 if none does. */
function entryEnd(bytes: Uint8Array, view: DataView, at: number): number {
  const length = view.getUint32(at, true);
  const from = at + ENTRY_HEADER_BYTES;
  const to = from + length;
  if (length < 2 || length > ENTRY_BYTES_MAX || to > bytes.length) return -1;
  if (bytes[from] !== OPEN_BRACE || bytes[to - 1] !== CLOSE_BRACE) return -1;
  return checksumOf(bytes.subarray(from, to)) === view.getUint32(at + 4, true) ? to : -1;
}

/** Null when it is no object: somebody else wrote it. */
function decodeEntry(json: Uint8Array): DefinitionsEntry | null {
  try {
    return JSON.parse(decoder.decode(json));
  } catch {
    return null;
  }
}

function checksumOf(json: Uint8Array): number {
  return xxh32(json, 0, json.length, json.length) >>> 0;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
