// Brokers with one promise broken each: what the simulation must find, or it finds nothing.

import type { Mutant } from "../faults/mutant.ts";
import type { Product } from "./product.ts";
import { simulate } from "./simulation.ts";

/** A mutant that this many seeds do not find is not found. */
export const SEEDS_MAX = 3000;

export interface SimulationMutant extends Mutant {
  /** What is broken, as a sentence. */
  readonly what: string;
  /** One that found it once, to be tried first: most changes move it. */
  readonly seed: number;
}

/** The first seed that finds the mutant, null when none of SEEDS_MAX does. */
export async function findSeed({ seed: known }: SimulationMutant, broken: Product): Promise<number | null> {
  for (let seed = 0; seed <= SEEDS_MAX; seed++) {
    const tried = seed === 0 ? known : seed;
    if ((await simulate(tried, broken)).violation !== null) return tried;
  }
  return null;
}

export const MUTANTS: readonly SimulationMutant[] = [
  {
    name: "simulation_confirm_before_sync",
    what: "confirms go out when the sync begins",
    seed: 18,
    edits: [{
      file: "store/group_commit.ts",
      find: "    this.#running = true;\n    this.#syncer!",
      replace: "    this.#tell();\n    this.#running = true;\n    this.#syncer!",
    }],
  },
  {
    name: "simulation_confirm_while_held",
    what: "what consumers may settle in a moment is confirmed as if they had",
    seed: 240,
    edits: [{
      file: "store/group_commit.ts",
      find: "    this.#seal();\n    return true;",
      replace: "    this.#seal();\n    this.#tell();\n    return true;",
    }],
  },
  {
    name: "simulation_held_taken_for_settled",
    what: "what is in the hands of consumers counts as settled",
    seed: 841,
    edits: [{
      file: "store/hold.ts",
      find: "if (!this.#stores[i]!.isSettledTo!(this.#ends[i]!)) return false;",
      replace: "",
    }],
  },
  {
    name: "simulation_acks_ahead_of_messages",
    what: "what waits for a sync are the acknowledgements, and messages are synced when there is time",
    seed: 29,
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
    name: "simulation_sync_error_ignored",
    what: "a sync that failed counts as one that succeeded",
    seed: 9,
    edits: [{
      file: "store/group_commit.ts",
      find: "if (fault !== null) this.#fail(fault);",
      replace: "",
    }],
  },
  {
    name: "simulation_tail_without_checksum",
    what: "a record is taken for whole without a look at its checksum",
    seed: 261,
    edits: [{
      file: "store/record.ts",
      find: "  return words[word] === xxh32Words(words, word + 1, (paddedBytes(recordBytes) >>> 2) - 1, seed);",
      replace: "  return word >= 0 && recordBytes > 0 && seed === seed;",
    }],
  },
  {
    name: "simulation_requeue_order_lost",
    what: "what is given back comes in the order in which it was given back",
    seed: 28,
    edits: [{
      file: "store/requeued.ts",
      find: "      if (heap[parent]! <= position) break;",
      replace: "      if (heap[parent]! !== position) break;",
    }],
  },
  {
    name: "simulation_directory_not_synced",
    what: "the directory is not synced when a segment was made in it",
    seed: 6,
    edits: [{
      file: "store/queue_directory.ts",
      find: "    if (this.persistent) this.#sync(this.#path, lazily);",
      replace: "    if (this.persistent && lazily) this.#sync(this.#path, lazily);",
    }],
  },
  {
    name: "simulation_old_records_accepted",
    what: "every life of a segment file has the same nonce, so the records of an earlier one count",
    seed: 47,
    edits: [{
      file: "store/segment_keeper.ts",
      find: "const nonce = crypto.getRandomValues(new Int32Array(1))[0]!;",
      replace: "const nonce = 7;",
    }],
  },
  {
    name: "simulation_delete_answered_at_once",
    what: "the deletion of a queue is answered before it is on disk",
    seed: 86,
    edits: [{
      file: "core/virtual_host.ts",
      find: "    this.#services.destroyStore(queue.store, logged);\n    return logged;",
      replace: "    this.#services.destroyStore(queue.store, logged);\n    return false;",
    }],
  },
  {
    name: "simulation_definitions_not_cut",
    what: "with the torn tail of the definitions log its last whole entry is dropped, too",
    seed: 17,
    edits: [{
      file: "store/definitions_log.ts",
      find: "  for (const run of scan.entries) {\n    intact.bytes.set",
      replace:
        "  for (const run of scan.entries.slice(0, scan.end < bytes.length ? -1 : undefined)) {\n    intact.bytes.set",
    }],
  },
  {
    name: "simulation_definitions_found_not_synced",
    what: "what a killed process left of the definitions log in the page cache counts as being on disk",
    seed: 20,
    edits: [{
      file: "store/definitions_log.ts",
      find: "    const file = writeAnew(disk, path, found);",
      replace:
        "    const file = (found.isMissing ? writeAnew : mendInPlace)(disk, path, found.isMissing ? found : found.scan as never);",
    }, {
      file: "store/definitions_log.ts",
      find: "  disk.sync(fd);\n  disk.syncDirectory(dirname(path));",
      replace: "",
    }],
  },
  {
    name: "simulation_directories_found_not_synced",
    what: "directories that a killed process made and had no time to sync count as being on disk",
    seed: 334,
    edits: [{
      file: "store/data_dir.ts",
      find: "    disk.makePrivate(path);\n  }\n  syncDirectory(disk, dirname(path));",
      replace: "    disk.makePrivate(path);\n    syncDirectory(disk, dirname(path));\n  }",
    }],
  },
  {
    name: "simulation_queue_emptied_before_deletion",
    what: "a queue's files go before its deletion is on disk",
    seed: 86,
    edits: [{
      file: "broker.ts",
      find: "    if (!durable) return store.destroy();",
      replace: "    if (store !== null) return store.destroy();",
    }],
  },
  {
    name: "simulation_no_delivered_mark",
    what: "nothing says that messages were delivered before a crash",
    seed: 12,
    edits: [{
      file: "store/queue_store.ts",
      find: " this.#settlements.noteDelivered(segment, offset);",
      replace: " return;",
    }],
  },
  {
    name: "simulation_note_behind_message",
    what: "messages that consumers have stand in the file before the note that they have them",
    seed: 807,
    edits: [{ file: "store/tail.ts", find: "    this.#beforeWrite();\n", replace: "" }],
  },
  {
    name: "simulation_acks_not_written",
    what: "of the acknowledgements of a turn the first ones are not written",
    seed: 69,
    edits: [{
      file: "store/ack_log.ts",
      find: "    for (let i = 0; i < pending.count; i++) {\n      at = this.#encode(words, at, index++, KIND_SETTLED",
      replace:
        "    for (let i = 1; i < pending.count; i++) {\n      at = this.#encode(words, at, index++, KIND_SETTLED",
    }],
  },
  {
    name: "simulation_acks_never_synced",
    what: "acknowledgements wait for the kernel",
    seed: 515,
    edits: [{
      file: "store/settlements.ts",
      find: "    this.#host.commit.dirtyLazily(log.fd);",
      replace: "",
    }],
  },
  {
    name: "simulation_compaction_not_synced",
    what: "the definitions are written anew, and replace the old ones before they are on disk",
    seed: 6,
    edits: [{
      file: "store/definitions_log.ts",
      find: "    disk.sync(fd);\n  } catch (error) {\n    abandon(disk, beside, fd);",
      replace: "  } catch (error) {\n    abandon(disk, beside, fd);",
    }],
  },
  {
    name: "simulation_compaction_name_not_synced",
    what: "the definitions are written anew, and their name is not synced",
    seed: 4,
    edits: [{
      file: "store/definitions_log.ts",
      find: "    this.#commit.release(old, true, () => disk.close(old));\n    disk.syncDirectory(dirname(this.#path));",
      replace: "    this.#commit.release(old, true, () => disk.close(old));",
    }],
  },
  {
    name: "simulation_late_waiters_told",
    what: "whoever comes while a sync runs is told with those that it was begun for",
    seed: 12,
    edits: [{
      file: "store/group_commit.ts",
      find: "  #tell(): void {\n",
      replace:
        "  #tell(): void {\n    for (const waiter of this.#waiting) {\n      waiter.seal();\n      this.#sealed.add(waiter);\n    }\n    this.#waiting.clear();\n",
    }],
  },
  {
    name: "simulation_commit_answered_at_once",
    what: "a transaction's commit is answered before its messages are on disk",
    seed: 2,
    edits: [{
      file: "amqp/replies.ts",
      find: "    this.#services.commit.wait({ seal: () => {}, durable });",
      replace: "    durable();",
    }],
  },
  {
    name: "simulation_transient_survive",
    what: "messages that are not persistent come back after a restart",
    seed: 9,
    edits: [{
      file: "store/queue_recovery.ts",
      find: "      if (isSettled || (flagsAt(words, at) & MESSAGE_PERSISTENT) === 0) {",
      replace: "      if (isSettled || (flagsAt(words, at) & MESSAGE_PERSISTENT) === 99) {",
    }],
  },
];
