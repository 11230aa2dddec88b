// How long this disk takes to make what is written durable, measured as the broker does it: files that are allocated,
// appended to, and synced by the runtime's syncer. Leaves nothing behind.

import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import type { Runtime, SegmentFile, Syncer } from "../runtime/runtime.ts";
import { type FileSystem, fileSystemOf } from "./file_system.ts";

const FILE_BYTES = 8 * 1024 * 1024;
const APPEND_BYTES = [64, 1024, 4096, 16_384, 65_536];
/** What 1,000 messages of 1 KiB come to, which share a sync when so many are outstanding. */
const OUTSTANDING = 1000;
const BURST_BYTES = OUTSTANDING * 1024;
/** Files that one sync covers, as when several queues and their logs were written to. */
const BATCH_FILES = 6;
const BATCH_BYTES = 4096;
/** Syncs per row, at most ... */
const SYNCS_MAX = 400;
/** ... and as many as fit into this time, milliseconds, but a few. */
const ROW_MS = 1000;
const SYNCS_MIN = 5;
/** A disk that writes 4 KiB durably in less, milliseconds, does not. */
const PLAUSIBLE_MS = 0.012;

export interface SyncTimes {
  readonly bytes: number;
  readonly files: number;
  readonly syncs: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface DiskReport {
  readonly directory: string;
  readonly fileSystem: FileSystem;
  /** The way to the syncer and back, without a disk. */
  readonly overheadMs: number;
  readonly rows: readonly SyncTimes[];
  /** Confirms per second that this disk allows, of messages of 1 KiB: each waited for ... */
  readonly confirmsOneByOne: number;
  /** ... and with 1,000 outstanding. */
  readonly confirmsOutstanding: number;
  readonly warnings: readonly string[];
}

export async function measureDisk(runtime: Runtime, path: string): Promise<DiskReport> {
  const directory = resolve(path);
  const fileSystem = fileSystemOf(directory);
  const own = mkdtempSync(join(directory, "leveret-doctor-"));
  const syncer = runtime.startSyncer();
  const provider = runtime.mappedFiles() ?? runtime.plainFiles();
  const files: SegmentFile[] = [];
  const clean = () => rmSync(own, { recursive: true, force: true });
  // An impatient human leaves nothing behind either.
  const leave = () => {
    clean();
    process.exit(2);
  };
  process.once("SIGINT", leave);
  process.once("SIGTERM", leave);
  try {
    for (let i = 0; i < BATCH_FILES; i++) files.push(provider.create(join(own, `file.${i}`), FILE_BYTES));
    await sync(syncer, files);
    const overheadMs = (await measure(syncer, [], 0)).p50Ms;
    const rows: SyncTimes[] = [];
    for (const bytes of [...APPEND_BYTES, BURST_BYTES]) rows.push(await measure(syncer, files.slice(0, 1), bytes));
    rows.push(await measure(syncer, files, BATCH_BYTES));
    return reportOf(directory, fileSystem, overheadMs, rows);
  } finally {
    process.removeListener("SIGINT", leave);
    process.removeListener("SIGTERM", leave);
    await syncer.close();
    for (const file of files) file.close();
    await provider.close();
    clean();
  }
}

/** What the figures mean. */
export function reportOf(
  directory: string,
  fileSystem: FileSystem,
  overheadMs: number,
  rows: readonly SyncTimes[],
): DiskReport {
  const single = rows.find(({ bytes, files }) => bytes === 1024 && files === 1)!;
  const burst = rows.find(({ bytes }) => bytes === BURST_BYTES)!;
  const page = rows.find(({ bytes, files }) => bytes === 4096 && files === 1)!;
  const warnings: string[] = [];
  if (fileSystem.warning !== null) warnings.push(`the file system is ${fileSystem.name}: ${fileSystem.warning}`);
  if (page.p50Ms - overheadMs < PLAUSIBLE_MS) {
    warnings.push(
      "syncs return faster than a disk can write: they may not reach it, and a power cut may take confirmed messages",
    );
  }
  return {
    directory,
    fileSystem,
    overheadMs,
    rows,
    confirmsOneByOne: Math.round(1000 / single.meanMs),
    confirmsOutstanding: Math.round(OUTSTANDING * 1000 / burst.meanMs),
    warnings,
  };
}

/** Appends `bytes` to each file and syncs them together, again and again. */
async function measure(syncer: Syncer, files: readonly SegmentFile[], bytes: number): Promise<SyncTimes> {
  const content = crypto.getRandomValues(new Uint8Array(65_536));
  const timesMs: number[] = [];
  const began = performance.now();
  let at = 0;
  while (timesMs.length < SYNCS_MAX && (timesMs.length < SYNCS_MIN || performance.now() - began < ROW_MS)) {
    if (at + bytes > FILE_BYTES) at = 0;
    const start = performance.now();
    for (const file of files) {
      for (let done = 0; done < bytes; done += content.length) {
        file.write(at + done, content, 0, Math.min(content.length, bytes - done));
      }
    }
    await sync(syncer, files);
    timesMs.push(performance.now() - start);
    at += bytes;
  }
  const meanMs = timesMs.reduce((sum, time) => sum + time, 0) / timesMs.length;
  const sorted = timesMs.sort((a, b) => a - b);
  const share = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!;
  return {
    bytes,
    files: files.length,
    syncs: sorted.length,
    meanMs,
    p50Ms: share(0.5),
    p95Ms: share(0.95),
    p99Ms: share(0.99),
    maxMs: sorted.at(-1)!,
  };
}

function sync(syncer: Syncer, files: readonly SegmentFile[]): Promise<void> {
  return new Promise((resolve, reject) => {
    syncer.sync(files.map(({ fd }) => fd), (fault) => fault === null ? resolve() : reject(fault));
  });
}
