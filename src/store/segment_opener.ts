// Finds out what a segment file is when its queue is opened, and says what is wrong with it: files that are none are set
// aside or removed, torn tails and damaged bytes are told and kept for a human.

import { nonceOfAckLog } from "./ack_log.ts";
import { FoundFile } from "./found_file.ts";
import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import type { ReadWindow } from "./read_window.ts";
import { RECORD_HEADER_BYTES, recordBytesAt } from "./record.ts";
import {
  readSegmentHeader,
  Segment,
  SEGMENT_ENDED,
  SEGMENT_FRESH,
  SEGMENT_HEADER_BYTES,
  SEGMENT_VERSION,
  type SegmentHeader,
} from "./segment.ts";
import { StoreFault } from "./store_event.ts";

const PIECE_BYTES = 64 * 1024;

export interface OpenedSegment {
  /** Its file is open. */
  readonly segment: Segment;
  /** Null when it is damaged. */
  readonly header: SegmentHeader | null;
}

export class SegmentOpener {
  readonly #queueId: number;
  readonly #directory: QueueDirectory;
  readonly #host: QueueStoreHost;
  readonly #window: ReadWindow;
  /** A file was set aside. */
  #foreign = false;

  constructor(queueId: number, directory: QueueDirectory, host: QueueStoreHost, window: ReadWindow) {
    this.#queueId = queueId;
    this.#directory = directory;
    this.#host = host;
    this.#window = window;
  }

  /**
   * The segment behind a file, null when there is none in it. `logged`: it has an acknowledgement log. `isLast`: the
   * queue has none with a higher number.
   */
  open(number: number, logged: boolean, isLast: boolean): OpenedSegment | null {
    const path = this.#directory.segmentPath(number);
    const file = FoundFile.open(this.#host.files.disk, path);
    let opened: OpenedSegment | null = null;
    try {
      opened = file.capacity < SEGMENT_HEADER_BYTES
        ? this.#dropEmpty(path, file.capacity)
        : this.#identify(number, file, logged, isLast);
    } finally {
      if (opened === null) file.close();
    }
    return opened;
  }

  #identify(number: number, file: FoundFile, logged: boolean, isLast: boolean): OpenedSegment | null {
    const { path } = file;
    const capacity = file.capacity & ~7;
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    file.read(0, bytes, 0, SEGMENT_HEADER_BYTES);
    const reading = readSegmentHeader(bytes);
    switch (reading.kind) {
      case "version":
        throw new StoreFault(path, `version ${SEGMENT_VERSION} of segments was expected, ${reading.version} was found`);
      case "intact": {
        const { header } = reading;
        if (header.queueId === this.#queueId && header.number === number) {
          const segment = new Segment(number, path, capacity, header.nonce);
          segment.file = file;
          return { segment, header };
        }
        const whose = `segment ${header.number} of queue ${header.queueId}`;
        // Whatever was confirmed since it was recycled would have brought the new header to the disk as well.
        // Where others are not this queue's either, somebody has put them here.
        const isRecycled = isLast && !logged && !this.#foreign && capacity === header.capacity &&
          capacity === this.#host.pool?.segmentBytes;
        return isRecycled
          ? this.#dropUnbegun(path, capacity, whose)
          : this.#setAside(path, capacity, `${whose} was found`);
      }
      case "zeros":
      case "damaged": {
        const nonces = reading.kind === "damaged" ? [...reading.nonces] : [];
        const fromLog = logged ? nonceOfAckLog(this.#host.files.disk, this.#directory.logPath(number)) : null;
        if (fromLog !== null) nonces.push(fromLog);
        return this.#identifyByRecords(number, file, capacity, nonces) ??
          (reading.kind === "zeros" && isZero(file)
            ? this.#dropEmpty(path, capacity)
            : this.#setAside(path, capacity, "no header of a segment and no record was found"));
      }
    }
  }

  /** The header is damaged: one of these nonces may be the right one. */
  #identifyByRecords(number: number, file: FoundFile, capacity: number, nonces: number[]): OpenedSegment | null {
    const { path } = file;
    for (const nonce of new Set(nonces)) {
      const segment = new Segment(number, path, capacity, nonce);
      segment.file = file;
      const first = this.#window.findRecord(segment, SEGMENT_HEADER_BYTES, capacity);
      this.#window.forget(segment);
      if (first < 0) continue;
      if (this.#directory.quarantine(segment, 0, SEGMENT_HEADER_BYTES)) {
        const detail = "its records could be read";
        this.#host.report({ kind: "damaged-header", path, offset: 0, bytes: SEGMENT_HEADER_BYTES, detail });
      }
      return { segment, header: null };
    }
    return null;
  }

  /** Tells of the remains of a record at the end of the records, where they can be told from an unused rest. */
  lookBehind(segment: Segment, header: SegmentHeader | null): void {
    const { end, capacity, nonce } = segment;
    const isClean = header !== null && (header.flags & (SEGMENT_FRESH | SEGMENT_ENDED)) !== 0;
    const room = Math.min(RECORD_HEADER_BYTES, capacity - end);
    const at = this.#window.hold(segment, end, room, capacity);
    const { words, bytes } = this.#window.buffer;
    const whole = room === RECORD_HEADER_BYTES;
    const recordBytes = whole ? recordBytesAt(words, at, capacity - end, (nonce + end / 8) | 0) : 0;
    const remains = bytes.subarray(at, at + room).some((byte) => byte !== 0);
    if (recordBytes === 0 && !(isClean && remains)) return;
    if (!this.#directory.quarantine(segment, end, Math.max(recordBytes, room))) return;
    const detail = "the last record is not whole, cut, kept in quarantine/";
    this.#host.report({ kind: "torn-tail", path: segment.path, offset: end, bytes: recordBytes, detail });
  }

  /** Bytes between intact records, or known to have been records, are not intact. */
  stepOver(segment: Segment, from: number, to: number): void {
    if (!this.#directory.quarantine(segment, from, to - from)) return;
    const detail = "not intact, stepped over, kept in quarantine/";
    this.#host.report({ kind: "damaged-record", path: segment.path, offset: from, bytes: to - from, detail });
  }

  #dropEmpty(path: string, bytes: number): null {
    this.#directory.remove(path);
    this.#host.report({ kind: "empty-segment", path, offset: 0, bytes, detail: "made, but never begun" });
    return null;
  }

  #dropUnbegun(path: string, bytes: number, whose: string): null {
    this.#directory.remove(path);
    const detail = `recycled, it was ${whose}, and never begun again`;
    this.#host.report({ kind: "unbegun-segment", path, offset: 0, bytes, detail });
    return null;
  }

  #setAside(path: string, bytes: number, why: string): null {
    this.#foreign = true;
    this.#directory.quarantineFile(path);
    const detail = `${why}; set aside into quarantine/`;
    this.#host.report({ kind: "foreign-segment", path, offset: 0, bytes, detail });
    return null;
  }
}

/** Whether no byte of the file says anything. */
function isZero(file: FoundFile): boolean {
  const bytes = new Uint8Array(Math.min(file.capacity, PIECE_BYTES));
  for (let at = 0; at < file.capacity; at += bytes.length) {
    const count = Math.min(bytes.length, file.capacity - at);
    file.read(at, bytes, 0, count);
    if (bytes.subarray(0, count).some((byte) => byte !== 0)) return false;
  }
  return true;
}
