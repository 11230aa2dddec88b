// How much a publisher hands to the kernel before whatever else runs in this process has its turn, and how much is due.

/** What all publishers together hand over in one turn: a turn of a consumer may bring 512 KiB too. */
const TURN_BYTES = 384 * 1024;
/** Larger writes are hardly cheaper, smaller ones dear. */
const BATCH_BYTES_MAX = 64 * 1024;
const BATCH_BYTES_MIN = 8 * 1024;

export interface Batches {
  /** Of one write. */
  readonly bytes: number;
  readonly perTurn: number;
}

export function batchesOf(publishers: number): Batches {
  const share = TURN_BYTES / publishers;
  const bytes = Math.min(BATCH_BYTES_MAX, Math.max(BATCH_BYTES_MIN, Math.floor(share)));
  return { bytes, perTurn: Math.max(1, Math.floor(share / bytes)) };
}

/** How many messages a publisher of this rate should have sent by now, which began at `startedMs`. */
export function dueOf(rate: { readonly ratePerMs: number; readonly phase: number }, startedMs: number): number {
  if (rate.ratePerMs === Infinity) return Infinity;
  return Math.floor((performance.now() - startedMs) * rate.ratePerMs + rate.phase);
}
