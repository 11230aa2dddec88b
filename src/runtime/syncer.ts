// Makes files durable without stopping the event loop: a thread of its own that blocks in fdatasync or syncfs for us.
// A sync that failed is reported and never tried again: the kernel drops what it could not write.

import fs from "node:fs";
import { assert } from "../lib/assert.ts";
import { errnoName, fileFault } from "./errno.ts";
import { FileFault } from "./fault.ts";
import { FileThread } from "./file_thread.ts";
import type { Libc } from "./libc.ts";
import type { Syncer } from "./runtime.ts";

/** The syncer that this system allows: in the thread where there is a libc, by node:fs elsewhere. */
export function createSyncer(libc: Libc | null): Syncer {
  return libc === null ? new CallbackSyncer() : new ThreadSyncer(libc);
}

/** After a sync that blocked for longer than this, ms, none does so for so many times as long. */
const BLOCKED_MS_MAX = 1;
const UNBLOCKED_TIMES = 10;

class ThreadSyncer implements Syncer {
  readonly #thread = new FileThread();
  readonly #libc: Libc;
  #running = false;
  #blocksFromMs = -Infinity;

  constructor(libc: Libc) {
    this.#libc = libc;
  }

  sync(fds: readonly number[], done: (fault: Error | null) => void, mayBlock = false): void {
    assert(!this.#running, "one sync at a time");
    if (mayBlock) {
      const begunMs = performance.now();
      if (begunMs >= this.#blocksFromMs) return done(this.#block(fds, begunMs));
    }
    this.#running = true;
    this.#thread.run({ kind: "sync", fds }, (fault) => {
      this.#running = false;
      done(fault);
    });
  }

  close(): Promise<void> {
    return this.#thread.close();
  }

  #block(fds: readonly number[], begunMs: number): Error | null {
    for (const fd of fds) {
      const errno = this.#libc.syncFile(fd);
      if (errno !== 0) return new FileFault("sync", `descriptor ${fd}`, errnoName(errno));
    }
    const endedMs = performance.now();
    const tookMs = endedMs - begunMs;
    if (tookMs > BLOCKED_MS_MAX) this.#blocksFromMs = endedMs + UNBLOCKED_TIMES * tookMs;
    return null;
  }
}

/** Lets node:fs do it, all files side by side. */
class CallbackSyncer implements Syncer {
  #running: Promise<void> | null = null;

  sync(fds: readonly number[], done: (fault: Error | null) => void): void {
    assert(this.#running === null, "one sync at a time");
    this.#running = Promise.all(fds.map(syncOne)).then((faults) => {
      this.#running = null;
      done(faults.find((fault) => fault !== null) ?? null);
    });
  }

  async close(): Promise<void> {
    await this.#running;
  }
}

function syncOne(fd: number): Promise<Error | null> {
  return new Promise((resolve) => {
    fs.fdatasync(fd, (error) => resolve(error === null ? null : fileFault("sync", `descriptor ${fd}`, error)));
  });
}
