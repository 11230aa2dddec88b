// Our end of a thread that runs file_worker.ts: starts it with the first request, matches answers with requests, ends it.

import { FileFault } from "./fault.ts";
import type { FileAnswer, FileRequest } from "./file_worker.ts";

export type FileWork =
  | { readonly kind: "sync"; readonly fds: readonly number[] }
  | { readonly kind: "prepare"; readonly path: string; readonly capacity: number }
  /** Gives back what the thread itself holds. */
  | { readonly kind: "end" };

type Done = (fault: Error | null) => void;

export class FileThread {
  readonly #waiting = new Map<number, Done>();
  #worker: Worker | null = null;
  #lastId = 0;
  #closed = false;
  #idle: (() => void) | null = null;

  /** Does `work` in the thread, then calls `done` with null or what went wrong. */
  run(work: FileWork, done: Done): void {
    if (this.#closed) {
      queueMicrotask(() => done(new FileFault(work.kind, "", "ECANCELED", "the file thread is closed")));
      return;
    }
    const id = ++this.#lastId;
    this.#waiting.set(id, done);
    const request: FileRequest = { ...work, id };
    (this.#worker ??= this.#start()).postMessage(request);
  }

  /** Waits for what runs, then ends the thread. */
  async close(): Promise<void> {
    if (this.#worker !== null && !this.#closed) this.run({ kind: "end" }, () => {});
    this.#closed = true;
    if (this.#waiting.size > 0) await new Promise<void>((resolve) => this.#idle = resolve);
    this.#worker?.terminate();
    this.#worker = null;
  }

  #start(): Worker {
    // In this very form, so that bundlers and `bun build --compile` find it.
    const worker = new Worker(new URL("./file_worker.ts", import.meta.url).href, { type: "module" });
    worker.onmessage = (event: MessageEvent<FileAnswer>) => this.#answer(event.data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message);
    };
    return worker;
  }

  #answer({ id, fault }: FileAnswer): void {
    const done = this.#waiting.get(id);
    if (!this.#waiting.delete(id)) return;
    if (this.#waiting.size === 0) this.#idle?.();
    done?.(fault && new FileFault(fault.operation, fault.path, fault.code));
  }

  /** The thread itself is gone: whatever waits has failed, and so will what comes. */
  #fail(message: string): void {
    this.#closed = true;
    this.#worker?.terminate();
    this.#worker = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#idle?.();
    for (const done of waiting) done(new FileFault("run", "file thread", "EIO", message));
  }
}

/** Makes files ahead of their use, in a thread of its own. */
export class FilePreparer {
  readonly #thread = new FileThread();

  /** A new file of `capacity` zeros, durable together with its name. Rejects with a FileFault. */
  prepare(path: string, capacity: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#thread.run({ kind: "prepare", path, capacity }, (fault) => fault === null ? resolve() : reject(fault));
    });
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
