// Finds out what a segment file is when its queue is opened, and says what is wrong with it: files that are none are set
// aside or removed, torn tails and damaged bytes are told and kept for a human.

import { basename } from "node:path";
import type { SegmentFile } from "../runtime/runtime.ts";
import type { QueueDirectory } from "./queue_directory.ts";
import type { QueueStoreHost } from "./queue_store_host.ts";
import type { ReadWindow } from "./read_window.ts";
import { RECORD_HEADER_BYTES, recordBytesAt } from "./record.ts";
import { readSegmentHeader, Segment, SEGMENT_HEADER_BYTES, SEGMENT_VERSION, type SegmentHeader } from "./segment.ts";
import { StoreFault } from "./store_event.ts";

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

  constructor(queueId: number, directory: QueueDirectory, host: QueueStoreHost, window: ReadWindow) {
    this.#queueId = queueId;
    this.#directory = directory;
    this.#host = host;
    this.#window = window;
  }

  /** The segment behind a file, null when there is none in it. */
  open(number: number): OpenedSegment | null {
    const path = this.#directory.segmentPath(number);
    const size = this.#host.files.disk.stat(path)?.bytes ?? 0;
    if (size < SEGMENT_HEADER_BYTES) return this.#dropEmpty(path, size);
    const file = this.#host.files.open(path);
    let opened: OpenedSegment | null = null;
    try {
      opened = this.#identify(number, file, Math.min(file.capacity, size) & ~7);
    } finally {
      if (opened === null) file.close();
    }
    return opened;
  }

  #identify(number: number, file: SegmentFile, capacity: number): OpenedSegment | null {
    const { path } = file;
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    file.read(0, bytes, 0, SEGMENT_HEADER_BYTES);
    const reading = readSegmentHeader(bytes);
    switch (reading.kind) {
      case "version":
        throw new StoreFault(path, `version ${SEGMENT_VERSION} of segments was expected, ${reading.version} was found`);
      case "intact": {
        const { header } = reading;
        if (header.queueId !== this.#queueId || header.number !== number) {
          return this.#setAside(path, capacity, `segment ${header.number} of queue ${header.queueId} was found`);
        }
        const segment = new Segment(number, path, capacity, header.nonce);
        segment.file = file;
        return { segment, header };
      }
      case "zeros":
        return this.#dropEmpty(path, capacity);
      case "damaged":
        for (const nonce of reading.nonces) {
          const segment = new Segment(number, path, capacity, nonce);
          segment.file = file;
          const first = this.#window.findRecord(segment, SEGMENT_HEADER_BYTES, capacity);
          this.#window.forget(segment);
          if (first < 0) continue;
          const detail = "its records could be read";
          this.#host.report({ kind: "damaged-header", path, offset: 0, bytes: SEGMENT_HEADER_BYTES, detail });
          return { segment, header: null };
        }
        return this.#setAside(path, capacity, "no header of a segment and no record was found");
    }
  }

  /** Tells of the remains of a record at the end of the records, where they can be told from an unused rest. */
  lookBehind(segment: Segment, fresh: boolean): void {
    const { end, capacity, nonce } = segment;
    const at = this.#window.hold(segment, end, RECORD_HEADER_BYTES, capacity);
    if (at < 0) return;
    const { words, bytes } = this.#window.buffer;
    const recordBytes = recordBytesAt(words, at, capacity - end, (nonce + end / 8) | 0);
    const remains = bytes.subarray(at, at + RECORD_HEADER_BYTES).some((byte) => byte !== 0);
    if (recordBytes === 0 && !(fresh && remains)) return;
    if (!this.#directory.quarantine(segment, end, Math.max(recordBytes, RECORD_HEADER_BYTES))) return;
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

  #setAside(path: string, bytes: number, why: string): null {
    this.#directory.quarantineFile(path, basename(path));
    const detail = `${why}; set aside into quarantine/`;
    this.#host.report({ kind: "foreign-segment", path, offset: 0, bytes, detail });
    return null;
  }
}
