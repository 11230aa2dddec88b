// Brokers with one promise broken each: what the simulation must find, or it finds nothing.

import type { Mutant } from "../faults/mutant.ts";

export interface SimulationMutant extends Mutant {
  /** What is broken, as a sentence. */
  readonly what: string;
}

export const MUTANTS: readonly SimulationMutant[] = [
  {
    name: "sim_confirm_before_sync",
    what: "confirms go out when the sync begins",
    edits: [{
      file: "store/group_commit.ts",
      find: "    this.#running = true;\n    this.#syncer!",
      replace: "    this.#tell();\n    this.#running = true;\n    this.#syncer!",
    }],
  },
  {
    name: "sim_acks_ahead_of_messages",
    what: "what waits for a sync are the acknowledgements, and messages are synced when there is time",
    edits: [
      {
        file: "store/tail.ts",
        find: "this.#commit.dirty(file.fd)",
        replace: "this.#commit.dirtyLazily(file.fd)",
      },
      {
        file: "store/settlements.ts",
        find: "this.#host.commit.dirtyLazily(log.fd)",
        replace: "this.#host.commit.dirty(log.fd)",
      },
    ],
  },
  {
    name: "sim_sync_error_ignored",
    what: "a sync that failed counts as one that succeeded",
    edits: [{
      file: "store/group_commit.ts",
      find: "if (fault !== null) this.#fail(fault);",
      replace: "",
    }],
  },
  {
    name: "sim_tail_without_checksum",
    what: "a record is taken for whole without a look at its checksum",
    edits: [{
      file: "store/record.ts",
      find: "  return words[word] === xxh32Words(words, word + 1, (paddedBytes(recordBytes) >>> 2) - 1, seed);",
      replace: "  return word >= 0 && recordBytes > 0 && seed === seed;",
    }],
  },
  {
    name: "sim_requeue_order_lost",
    what: "what is given back comes in the order in which it was given back",
    edits: [{
      file: "store/requeued.ts",
      find: "      if (heap[parent]! <= position) break;",
      replace: "      if (heap[parent]! !== position) break;",
    }],
  },
  {
    name: "sim_directory_not_synced",
    what: "the directory is not synced when a segment was made in it",
    edits: [{
      file: "store/queue_directory.ts",
      find: "    if (this.persistent) this.#sync(this.#path, lazily);",
      replace: "    if (this.persistent && lazily) this.#sync(this.#path, lazily);",
    }],
  },
  {
    name: "sim_old_records_accepted",
    what: "every life of a segment file has the same nonce, so the records of an earlier one count",
    edits: [{
      file: "store/segment_keeper.ts",
      find: "const nonce = crypto.getRandomValues(new Int32Array(1))[0]!;",
      replace: "const nonce = 7;",
    }],
  },
  {
    name: "sim_delete_answered_at_once",
    what: "the deletion of a queue is answered before it is on disk",
    edits: [{
      file: "core/virtual_host.ts",
      find: "    this.#services.destroyStore(queue.store, logged);\n    return logged;",
      replace: "    this.#services.destroyStore(queue.store, logged);\n    return false;",
    }],
  },
  {
    name: "sim_definitions_not_cut",
    what: "the torn tail of the definitions log is cut in the middle of its last whole entry",
    edits: [{
      file: "store/definitions_log.ts",
      find: "    disk.truncate(fd, scan.end);\n",
      replace:
        "    disk.truncate(fd, Math.max(8, scan.end - 4));\n    return { fd, end: Math.max(8, scan.end - 4) };\n",
    }],
  },
  {
    name: "sim_definitions_found_not_synced",
    what: "what a killed process left of the definitions log in the page cache counts as being on disk",
    edits: [{
      file: "store/definitions_log.ts",
      find: "  disk.sync(fd);\n  disk.syncDirectory(dirname(path));\n  return { fd, end: scan.end };",
      replace: "  return { fd, end: scan.end };",
    }],
  },
  {
    name: "sim_directories_found_not_synced",
    what: "directories that a killed process made and had no time to sync count as being on disk",
    edits: [{
      file: "store/data_dir.ts",
      find: "    disk.makePrivate(path);\n  }\n  syncDirectory(disk, dirname(path));",
      replace: "    disk.makePrivate(path);\n    syncDirectory(disk, dirname(path));\n  }",
    }],
  },
  {
    name: "sim_queue_emptied_before_deletion",
    what: "a queue's files go before its deletion is on disk",
    edits: [{
      file: "broker.ts",
      find: "    if (!durable) return store.destroy();",
      replace: "    if (store !== null) return store.destroy();",
    }],
  },
  {
    name: "sim_letter_settled_first",
    what: "a dead letter's first life ends before its second one is on disk",
    edits: [{
      file: "core/dead_letters.ts",
      find: "      this.#services.commit.wait({ seal: () => {}, durable });",
      replace: "      durable();",
    }],
  },
  {
    name: "sim_no_delivered_mark",
    what: "nothing says that messages were delivered before a crash",
    edits: [{
      file: "store/queue_store.ts",
      find: "      this.#settlements.noteDelivered(reader.segment, reader.offset);",
      replace: "",
    }],
  },
  {
    name: "sim_acks_not_written",
    what: "acknowledgements are written when their log is open already, and otherwise not",
    edits: [{
      file: "store/settlements.ts",
      find: "    segment.pending.clear();\n    segment.returns = null;",
      replace: "    segment.returns = null;",
    }, {
      file: "store/settlements.ts",
      find: "    const problem = log.append(segment, deliveredTo, this.#scratch);",
      replace:
        "    if (!made) segment.pending.clear();\n    const problem = log.append(segment, deliveredTo, this.#scratch);",
    }],
  },
  {
    name: "sim_acks_never_synced",
    what: "acknowledgements wait for the kernel",
    edits: [{
      file: "store/settlements.ts",
      find: "    this.#host.commit.dirtyLazily(log.fd);",
      replace: "",
    }],
  },
  {
    name: "sim_compaction_not_synced",
    what: "the definitions are written anew, and replace the old ones before they are on disk",
    edits: [{
      file: "store/definitions_log.ts",
      find: "    disk.sync(fd);\n  } catch (error) {\n    abandon(disk, beside, fd);",
      replace: "  } catch (error) {\n    abandon(disk, beside, fd);",
    }],
  },
  {
    name: "sim_compaction_name_not_synced",
    what: "the definitions are written anew, and their name is not synced",
    edits: [{
      file: "store/definitions_log.ts",
      find: "    this.#commit.release(old, true, () => disk.close(old));\n    disk.syncDirectory(dirname(this.#path));",
      replace: "    this.#commit.release(old, true, () => disk.close(old));",
    }],
  },
  {
    name: "sim_late_waiters_told",
    what: "whoever comes while a sync runs is told with those that it was begun for",
    edits: [{
      file: "store/group_commit.ts",
      find: "  #tell(): void {\n",
      replace:
        "  #tell(): void {\n    for (const waiter of this.#waiting) {\n      waiter.seal();\n      this.#sealed.add(waiter);\n    }\n    this.#waiting.clear();\n",
    }],
  },
  {
    name: "sim_commit_answered_at_once",
    what: "a transaction's commit is answered before its messages are on disk",
    edits: [{
      file: "amqp/replies.ts",
      find: "    this.#services.commit.wait({ seal: () => {}, durable });",
      replace: "    durable();",
    }],
  },
  {
    name: "sim_transient_survive",
    what: "messages that are not persistent come back after a restart",
    edits: [{
      file: "store/queue_recovery.ts",
      find: "      if (isSettled || (flagsAt(words, at) & MESSAGE_PERSISTENT) === 0) {",
      replace: "      if (isSettled || (flagsAt(words, at) & MESSAGE_PERSISTENT) === 99) {",
    }],
  },
];
