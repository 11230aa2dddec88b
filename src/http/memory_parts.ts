// What a node's memory is used for, under RabbitMQ's names.

import type { MemoryUse } from "./node_gauges.ts";

/** Parts of Erlang's: clients expect numbers, and of these there are none. */
const NOT_HERE = [
  "connection_readers",
  "connection_writers",
  "connection_channels",
  "connection_other",
  "queue_procs",
  "queue_slave_procs",
  "quorum_queue_procs",
  "quorum_queue_dlx_procs",
  "stream_queue_procs",
  "stream_queue_replica_reader_procs",
  "stream_queue_coordinator_procs",
  "plugins",
  "metadata_store",
  "metrics",
  "mgmt_db",
  "mnesia",
  "quorum_ets",
  "metadata_store_ets",
  "other_ets",
  "msg_index",
  "code",
  "atom",
  "reserved_unallocated",
] as const;

export function memoryParts({ heapUsed, heapTotal, external, rss }: MemoryUse): object {
  return {
    ...Object.fromEntries(NOT_HERE.map((name) => [name, 0])),
    other_proc: heapUsed,
    binary: external,
    allocated_unused: Math.max(0, heapTotal - heapUsed),
    other_system: Math.max(0, rss - external - Math.max(heapTotal, heapUsed)),
    strategy: "rss",
    total: { erlang: heapUsed + external, rss, allocated: Math.max(heapTotal, heapUsed) + external },
  };
}
