// Directories of queues that the definitions do not know. What is left of a deletion that a crash has cut is removed.
// Everything else that holds messages is kept in orphans/: a declaration may have been damaged, or the definitions log be
// gone or an old one. It comes back by itself when the definitions name it again.

import { join } from "node:path";
import type { Disk } from "../runtime/disk.ts";
import type { DataDir } from "./data_dir.ts";
import type { StoreEvent, StoreEventKind } from "./store_event.ts";

/** Ids of queues, and of exchanges that delay messages. */
export interface KnownIds {
  /** Those that are there now. */
  readonly live: ReadonlySet<number>;
  /** Those that the log ever named: one that is not live any more was deleted. */
  readonly named: ReadonlySet<number>;
}

/**
 * Puts every directory where it belongs, and tells of what is not ours; without `repairs` it only says so. Returns the
 * highest id that has a directory anywhere: it must not be given again.
 */
export function settleOrphans(
  disk: Disk,
  dataDir: DataDir,
  known: KnownIds,
  report: (event: StoreEvent) => void,
  repairs = true,
): number {
  const tell = (kind: StoreEventKind, id: number, detail: string) => {
    report({ kind, path: dataDir.queuePath(id), offset: 0, bytes: 0, detail });
  };
  for (const path of dataDir.foreignPaths()) {
    report({ kind: "foreign-file", path, offset: 0, bytes: 0, detail: "not one of ours, left alone" });
  }
  const present = new Set(dataDir.queueIds());
  const orphans = dataDir.orphanIds();
  const highest = [...present, ...orphans].reduce((most, id) => Math.max(most, id), 0);
  for (const id of orphans) {
    if (!known.live.has(id) || present.has(id)) continue;
    if (repairs && !dataDir.bringBack(id)) continue;
    tell("returned-queue", id, "the definitions know it again: brought back from orphans/");
  }
  for (const id of present) {
    if (known.live.has(id)) continue;
    if (known.named.has(id) || !holdsMessages(disk, dataDir.queuePath(id))) {
      if (repairs) dataDir.removeQueue(id);
      tell("deleted-queue", id, known.named.has(id) ? "the rest of a deleted queue: removed" : "never used: removed");
    } else {
      const isKept = !repairs || dataDir.setAside(id);
      const where = isKept ? "kept in orphans/" : "left where it is: orphans/ cannot be made now";
      tell("orphan-queue", id, `messages of a queue without a definition: ${where}`);
    }
  }
  return highest;
}

/** Whether the directory of a queue has a segment with anything in it. */
function holdsMessages(disk: Disk, path: string): boolean {
  return disk.entries(path).some(({ name, kind }) => {
    const inner = join(path, name);
    if (kind === "directory") return /^p[0-9]{3}$/.test(name) && holdsMessages(disk, inner);
    return name.startsWith("msgs.") && (disk.stat(inner)?.bytes ?? 0) > 0;
  });
}
