// For tests and benches of the store: a commit sink that is moved by hand, files that are tracked, messages that can be
// told apart. Not part of the product.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { currentRuntime } from "../runtime/current.ts";
import type { Disk } from "../runtime/disk.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import type { SegmentFile, SegmentFiles } from "../runtime/runtime.ts";
import { Message } from "./message.ts";
import { QueueStore, type QueueStoreHost, type QueueStoreOptions } from "./queue_store.ts";
import type { CommitSink, SegmentPool, SpaceWatch } from "./queue_store_host.ts";
import { ReadWindow, RECOVERY_AHEAD_BYTES } from "./read_window.ts";
import type { StoreEvent } from "./store_event.ts";

export class ManualCommit implements CommitSink {
  readonly touched: { flush(): void }[] = [];
  readonly dirtied: Set<number> = new Set();
  readonly lazy: Set<number> = new Set();
  /** Descriptors that a sync is busy with. */
  readonly running: Set<number> = new Set();
  #held: { fd: number; close: () => void }[] = [];

  touch(store: { flush(): void }): void {
    this.touched.push(store);
  }

  dirty(fd: number): void {
    this.dirtied.add(fd);
  }

  dirtyLazily(fd: number): void {
    this.lazy.add(fd);
  }

  release(fd: number, forget: boolean, close: () => void): void {
    if (forget) this.dirtied.delete(fd);
    if (forget) this.lazy.delete(fd);
    if (this.dirtied.has(fd) || this.lazy.has(fd) || this.running.has(fd)) this.#held.push({ fd, close });
    else close();
  }

  endTurn(): void {
    for (const store of this.touched.splice(0)) store.flush();
  }

  beginSync(): void {
    for (const fd of [...this.dirtied, ...this.lazy]) this.running.add(fd);
    this.dirtied.clear();
    this.lazy.clear();
  }

  endSync(): void {
    this.running.clear();
    for (const { fd, close } of this.#held.splice(0)) this.release(fd, false, close);
  }

  sync(): void {
    this.beginSync();
    this.endSync();
  }
}

/** Remembers what is open. */
export class TrackedFiles implements SegmentFiles {
  readonly kind: SegmentFiles["kind"];
  readonly disk: Disk;
  readonly #files: SegmentFiles;
  readonly #all = new Set<SegmentFile>();

  constructor(files: SegmentFiles) {
    this.kind = files.kind;
    this.disk = files.disk;
    this.#files = files;
  }

  get openCount(): number {
    return this.#all.size;
  }

  create(path: string, capacity: number): SegmentFile {
    return this.#track(this.#files.create(path, capacity));
  }

  open(path: string): SegmentFile {
    return this.#track(this.#files.open(path));
  }

  async prepare(path: string, capacity: number): Promise<SegmentFile> {
    return this.#track(await this.#files.prepare(path, capacity));
  }

  close(): Promise<void> {
    for (const file of this.#all) file.close();
    this.#all.clear();
    return this.#files.close();
  }

  #track(file: SegmentFile): SegmentFile {
    const close = file.close.bind(file);
    file.close = () => {
      this.#all.delete(file);
      close();
    };
    this.#all.add(file);
    return file;
  }
}

/** Makes hosts for the tests of a file; they are gone when the file is through. */
export function testHosts(): (files: SegmentFiles) => TestHost {
  const hosts: TestHost[] = [];
  after(async () => {
    for (const host of hosts) await host.dispose();
  });
  return (files) => {
    const host = new TestHost(files);
    hosts.push(host);
    return host;
  };
}

/** One host, and what it was told. */
export class TestHost implements QueueStoreHost {
  readonly files: TrackedFiles;
  readonly commit: ManualCommit = new ManualCommit();
  pool: SegmentPool | null = null;
  space: SpaceWatch = { allocated: () => {}, full: () => {}, makeRoom: () => false };
  readonly recoveryWindow: ReadWindow;
  readonly events: StoreEvent[] = [];
  readonly directory: string;
  nowMs = 1_800_000_000_000;
  unsureBeforeMs = 0;

  constructor(files: SegmentFiles) {
    this.files = new TrackedFiles(files);
    this.recoveryWindow = new ReadWindow(this.files, RECOVERY_AHEAD_BYTES);
    this.directory = mkdtempSync(join(tmpdir(), "leveret-store-"));
  }

  now(): number {
    return this.nowMs;
  }

  report(event: StoreEvent): void {
    this.events.push(event);
  }

  get queueDirectory(): string {
    return join(this.directory, "queues", "0000000007");
  }

  open(options: Partial<QueueStoreOptions> = {}): QueueStore {
    return QueueStore.open({ queueId: 7, directory: this.queueDirectory, ...options }, this);
  }

  async dispose(): Promise<void> {
    this.commit.sync();
    await this.files.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export type FilesKind = SegmentFiles["kind"];

/** Null where the runtime has no such files. */
export async function filesOf(kind: FilesKind): Promise<SegmentFiles | null> {
  if (kind === "memory") return new MemoryFiles();
  const runtime = await currentRuntime();
  return kind === "mapped" ? runtime.mappedFiles() : runtime.plainFiles();
}

const encoder = new TextEncoder();

/** A message with this body. */
export function messageOf(
  body: Uint8Array | string,
  route = "\x00\x01q",
  header = "\0\0\0\0\0\0\0\x10\x10\0\x02",
): Message {
  const message = new Message();
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  message.timestampMs = 1_800_000_000_123;
  message.flags = 1;
  message.route = encoder.encode(route);
  message.routeBytes = message.route.length;
  message.header = encoder.encode(header);
  message.headerBytes = message.header.length;
  message.body = bytes;
  message.bodyBytes = bytes.length;
  return message;
}

const decoder = new TextDecoder();

export function bodyOf(message: Message): string {
  return decoder.decode(message.body.subarray(message.bodyAt, message.bodyAt + message.bodyBytes));
}

export function bodyBytesOf(message: Message): Uint8Array {
  return message.body.slice(message.bodyAt, message.bodyAt + message.bodyBytes);
}

/** Takes everything that is ready, without settling it. */
export function takeAll(store: QueueStore): string[] {
  const message = new Message();
  const bodies: string[] = [];
  while (store.next(message)) bodies.push(bodyOf(message));
  return bodies;
}

/** Takes one message and settles it; null when none is ready. */
export function consume(store: QueueStore): string | null {
  const message = new Message();
  if (!store.next(message)) return null;
  const body = bodyOf(message);
  store.settle(message.position, message.recordBytes, message.bodyBytes);
  return body;
}

export const SMALL = { segmentBytesMin: 4096, segmentBytesMax: 4096 };
export const HEADER = 64;
/** What the record of "message 0" to "message 99" takes. */
export const RECORD = 48;
export const FIRST = "msgs.0000000001";
export const FIRST_ACKS = "acks.0000000001";

export function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `message ${from + i}`);
}

export function publish(store: QueueStore, from: number, to: number): void {
  for (const body of numbers(from, to)) store.append(messageOf(body));
}

/** The files of a queue, by name, as they are on disk. */
export function contentOf(host: TestHost): Map<string, Uint8Array> {
  const names = readdirSync(host.queueDirectory).filter((name) => name !== "quarantine");
  return new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(host.queueDirectory, name)))]));
}

/** Makes the queue's directory hold exactly these files, and forgets what was told. */
export function restore(host: TestHost, content: ReadonlyMap<string, Uint8Array>): void {
  rmSync(host.queueDirectory, { recursive: true, force: true });
  mkdirSync(host.queueDirectory, { recursive: true });
  for (const [name, bytes] of content) writeFileSync(join(host.queueDirectory, name), bytes);
  host.events.length = 0;
}

export function readAndClose(store: QueueStore): string[] {
  const bodies = takeAll(store);
  store.close();
  return bodies;
}

export function changed(content: ReadonlyMap<string, Uint8Array>, name: string, change: (bytes: Uint8Array) => void) {
  const copy = new Map(content);
  const bytes = content.get(name)!.slice();
  change(bytes);
  copy.set(name, bytes);
  return copy;
}

/** Five messages in one segment, and the place of the last record. */
export function five(host: TestHost): { content: Map<string, Uint8Array>; last: number; end: number } {
  const store = host.open(SMALL);
  publish(store, 0, 5);
  const message = new Message();
  while (store.next(message));
  const last = message.position % 2 ** 27 * 8;
  host.commit.endTurn();
  store.close();
  host.commit.sync();
  const content = contentOf(host);
  content.delete(FIRST_ACKS);
  return { content, last, end: last + (message.recordBytes + 7 & ~7) };
}
