// The definitions of a broker that does not run, out of its data directory: shown, and added to. Queues are made without
// their messages, which nobody looks at: only the definitions log is read, and written where something is added.

import { Management } from "./core/management/management.ts";
import type { WholeDefinitions } from "./core/management/definitions_export.ts";
import { DefinitionsReplay } from "./core/definitions_replay.ts";
import type { Entry } from "./core/definitions.ts";
import { Realm } from "./core/realm.ts";
import { Timers } from "./core/timers.ts";
import { Turn } from "./core/turn.ts";
import { BINDINGS_MAX, EXCHANGES_MAX, QUEUES_MAX, WARM_QUEUES_MAX } from "./limits.ts";
import { MemoryFiles } from "./runtime/memory_file.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { DataDir, DataDirFault } from "./store/data_dir.ts";
import { DefinitionsLog, examineDefinitions } from "./store/definitions_log.ts";
import { GroupCommit } from "./store/group_commit.ts";
import { QueueStore, type QueueStoreHost } from "./store/queue_store.ts";
import { ReadWindow } from "./store/read_window.ts";
import { isDamage, type StoreEvent } from "./store/store_event.ts";
import { StreamStore } from "./store/stream_store.ts";
import { NAME, VERSION } from "./version.ts";

const WINDOW_BYTES = 4096;

/** What an operator should know, a line each. */
export type Report = (text: string) => void;

/**
 * Those of a virtual host, or all. Changes nothing. Throws a DataDirFault when the directory cannot be used or a broker runs
 * there, a StoreFault for files of another version, a Refusal when there is no such virtual host.
 */
export function definitionsIn(
  runtime: Runtime,
  directory: string,
  vhost: string | null,
  report: Report,
): WholeDefinitions {
  const dataDir = DataDir.look(directory, runtime);
  try {
    const replay = new DefinitionsReplay();
    const { scan, events } = examineDefinitions(runtime.disk, dataDir.definitionsPath);
    for (const event of events) tell(event, report);
    for (const { entry } of scan.entries) replay.replay(entry);
    const stopped = new StoppedBroker(replay, new GroupCommit({ syncer: null, onFault: rethrow }), () => {}, 0, report);
    try {
      return stopped.management.exportDefinitions(vhost);
    } finally {
      stopped.close();
    }
  } finally {
    dataDir.close();
  }
}

/**
 * Adds what a definitions file says, all of it or nothing; it is on disk when this resolves. Rejects with what
 * `definitionsIn` throws, and with a Refusal for a mistake in the file.
 */
export async function addDefinitionsTo(
  runtime: Runtime,
  directory: string,
  definitions: unknown,
  vhost: string | null,
  report: Report,
): Promise<void> {
  const dataDir = DataDir.look(directory, runtime);
  const syncer = runtime.startSyncer();
  try {
    const fault = Promise.withResolvers<never>();
    fault.promise.catch(() => {});
    const commit = new GroupCommit({ syncer, onFault: fault.reject });
    const replay = new DefinitionsReplay();
    const replayed = (entry: Entry) => replay.replay(entry);
    const found = examineDefinitions(runtime.disk, dataDir.definitionsPath);
    for (const { entry } of found.scan.entries) replayed(entry);
    // With some definitions, and no user, the next start would not make the default one.
    if (!replay.knowsIdentity) throw new DataDirFault(`no users in ${dataDir.definitionsPath}: start a broker first`);
    const log = DefinitionsLog.open(runtime.disk, dataDir.definitionsPath, commit, () => {}, (event) => {
      tell(event, report);
    });
    const idMax = Math.max(replay.queueIdMax, ...dataDir.queueIds(), ...dataDir.orphanIds());
    const stopped = new StoppedBroker(replay, commit, (entry) => log.append(entry), idMax, report);
    try {
      const options = vhost === null ? {} : { vhost };
      await Promise.race([stopped.management.importDefinitions(definitions, options), fault.promise]);
    } finally {
      stopped.close();
      await commit.drain();
      log.close();
    }
  } finally {
    await syncer.close();
    dataDir.close();
  }
}

class StoppedBroker {
  readonly management: Management;
  readonly #realm: Realm;
  readonly #timers: Timers;

  constructor(
    replay: DefinitionsReplay,
    commit: GroupCommit,
    append: (entry: Entry) => void,
    queueIdMax: number,
    report: Report,
  ) {
    const turn = new Turn(commit, rethrow);
    const timers = this.#timers = new Timers(turn, rethrow);
    const host = hostOf(commit);
    let id = queueIdMax;
    this.#realm = new Realm({
      turn,
      definitions: { append },
      openStore: (queueId) => QueueStore.open({ queueId, directory: String(queueId) }, host),
      openStream: (queueId, { retention }) => {
        return StreamStore.open({ queueId, directory: String(queueId), retention }, host);
      },
      destroyStore: (store) => store.destroy(),
      nextQueueId: () => ++id,
      report,
      timers,
      commit,
      limits: {
        queuesMax: QUEUES_MAX,
        exchangesMax: EXCHANGES_MAX,
        bindingsMax: BINDINGS_MAX,
        warmQueuesMax: WARM_QUEUES_MAX,
      },
    }, { loopbackOnly: [] });
    this.#realm.restore(replay);
    this.management = new Management({
      realm: this.#realm,
      durable: () =>
        new Promise((resolve) => {
          commit.wait({ seal: () => {}, durable: resolve });
          turn.schedule();
        }),
      report,
      product: { name: NAME, version: VERSION },
    });
  }

  close(): void {
    this.#timers.close();
    this.#realm.close();
  }
}

function hostOf(commit: GroupCommit): QueueStoreHost {
  const files = new MemoryFiles();
  return {
    files,
    commit,
    pool: null,
    recoveryWindow: new ReadWindow(files, WINDOW_BYTES),
    now: () => Date.now(),
    report: () => {},
  };
}

function tell({ kind, path, detail }: StoreEvent, report: Report): void {
  if (isDamage(kind)) report(`${kind} in ${path}: ${detail}`);
}

function rethrow(fault: unknown): void {
  throw fault;
}
