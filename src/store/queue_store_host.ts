// What a queue store needs of its surroundings; broker.ts gives it.

import type { SegmentFile, SegmentFiles } from "../runtime/runtime.ts";
import type { ReadWindow } from "./read_window.ts";
import type { StoreEvent } from "./store_event.ts";

export interface QueueStoreHost {
  /** Mapped, plain or memory. */
  readonly files: SegmentFiles;
  readonly commit: CommitSink;
  /** Spare full-size files; null in memory. */
  readonly pool: SegmentPool | null;
  /** None: nobody does. */
  readonly space?: SpaceWatch;
  /** What recovery reads through, one queue after the other: 50,000 windows would be gigabytes for the collector. */
  readonly recoveryWindow: ReadWindow;
  /** Segments begun before this time may have been delivered, whatever their logs say; see last_stop.ts. */
  readonly unsureBeforeMs?: number;
  /** Current time, milliseconds since 1970, coarse. */
  now(): number;
  /** Something that an operator must know. */
  report(event: StoreEvent): void;
}

/** Who watches over the room on the disk. */
export interface SpaceWatch {
  /** A file of so many bytes was allocated. */
  allocated(bytes: number): void;
  /** The disk took something not: publishers must stop. */
  full(): void;
  /** The same for what must find room: true when some was made, then try again, once. */
  makeRoom(): boolean;
}

/** Group commit, as a store sees it. */
export interface CommitSink {
  /** `store.flush()` is to be called at the end of this turn. Called once per turn and store. */
  touch(store: { flush(): void }): void;
  /** Bytes of this descriptor (file or directory) wait for a sync: the next one covers them. */
  dirty(fd: number): void;
  /** As `dirty`, but nobody waits for it: it rides with a sync within about a second (acknowledgement logs). */
  dirtyLazily(fd: number): void;
  /**
   * Calls `close` when no running or pending sync refers to `fd` any more, at once if none does. With `forget` a
   * pending need for a sync is dropped first: the file was deleted or recycled.
   */
  release(fd: number, forget: boolean, close: () => void): void;
}

/** Full-size segment files, prepared ahead and recycled. */
export interface SegmentPool {
  /** A spare file of full size moved to `path`, or null when none is ready: then create one yourself. */
  take(path: string): SegmentFile | null;
  /** A consumed full-size segment, kept for its next life or removed. Takes over the ownership of the file. */
  give(file: SegmentFile): void;
  /** Bytes of a full-size segment. */
  readonly segmentBytes: number;
}
