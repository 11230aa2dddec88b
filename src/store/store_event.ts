// What goes wrong with files of a store: told to the operator (event), or the end of the operation (fault).

export type StoreEventKind =
  /** A record at the end of a segment is not whole: cut. Ordinary after a crash; nothing confirmed was in it. */
  | "torn-tail"
  /** Bytes between intact records, or known to have been records, are not intact: stepped over, kept in quarantine/. */
  | "damaged-record"
  /** A segment's header is damaged, but its records could be read. */
  | "damaged-header"
  /** A file that is no segment of this queue: set aside into quarantine/. */
  | "foreign-segment"
  /** A segment file without any content, left by a crash during its creation: removed. */
  | "empty-segment"
  /** Entries of an acknowledgement log are not intact: passed over, what they settled will be delivered again. */
  | "damaged-acks"
  /** An acknowledgement log without its segment: removed. */
  | "orphan-log"
  /** Acknowledgements could not be written (disk full): kept in memory and tried again. */
  | "acks-delayed";

export interface StoreEvent {
  readonly kind: StoreEventKind;
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly detail: string;
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
