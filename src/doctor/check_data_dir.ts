// Looks through a data directory that no broker uses: every queue, every byte. What is wrong is found, and put right on
// demand, by the code that runs at a start; this only asks it in order and collects what it says.

import { join } from "node:path";
import { type Arguments, argumentsFromJson } from "../core/arguments.ts";
import type { Entry } from "../core/definitions.ts";
import { DefinitionsReplay } from "../core/definitions_replay.ts";
import { maxPriorityOf } from "../core/priority.ts";
import type { Disk } from "../runtime/disk.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { DataDir } from "../store/data_dir.ts";
import { DefinitionsLog, examineDefinitions } from "../store/definitions_log.ts";
import { Inspector, lookingFiles, type QueueInspection, type QueueKind } from "../store/inspection.ts";
import { settleOrphans } from "../store/orphan_queues.ts";
import { isDamage, type StoreEvent } from "../store/store_event.ts";

/** What a store is of. A "store" is one beside the queues, named by what a protocol keeps in it, as `mqtt-retained`. */
export type StoreType = QueueKind | "delayed exchange" | "store";

export interface CheckedQueue extends QueueInspection {
  readonly id: number;
  readonly vhost: string;
  readonly name: string;
  readonly type: StoreType;
  /** Events that tell of damage. */
  readonly damaged: number;
}

export interface Finding extends StoreEvent {
  readonly isDamage: boolean;
}

export interface DataDirReport {
  readonly dataDir: string;
  /** What was wrong has been put right; otherwise nothing was changed. */
  readonly repaired: boolean;
  readonly isSound: boolean;
  readonly definitions: { readonly isMissing: boolean; readonly bytes: number; readonly entries: number };
  readonly queues: readonly CheckedQueue[];
  /** Ids of queues without a definition whose messages are kept in orphans/. */
  readonly orphans: readonly number[];
  readonly findings: readonly Finding[];
  /** Damaged bytes and files that were set aside, by this run or earlier ones: paths. */
  readonly kept: readonly string[];
}

export interface CheckOptions {
  readonly directory: string;
  readonly segmentBytes: number;
  readonly repairs: boolean;
}

/** Throws a DataDirFault when the directory cannot be used, a StoreFault for files of another version. */
export function checkDataDir(runtime: Runtime, { directory, segmentBytes, repairs }: CheckOptions): DataDirReport {
  const looked = DataDir.look(directory, runtime);
  // A repair writes into the lock who has it; it makes what is missing only where there is a directory.
  if (repairs) looked.close();
  const dataDir = repairs ? DataDir.open(directory, runtime) : looked;
  try {
    return check(runtime, dataDir, segmentBytes, repairs);
  } finally {
    dataDir.close();
  }
}

function check(runtime: Runtime, dataDir: DataDir, segmentBytes: number, repairs: boolean): DataDirReport {
  const findings: Finding[] = [];
  const report = (event: StoreEvent) => void findings.push({ ...event, isDamage: isDamage(event.kind) });
  const plain = runtime.plainFiles();
  const files = repairs ? plain : lookingFiles(plain);
  const { disk } = files;
  const { definitions, replay } = readDefinitions(disk, dataDir.definitionsPath, report, repairs);
  settleOrphans(disk, dataDir, replay.ids, report, repairs);
  const inspector = new Inspector({ files, segmentBytes, report, repairs });
  const queues: CheckedQueue[] = [];
  for (const store of storesOf(replay)) {
    const { id, type } = store;
    const before = findings.length;
    const kind = type === "stream" || type === "priority" ? type : "queue";
    const inspection = inspector.inspect(kind, id, dataDir.queuePath(id));
    const damaged = findings.slice(before).filter((finding) => finding.isDamage).length;
    queues.push({ ...store, ...inspection, damaged });
  }
  return {
    dataDir: dataDir.path,
    repaired: repairs,
    isSound: !findings.some((finding) => finding.isDamage),
    definitions,
    queues,
    orphans: dataDir.orphanIds(),
    findings,
    kept: keptPaths(disk, dataDir),
  };
}

function readDefinitions(disk: Disk, path: string, report: (event: StoreEvent) => void, repairs: boolean) {
  const found = examineDefinitions(disk, path);
  const replay = new DefinitionsReplay();
  if (repairs) {
    const commit = { touch: () => {}, dirty: () => {}, release: () => {} };
    DefinitionsLog.open(disk, path, commit, (entry) => replay.replay(entry), report).close();
  } else {
    for (const event of found.events) report(event);
    for (const { entry } of found.scan.entries) replay.replay(entry);
  }
  const definitions = { isMissing: found.isMissing, bytes: found.bytes.length, entries: found.scan.entries.length };
  return { definitions, replay };
}

type Store = Pick<CheckedQueue, "id" | "vhost" | "name" | "type">;

function* storesOf(replay: DefinitionsReplay): Iterable<Store> {
  for (const entry of replay.queues()) {
    const args = argumentsFromJson(entry.args) as Arguments;
    const isStream = args.get("x-queue-type") === "stream";
    yield storeOf(entry, isStream ? "stream" : maxPriorityOf(args) > 0 ? "priority" : "queue");
  }
  for (const entry of replay.delayedExchanges()) yield storeOf(entry, "delayed exchange");
  for (const { vhost, kind, id } of replay.recordStores()) yield { id, vhost, name: kind, type: "store" };
}

function storeOf({ id, vhost, name }: Entry, type: StoreType): Store {
  return { id: Number(id), vhost: String(vhost), name: String(name), type };
}

/** What lies in quarantines, and definitions logs that were damaged. */
function keptPaths(disk: Disk, dataDir: DataDir): string[] {
  const kept = disk.list(dataDir.path)
    .filter((name) => name.startsWith("definitions.log.damaged-"))
    .map((name) => join(dataDir.path, name));
  for (const id of dataDir.queueIds()) {
    const queue = dataDir.queuePath(id);
    for (const directory of [queue, ...disk.listDirectories(queue).map((name) => join(queue, name))]) {
      const quarantine = join(directory, "quarantine");
      if (disk.stat(quarantine)?.isDirectory) kept.push(...disk.list(quarantine).map((name) => join(quarantine, name)));
    }
  }
  return kept.sort();
}
