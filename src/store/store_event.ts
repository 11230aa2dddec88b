// What goes wrong with files of a store: told to the operator (event), or the end of the operation (fault).

export type StoreEventKind =
  /** The end of a file is not whole: cut. Ordinary after a crash; nothing confirmed was in it then. */
  | "torn-tail"
  /** Bytes between intact records, or known to have been records, are not intact: stepped over, kept in quarantine/. */
  | "damaged-record"
  /** A segment's header is damaged, but its records could be read. */
  | "damaged-header"
  /** A segment of a stream is not there any more, between others that are. */
  | "missing-segment"
  /** A file that is no segment of this queue: set aside into quarantine/. */
  | "foreign-segment"
  /** A segment file without any content, left by a crash during its creation: removed. */
  | "empty-segment"
  /** A recycled file whose new life a crash has ended before it began: removed. */
  | "unbegun-segment"
  /** Entries of an acknowledgement log are not intact: passed over, what they settled will be delivered again. */
  | "damaged-acks"
  /** An acknowledgement log without its segment: removed. */
  | "orphan-log"
  /** Acknowledgements could not be written (disk full): kept in memory and tried again. */
  | "acks-delayed"
  /** Something in one of our directories that we did not put there: left alone. */
  | "foreign-file"
  /** Bytes of the definitions log are not intact: some of the topology is lost. The old file is kept. */
  | "damaged-definitions"
  /** Messages of a queue that the definitions do not know: kept in orphans/. */
  | "orphan-queue"
  /** Messages that were kept in orphans/, and whose queue the definitions know again: back in their place. */
  | "returned-queue"
  /** What is left of a queue that was deleted, or that never had a message: removed. */
  | "deleted-queue";

export interface StoreEvent {
  readonly kind: StoreEventKind;
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly detail: string;
}

const DAMAGE: readonly StoreEventKind[] = ["torn-tail", "missing-segment", "foreign-segment", "orphan-queue"];

/**
 * Whether the event tells of bytes that are not what they were. A torn tail may be what a crash left of a write, or a
 * last record that was damaged later: nobody can tell them apart.
 */
export function isDamage(kind: StoreEventKind): boolean {
  return kind.startsWith("damaged-") || DAMAGE.includes(kind);
}

/** A file of a store is not what it has to be: which one, what was expected, what was found. */
export class StoreFault extends Error {
  override readonly name = "StoreFault";
  readonly path: string;

  constructor(path: string, detail: string) {
    super(`${path}: ${detail}`);
    this.path = path;
  }
}
