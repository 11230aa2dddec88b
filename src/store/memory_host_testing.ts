// A host of stores in memory, for tests above the store.

import { MemoryFiles } from "../runtime/memory_file.ts";
import type { CommitSink, QueueStoreHost } from "./queue_store_host.ts";
import { ReadWindow } from "./read_window.ts";

export function memoryHost(commit: CommitSink): QueueStoreHost {
  const files = new MemoryFiles();
  return { files, commit, pool: null, recoveryWindow: new ReadWindow(files, 4096), now: () => 0, report: () => {} };
}
