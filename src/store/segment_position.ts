// Where a record lies, as one number: segment * 2^27 + offset / 8. Order of positions is order of arrival.

/** Positions that a segment has: offsets up to 1 GiB, in steps of 8 bytes. */
export const POSITIONS_PER_SEGMENT = 2 ** 27;
/** What a segment may hold at most, bytes, so that every offset has a position. */
export const SEGMENT_BYTES_LIMIT = POSITIONS_PER_SEGMENT * 8;

/** The position of the record at `offset` (bytes, a multiple of 8) in a segment. */
export function positionAt(segment: number, offset: number): number {
  return segment * POSITIONS_PER_SEGMENT + offset / 8;
}

export function segmentOf(position: number): number {
  return Math.floor(position / POSITIONS_PER_SEGMENT);
}

/** Bytes from the start of the segment. */
export function offsetOf(position: number): number {
  return (position % POSITIONS_PER_SEGMENT) * 8;
}
