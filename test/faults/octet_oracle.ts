// What has to come out of files that were broken, judged by their octets alone: it reads the formats of
// docs/file_formats.md by itself, in files that are known to be whole, and compares octets. It calls nothing of the store.

import { dirname, join } from "node:path";
import { queuePath } from "../support/memory_disk.ts";
import { DEFINITIONS_PATH, type Delivered, type Kept, QUEUE_IDS, type StoreKind } from "./store_under_test.ts";

export type Files = ReadonlyMap<string, Uint8Array>;

const SEGMENT_HEADER = 64;
const RECORD_HEADER = 24;
const ACK_HEADER = 24;
const ACK_ENTRY = 16;
const DEFINITIONS_HEADER = 8;
const OFFSETS_HEADER = 20;
const OFFSETS_ENTRY_HEAD = 11;
const SETTLED = 1;
const decoder = new TextDecoder();

/** The oldest first, the highest priority before the others. */
export function recordsOf(files: Files, kind: StoreKind): Kept[] {
  const kept: Kept[] = [];
  for (const path of segmentPaths(files, kind)) {
    for (const { from, to, bodyFrom, bodyTo } of recordRanges(files.get(path)!)) {
      kept.push({ path, from, to, body: decoder.decode(files.get(path)!.subarray(bodyFrom, bodyTo)) });
    }
  }
  return kept;
}

/** One past the last record. */
export function endOfRecords(segment: Uint8Array): number {
  return recordRanges(segment).at(-1)?.to ?? SEGMENT_HEADER;
}

export function segmentPaths(files: Files, kind: StoreKind): string[] {
  const root = queuePath(QUEUE_IDS[kind]);
  const paths = [...files.keys()].filter((path) => path.startsWith(`${root}/`) && /\/msgs\.\d+$/.test(path));
  const directories = [...new Set(paths.map((path) => dirname(path)))].sort().reverse();
  return directories.flatMap((directory) => paths.filter((path) => dirname(path) === directory).sort());
}

export function ackPathOf(segmentPath: string): string {
  return segmentPath.replace(/msgs\.(\d+)$/, "acks.$1");
}

/** What a start has to deliver of the files `broken`, which were `whole`. */
export function expectedOf(whole: Files, broken: Files, kind: StoreKind): Expected[] {
  const expected: Expected[] = [];
  for (const [offset, record] of recordsOf(whole, kind).entries()) {
    if (!isSame(whole, broken, record.path, record.from, record.to)) continue;
    const acks = ackPathOf(record.path);
    const entries = entriesCovering(whole.get(acks), record.from / 8);
    if (entries.some((at) => isSame(whole, broken, acks, at, at + ACK_ENTRY))) continue;
    expected.push({ body: record.body, offset: kind === "stream" ? offset : 0, comesBack: entries.length > 0 });
  }
  return expected;
}

export interface Expected {
  readonly body: string;
  readonly offset: number;
  /** It was acknowledged, and what said so is broken. */
  readonly comesBack: boolean;
}

/** Why this is not what had to be delivered; null when it is. */
export function deliveryFault(expected: readonly Expected[], delivered: readonly Delivered[]): string | null {
  for (let i = 0; i < Math.max(expected.length, delivered.length); i++) {
    const [wanted, got] = [expected[i], delivered[i]];
    if (wanted === undefined) return `${quoted(got!.body)} was delivered, and nothing was left`;
    if (got === undefined) return `${quoted(wanted.body)} is lost`;
    if (wanted.body !== got.body) {
      const isMissing = !delivered.some(({ body }) => body === wanted.body);
      return `${quoted(got.body)} was delivered in place of ${quoted(wanted.body)}${
        isMissing ? ", which is lost" : ""
      }`;
    }
    if (wanted.offset !== got.offset) return `${quoted(got.body)} has offset ${got.offset} and had ${wanted.offset}`;
  }
  return null;
}

export function quoted(body: string): string {
  return JSON.stringify(body.slice(0, 40));
}

/** The entries of a definitions log that are as they were. */
export function expectedDefinitions(whole: Files, broken: Files): unknown[] {
  const bytes = whole.get(DEFINITIONS_PATH)!;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const expected: unknown[] = [];
  for (let at = DEFINITIONS_HEADER; at < bytes.length;) {
    const to = at + 8 + view.getUint32(at, true);
    if (isSame(whole, broken, DEFINITIONS_PATH, at, to)) {
      expected.push(JSON.parse(decoder.decode(bytes.subarray(at + 8, to))));
    }
    at = to;
  }
  return expected;
}

export const OFFSETS_PATH = join(queuePath(QUEUE_IDS.stream), "offsets");

/** Of each consumer the last offset that is as it was; -1 when none is. */
export function expectedOffsets(whole: Files, broken: Files, names: readonly string[]): Map<string, number> {
  const bytes = whole.get(OFFSETS_PATH)!;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const expected = new Map(names.map((name) => [name, -1]));
  for (let at = OFFSETS_HEADER; at < bytes.length;) {
    const to = at + OFFSETS_ENTRY_HEAD + bytes[at + 4]!;
    if (isSame(whole, broken, OFFSETS_PATH, at, to)) {
      expected.set(decoder.decode(bytes.subarray(at + OFFSETS_ENTRY_HEAD, to)), view.getUint32(at + 5, true));
    }
    at = to;
  }
  return expected;
}

function recordRanges(segment: Uint8Array): { from: number; to: number; bodyFrom: number; bodyTo: number }[] {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.byteLength);
  const ranges = [];
  for (let from = SEGMENT_HEADER; from + RECORD_HEADER <= segment.length;) {
    const bytes = view.getUint32(from + 4, true);
    if (bytes === 0) break;
    const bodyFrom = from + RECORD_HEADER + view.getUint32(from + 8, true) + view.getUint16(from + 18, true);
    const to = from + (bytes + 7 & ~7);
    ranges.push({ from, to, bodyFrom, bodyTo: from + bytes });
    from = to;
  }
  return ranges;
}

/** Where the entries stand that settle the record at `unit` (its offset / 8). */
function entriesCovering(log: Uint8Array | undefined, unit: number): number[] {
  if (log === undefined) return [];
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength);
  const found: number[] = [];
  for (let at = ACK_HEADER; at + ACK_ENTRY <= log.length; at += ACK_ENTRY) {
    const isSettled = log[at + 4] === SETTLED;
    if (isSettled && view.getUint32(at + 8, true) <= unit && unit < view.getUint32(at + 12, true)) found.push(at);
  }
  return found;
}

function isSame(whole: Files, broken: Files, path: string, from: number, to: number): boolean {
  const [a, b] = [whole.get(path), broken.get(path)];
  if (a === undefined || b === undefined || b.length < to) return false;
  for (let at = from; at < to; at++) if (a[at] !== b[at]) return false;
  return true;
}
