// One segment: its header, its counts, and what of it is settled. An object per live segment, so it stays small; the
// file is open only while it is in use.
//
//    0        4     6     8        12        16        24         32      36      40        44       48      52       60
//   +--------+-----+-----+--------+---------+---------+----------+-------+-------+---------+--------+-------+--------+------+
//   | "LVSG" | u16 | u16 | u32    | u32     | f64     | u64      | u32   | u32   | u32     | u32    | u32   | u64    | u32  |
//   |        | ver | 64  | queue  | segment | created | capacity | nonce | nonce | segment | its    | flags | first  | sum  |
//   |        |     |     | id     | number  | ms      | bytes    |       | again | before  | end/8  |       | offset |      |
//   +--------+-----+-----+--------+---------+---------+----------+-------+-------+---------+--------+-------+--------+------+

import type { SegmentFile } from "../runtime/runtime.ts";
import type { AckLog } from "./ack_log.ts";
import { xxh32 } from "./checksum.ts";
import { RangeList } from "./range_list.ts";
import { POSITIONS_PER_SEGMENT } from "./segment_position.ts";

export const SEGMENT_HEADER_BYTES = 64;
const MAGIC = 0x4753564c; // "LVSG"
export const SEGMENT_VERSION = 1;
/** The file was zeros when it began: other bytes behind the last record are remains of records. */
export const SEGMENT_FRESH = 0x01;
/** Behind the last record stand zeros, as many as a record's head has, though the file was not zeros when it began. */
export const SEGMENT_ENDED = 0x02;

/** So far a stream can be counted, with room to go on: consumers' offsets have 48 bits. */
const FIRST_OFFSET_MAX = 2 ** 48;

export class Segment {
  readonly number: number;
  /** Its position 0. */
  readonly base: number;
  readonly path: string;
  readonly capacity: number;
  readonly nonce: number;
  /** Open while in use. */
  file: SegmentFile | null = null;
  /** What it was in an earlier life stands behind the last record: the tail writes zeros there. */
  recycled = false;
  /** One past its last record; while it is the tail, the tail knows. */
  end = SEGMENT_HEADER_BYTES;
  recordCount = 0;
  settledCount = 0;
  /** Body bytes of its records, of those that recovery found settled excepted. */
  bodyBytes = 0;
  previous: Segment | null = null;
  next: Segment | null = null;
  /** Settled records behind the head, found by recovery: offsets / 8, at whole records. */
  holes: RangeList | null = null;
  holeIndex = 0;
  /** Records before this offset were delivered by an earlier process. */
  redeliveredBefore = 0;
  acks: AckLog | null = null;
  /** Settled, not yet in the log. */
  readonly pending: RangeList = new RangeList();
  /** Given back, not yet in the log: offset / 8 and how often, in turns. Null when there are none. */
  returns: number[] | null = null;
  /** Up to this offset the log says "delivered", and up to this one it shall. */
  deliveredTo = 0;
  deliveredWanted = 0;
  /** It is in the list of segments to look after at the end of the turn. */
  changed = false;

  constructor(number: number, path: string, capacity: number, nonce: number) {
    this.number = number;
    this.base = number * POSITIONS_PER_SEGMENT;
    this.path = path;
    this.capacity = capacity;
    this.nonce = nonce;
  }

  get settled(): boolean {
    return this.settledCount === this.recordCount;
  }

  /** Where the next record begins that was not settled before recovery, from `offset` on; offsets only ever ascend. */
  skipHoles(offset: number): number {
    const holes = this.holes;
    if (holes === null) return offset;
    const at = offset / 8;
    let index = this.holeIndex;
    while (index < holes.count && holes.to[index]! <= at) index++;
    this.holeIndex = index;
    if (index === holes.count) {
      this.holes = null;
      return offset;
    }
    return holes.from[index]! <= at ? holes.to[index]! * 8 : offset;
  }
}

export interface SegmentHeader {
  readonly queueId: number;
  readonly number: number;
  readonly createdMs: number;
  readonly capacity: number;
  readonly nonce: number;
  /** The segment before this one when this one was made, and where its records ended; 0 when there was none. */
  readonly previousNumber: number;
  readonly previousEnd: number;
  readonly flags: number;
  /** Of a stream: the offset of its first message. 0 in queues. */
  readonly firstOffset: number;
}

/** What stands in a segment's first bytes. A damaged one still yields the nonces that may be right. */
export type SegmentHeaderReading =
  | { readonly kind: "intact"; readonly header: SegmentHeader }
  | { readonly kind: "version"; readonly version: number }
  | { readonly kind: "zeros" }
  | { readonly kind: "damaged"; readonly nonces: readonly number[] };

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, SEGMENT_VERSION, true);
  view.setUint16(6, SEGMENT_HEADER_BYTES, true);
  view.setUint32(8, header.queueId, true);
  view.setUint32(12, header.number, true);
  view.setFloat64(16, header.createdMs, true);
  view.setBigUint64(24, BigInt(header.capacity), true);
  view.setInt32(32, header.nonce, true);
  view.setInt32(36, header.nonce, true);
  view.setUint32(40, header.previousNumber, true);
  view.setUint32(44, header.previousEnd / 8, true);
  view.setUint32(48, header.flags, true);
  view.setBigUint64(52, BigInt(header.firstOffset), true);
  view.setInt32(60, xxh32(bytes, 0, 60, 0), true);
  return bytes;
}

export function readSegmentHeader(bytes: Uint8Array): SegmentHeaderReading {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES);
  const nonce = view.getInt32(32, true);
  if (view.getUint32(0, true) !== MAGIC || view.getInt32(60, true) !== xxh32(bytes, 0, 60, 0)) {
    if (bytes.subarray(0, SEGMENT_HEADER_BYTES).every((byte) => byte === 0)) return { kind: "zeros" };
    return { kind: "damaged", nonces: [nonce, view.getInt32(36, true)] };
  }
  // Magic, version and checksum stand at these places in every version.
  const version = view.getUint16(4, true);
  if (version !== SEGMENT_VERSION) return { kind: "version", version };
  const firstOffset = Number(view.getBigUint64(52, true));
  if (firstOffset > FIRST_OFFSET_MAX) return { kind: "damaged", nonces: [nonce] };
  return {
    kind: "intact",
    header: {
      queueId: view.getUint32(8, true),
      number: view.getUint32(12, true),
      createdMs: view.getFloat64(16, true),
      capacity: Number(view.getBigUint64(24, true)),
      nonce,
      previousNumber: view.getUint32(40, true),
      previousEnd: view.getUint32(44, true) * 8,
      flags: view.getUint32(48, true),
      firstOffset,
    },
  };
}
