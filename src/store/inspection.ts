// What lies in the directory of one queue, found by the same recovery that a start runs; nothing is served from it.
// Every byte that means something is read and checked.

import type { Disk } from "../runtime/disk.ts";
import type { SegmentFiles } from "../runtime/runtime.ts";
import { listPriorities, priorityPath } from "./priority_store.ts";
import { QueueDirectory } from "./queue_directory.ts";
import { QueueRecovery } from "./queue_recovery.ts";
import type { CommitSink, QueueStoreHost } from "./queue_store_host.ts";
import { ReadWindow, RECOVERY_AHEAD_BYTES } from "./read_window.ts";
import { SegmentChain } from "./segment_chain.ts";
import type { StoreEvent } from "./store_event.ts";
import { StreamIndex } from "./stream_index.ts";
import { StreamOffsets } from "./stream_offsets.ts";
import { streamOffsetsPath } from "./stream_store.ts";
import { StreamRecovery } from "./stream_recovery.ts";

export type QueueKind = "queue" | "priority" | "stream";

/** In a stream every record is ready. */
export interface QueueInspection {
  readonly segments: number;
  readonly segmentBytes: number;
  readonly records: number;
  readonly ready: number;
  readonly readyBytes: number;
  /** Acknowledged, or not persistent: gone at the next start. */
  readonly settled: number;
  /** Intact entries of acknowledgement logs; of a stream, consumers whose offset is known. */
  readonly logEntries: number;
}

export interface InspectionOptions {
  readonly files: SegmentFiles;
  /** Bytes of a full segment: what is recycled has just so many. */
  readonly segmentBytes: number;
  readonly report: (event: StoreEvent) => void;
  /** Puts right what is wrong, as a start does; otherwise nothing is changed. */
  readonly repairs: boolean;
}

export class Inspector {
  readonly #host: QueueStoreHost;
  readonly #repairs: boolean;

  constructor({ files, segmentBytes, report, repairs }: InspectionOptions) {
    this.#repairs = repairs;
    this.#host = {
      files: repairs ? files : lookingFiles(files),
      commit: syncAtOnce(files.disk),
      pool: { segmentBytes, take: () => null, give: (file) => file.close() },
      recoveryWindow: new ReadWindow(files, RECOVERY_AHEAD_BYTES),
      now: Date.now,
      report,
    };
  }

  inspect(kind: QueueKind, queueId: number, path: string): QueueInspection {
    if (kind === "stream") return this.#inspectStream(queueId, path);
    if (kind === "queue") return this.#inspectQueue(queueId, path);
    const { priorities, foreign } = listPriorities(this.#host.files.disk, path);
    for (const other of foreign) {
      this.#host.report({
        kind: "foreign-file",
        path: other,
        offset: 0,
        bytes: 0,
        detail: "not one of ours, left alone",
      });
    }
    return priorities.map((priority) => this.#inspectQueue(queueId, priorityPath(path, priority))).reduce(sum, NOTHING);
  }

  #inspectQueue(queueId: number, path: string): QueueInspection {
    const directory = new QueueDirectory(path, queueId, this.#host, this.#repairs);
    const { content, readyCount, readyBytes } = new QueueRecovery(queueId, directory, this.#host).run(
      new SegmentChain(),
    );
    return { ...content, ready: readyCount, readyBytes, settled: content.records - readyCount };
  }

  #inspectStream(queueId: number, path: string): QueueInspection {
    const directory = new QueueDirectory(path, queueId, this.#host, this.#repairs);
    const index = new StreamIndex();
    new StreamRecovery(queueId, directory, this.#host, true).run(new SegmentChain(), index);
    const offsets = new StreamOffsets(streamOffsetsPath(path), queueId, directory, this.#host);
    offsets.cool();
    const records = index.nextOffset - index.firstOffset;
    return {
      segments: index.entries.length,
      segmentBytes: index.entries.reduce((bytes, { segment }) => bytes + segment.capacity, 0),
      records,
      ready: records,
      readyBytes: index.entries.reduce((bytes, { segment }) => bytes + segment.end, 0),
      settled: 0,
      logEntries: offsets.count,
    };
  }
}

export const NOTHING: QueueInspection = {
  segments: 0,
  segmentBytes: 0,
  records: 0,
  ready: 0,
  readyBytes: 0,
  settled: 0,
  logEntries: 0,
};

export function sum(a: QueueInspection, b: QueueInspection): QueueInspection {
  return {
    segments: a.segments + b.segments,
    segmentBytes: a.segmentBytes + b.segmentBytes,
    records: a.records + b.records,
    ready: a.ready + b.ready,
    readyBytes: a.readyBytes + b.readyBytes,
    settled: a.settled + b.settled,
    logEntries: a.logEntries + b.logEntries,
  };
}

/** Nobody waits and nothing is collected: what a repair writes is on disk when it is done. */
function syncAtOnce(disk: Disk): CommitSink {
  return {
    touch: () => {},
    dirty: (fd) => disk.sync(fd),
    dirtyLazily: (fd) => disk.sync(fd),
    release: (_fd, _forget, close) => close(),
  };
}

/** Files whose disk can be read and not changed, whatever the code above it means to do. */
export function lookingFiles(files: SegmentFiles): SegmentFiles {
  const refuse = (): never => {
    throw new Error("a disk that is only looked at was to be changed");
  };
  const disk: Disk = {
    ...files.disk,
    open: (path, flags) => flags === "r" ? files.disk.open(path, flags) : refuse(),
    write: refuse,
    truncate: refuse,
    writeFile: refuse,
    copyFile: refuse,
    rename: refuse,
    link: refuse,
    remove: refuse,
    makeDirectory: refuse,
    makePrivate: refuse,
    removeTree: refuse,
  };
  return {
    kind: files.kind,
    disk,
    create: refuse,
    open: refuse,
    prepare: refuse,
    close: () => files.close(),
  };
}
