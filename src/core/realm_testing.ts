// A realm in memory, and the log that it writes.

import { assert } from "../lib/assert.ts";
import { GroupCommit } from "../store/group_commit.ts";
import { memoryHost } from "../store/memory_host_testing.ts";
import { QueueStore } from "../store/queue_store.ts";
import { StreamStore } from "../store/stream_store.ts";
import type { Entry } from "./definitions.ts";
import { DefinitionsReplay } from "./definitions_replay.ts";
import { Management } from "./management/management.ts";
import { Realm } from "./realm.ts";
import { Timers } from "./timers.ts";
import { Turn } from "./turn.ts";

export interface TestRealm {
  readonly realm: Realm;
  readonly management: Management;
  readonly log: Entry[];
  /** What administrators were told. */
  readonly reports: string[];
}

/** With the entries of `log` played back. */
export function testRealm(log: readonly Entry[] = []): TestRealm {
  const onFault = (fault: unknown): void => assert(false, String(fault));
  const commit = new GroupCommit({ syncer: null, onFault });
  const turn = new Turn(commit, onFault);
  const host = memoryHost(commit);
  const written: Entry[] = [];
  const reports: string[] = [];
  let id = 0;
  const realm = new Realm({
    turn,
    definitions: { append: (entry) => void written.push(JSON.parse(JSON.stringify(entry))) },
    openStore: (queueId) => QueueStore.open({ queueId, directory: `q${queueId}` }, host),
    openStream: (queueId, { retention }) => StreamStore.open({ queueId, directory: `q${queueId}`, retention }, host),
    destroyStore: () => {},
    nextQueueId: () => ++id,
    timers: new Timers(turn, onFault),
    commit,
    limits: { queuesMax: 1000, exchangesMax: 1000, bindingsMax: 1000, warmQueuesMax: 100 },
  }, { loopbackOnly: [] });
  const replay = new DefinitionsReplay();
  for (const entry of log) replay.replay(entry);
  realm.restore(replay);
  const management = new Management({
    realm,
    durable: () => Promise.resolve(),
    report: (text) => void reports.push(text),
    product: { name: "test", version: "0" },
  });
  return { realm, management, log: written, reports };
}
