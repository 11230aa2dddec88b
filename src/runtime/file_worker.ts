// The thread behind syncer.ts and file_thread.ts: what blocks on the disk, away from the event loop. One and the same
// file for both, in separate threads, so that preparing a file never delays a sync.

import fs from "node:fs";
import { release } from "node:os";
import { dirname } from "node:path";
import { fileFault } from "./errno.ts";
import { FileFault } from "./fault.ts";
import { FileSyncs, syncfsTells } from "./file_syncs.ts";
import { loadLibc } from "./libc.ts";
import { createPrepared } from "./segment_descriptor.ts";

export type FileRequest =
  | { readonly id: number; readonly kind: "sync"; readonly fds: readonly number[] }
  | { readonly id: number; readonly kind: "prepare"; readonly path: string; readonly capacity: number }
  | { readonly id: number; readonly kind: "end" };

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
const files = openFiles();

thread.onmessage = async (event) => {
  const request = event.data;
  let fault: FileFault | null = null;
  try {
    if (request.kind === "prepare") createPrepared(request.path, request.capacity);
    else if (request.kind === "end") (await files)?.close();
    else sync(request.fds, await files);
  } catch (error) {
    fault = fileFault(request.kind, request.kind === "prepare" ? request.path : "", error);
  }
  thread.postMessage({
    id: request.id,
    fault: fault && { operation: fault.operation, path: fault.path, code: fault.code },
  });
};

/** By libc, since a thread of Deno's cannot use the main thread's descriptors through node:fs. */
async function openFiles(): Promise<FileSyncs | null> {
  const libc = await loadLibc();
  if (libc === null) return null;
  return new FileSyncs({
    libc,
    syncfsTells: syncfsTells(release()),
    deviceOf,
    openBeside,
    close: (fd) => fs.closeSync(fd),
    nowMs: () => performance.now(),
  });
}

function sync(fds: readonly number[], files: FileSyncs | null): void {
  if (files === null) throw new FileFault("sync", "descriptors", "ENOSYS");
  files.sync(fds);
}

function deviceOf(fd: number): number | null {
  try {
    return fs.statSync(`/proc/self/fd/${fd}`).dev;
  } catch {
    return null;
  }
}

/** The file's directory, or the file itself where it is one. */
function openBeside(fd: number): number | null {
  try {
    const path = fs.readlinkSync(`/proc/self/fd/${fd}`);
    const beside = fs.openSync(dirname(path), "r");
    if (fs.fstatSync(beside).dev === deviceOf(fd)) return beside;
    fs.closeSync(beside);
  } catch {
    // Its directory is gone, or there is no /proc.
  }
  return null;
}
