// The thread behind syncer.ts and file_thread.ts: what blocks on the disk, away from the event loop. One and the same
// file for both, in separate threads, so that preparing a file never delays a sync.

import fs from "node:fs";
import { errnoName, fileFault } from "./errno.ts";
import { FileFault } from "./fault.ts";
import { type Libc, loadLibc } from "./libc.ts";
import { createPrepared } from "./segment_descriptor.ts";

/** From this many files on one syncfs is cheaper than an fdatasync each. */
const SYNCFS_FILES_MIN = 9;

export type FileRequest =
  | { readonly id: number; readonly kind: "sync"; readonly fds: readonly number[] }
  | { readonly id: number; readonly kind: "prepare"; readonly path: string; readonly capacity: number };

/** Errors do not keep their class over threads, so a fault travels as its parts. */
export interface FileAnswer {
  readonly id: number;
  readonly fault: { readonly operation: string; readonly path: string; readonly code: string } | null;
}

interface Thread {
  onmessage: ((event: MessageEvent<FileRequest>) => void) | null;
  postMessage(answer: FileAnswer): void;
}

const thread = globalThis as unknown as Thread;
const libc = loadLibc();

thread.onmessage = async (event) => {
  const request = event.data;
  let fault: FileFault | null = null;
  try {
    if (request.kind === "sync") sync(request.fds, await libc);
    else createPrepared(request.path, request.capacity);
  } catch (error) {
    fault = fileFault(request.kind, request.kind === "prepare" ? request.path : "", error);
  }
  thread.postMessage({
    id: request.id,
    fault: fault && { operation: fault.operation, path: fault.path, code: fault.code },
  });
};

/** By libc, since a thread of Deno's cannot use the main thread's descriptors through node:fs. */
function sync(fds: readonly number[], libc: Libc | null): void {
  if (libc === null) throw new FileFault("sync", "descriptors", "ENOSYS");
  if (fds.length < SYNCFS_FILES_MIN) {
    for (const fd of fds) check(fd, libc.syncFile(fd));
    return;
  }
  const devices = new Set<number>();
  for (const fd of fds) {
    const device = deviceOf(fd);
    // One syncfs per filesystem; a descriptor that cannot be looked at gets its own sync, which says what is wrong.
    if (device === null) check(fd, libc.syncFile(fd));
    else if (!devices.has(device)) check(fd, libc.syncFilesystem(fd));
    if (device !== null) devices.add(device);
  }
}

function check(fd: number, errno: number): void {
  if (errno !== 0) throw new FileFault("sync", `descriptor ${fd}`, errnoName(errno));
}

function deviceOf(fd: number): number | null {
  try {
    return fs.statSync(`/proc/self/fd/${fd}`).dev;
  } catch {
    return null;
  }
}
