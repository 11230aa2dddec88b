// Stores in this process, on a disk in memory, whose files can be broken at any octet: the modules are those of src/, or
// of a mutant. What went in is known, so it is known to the octet what has to come out.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { StoreEvent } from "../../src/store/store_event.ts";
import { projectRoot } from "../support/broker_process.ts";
import { MemoryDisk, queuePath } from "../support/memory_disk.ts";
import type { Mutant } from "./mutant.ts";

type Modules =
  & typeof import("../../src/store/queue_store.ts")
  & typeof import("../../src/store/priority_store.ts")
  & typeof import("../../src/store/stream_store.ts")
  & typeof import("../../src/store/definitions_log.ts")
  & typeof import("../../src/store/read_window.ts")
  & typeof import("../../src/store/message.ts");

const MODULES = ["queue_store", "priority_store", "stream_store", "definitions_log", "read_window", "message"];

/** The store's modules below `directory`, null for the project's own. */
export async function loadModules(directory: string | null): Promise<Modules> {
  const folder = join(directory ?? projectRoot, "src", "store");
  const loaded = await Promise.all(MODULES.map((name) => import(pathToFileURL(join(folder, `${name}.ts`)).href)));
  return Object.assign({}, ...loaded) as Modules;
}

/** All checksums hold, whatever the octets. */
export const NO_CHECKSUMS: Mutant = {
  name: "no-checksums",
  edits: [
    {
      file: "store/record.ts",
      find: "  return words[word] === xxh32Words(words, word + 1, (paddedBytes(recordBytes) >>> 2) - 1, seed);",
      replace: "  return words[word] === seed || words.length > 0;",
    },
    {
      file: "store/ack_log.ts",
      find: "    if (words[at] !== xxh32Words(words, at + 1, 3, (nonce + i) | 0)) continue;",
      replace: "",
    },
    {
      file: "store/definitions_format.ts",
      find: "  return checksumOf(bytes.subarray(from, to)) === view.getUint32(at + 4, true) ? to : -1;",
      replace: "  return to;",
    },
    {
      file: "store/stream_offsets.ts",
      find: "    if (view.getInt32(at, true) !== xxh32(bytes, at + 4, length - 4, this.#nonce)) return 0;",
      replace: "",
    },
  ],
};

/** A message as it lies on disk. */
export interface Kept {
  readonly body: string;
  /** The file of its segment, and the octets of its record there. */
  readonly path: string;
  readonly from: number;
  readonly to: number;
}

export interface Delivered {
  readonly body: string;
  readonly redelivered: boolean;
  /** Of a stream: its offset. */
  readonly offset: number;
}

const MESSAGES = 240;

/** Fills stores with all that can lie on disk, several segments each, some of it acknowledged; returns their files. */
export function fillStores(store: StoreUnderTest): ReadonlyMap<string, Uint8Array> {
  const bodies = (prefix: (i: number) => string) =>
    Array.from({ length: MESSAGES }, (_, i) => `${prefix(i)} message ${i} ${"x".repeat(i * 7 % 90)}`);
  store.fill("queue", bodies(() => "queue"), 7);
  store.fill("priority", bodies((i) => i % 3 === 0 ? "7" : "2"), 7);
  store.fill("stream", bodies(() => "stream"), 7);
  // Every other one, so that each is an entry of its own; of what was delivered some is not acknowledged.
  store.consume("queue", MESSAGES - 20, 3, (i) => i % 2 === 0);
  store.consume("priority", 30, 3, (i) => i % 2 === 0);
  store.track(Array.from({ length: 180 }, (_, i) => [CONSUMERS[i % CONSUMERS.length]!, i]));
  store.writeDefinitions(Array.from({ length: 60 }, (_, i) => ({ op: "queue", name: `queue ${i}`, id: i, args: {} })));
  return store.snapshot();
}

export const STORE_KINDS: readonly StoreKind[] = ["queue", "priority", "stream"];
export type StoreKind = "queue" | "priority" | "stream";
export const QUEUE_IDS: Readonly<Record<StoreKind, number>> = { queue: 1, priority: 2, stream: 3 };
export const DEFINITIONS_PATH = "/data/definitions.log";
/** Consumers of the stream. */
export const CONSUMERS = ["first", "second", "third"];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class StoreUnderTest {
  readonly disk = new MemoryDisk();
  readonly events: StoreEvent[] = [];
  readonly #touched: { flush(): void }[] = [];
  readonly #commit = {
    touch: (store: { flush(): void }) => void this.#touched.push(store),
    dirty: () => {},
    dirtyLazily: () => {},
    release: (_fd: number, _forget: boolean, close: () => void) => close(),
  };
  readonly #modules: Modules;
  readonly #sizes: { readonly segmentBytesMin: number; readonly segmentBytesMax: number };

  constructor(modules: Modules, segmentBytes: number) {
    this.#modules = modules;
    this.#sizes = { segmentBytesMin: segmentBytes, segmentBytesMax: segmentBytes };
  }

  /** Appends messages with these bodies, so many in a turn. */
  fill(kind: StoreKind, bodies: readonly string[], perTurn: number): void {
    const store = kind === "stream" ? this.openStream() : this.#openQueue(kind);
    for (const [index, body] of bodies.entries()) {
      store.append(this.#message(body));
      if (index % perTurn === perTurn - 1) this.endTurn();
    }
    store.close();
    this.endTurn();
  }

  /** Takes this many and settles those for which `settles` holds, a turn for each `perTurn`. */
  consume(kind: "queue" | "priority", count: number, perTurn: number, settles: (index: number) => boolean): void {
    const store = this.#openQueue(kind);
    const message = new this.#modules.Message();
    for (let i = 0; i < count && store.next(message); i++) {
      if (settles(i)) store.settle(message.position, message.recordBytes, message.bodyBytes);
      if (i % perTurn === perTurn - 1) this.endTurn();
    }
    store.close();
    this.endTurn();
  }

  /** What a start finds: everything that is ready, in order. */
  read(kind: StoreKind): Delivered[] {
    const message = new this.#modules.Message();
    const delivered: Delivered[] = [];
    const take = () => {
      const { redelivered, position } = message;
      delivered.push({ body: bodyOf(message), redelivered, offset: kind === "stream" ? position : 0 });
    };
    if (kind === "stream") {
      const stream = this.openStream();
      const cursor = stream.cursor();
      while (cursor.next(message)) take();
      cursor.close();
      stream.close();
    } else {
      const store = this.#openQueue(kind);
      const { readyCount } = store;
      while (store.next(message)) take();
      if (store.readyCount !== 0 || delivered.length > readyCount) {
        throw new Error(`${readyCount} were ready, ${delivered.length} came, ${store.readyCount} are left`);
      }
      store.close();
    }
    this.endTurn();
    return delivered;
  }

  track(offsets: readonly (readonly [string, number])[]): void {
    const stream = this.openStream();
    for (const [name, offset] of offsets) {
      stream.track(name, offset);
      stream.flush();
    }
    stream.close();
    this.endTurn();
  }

  /** What a start knows of the stream's consumers. */
  tracked(): Map<string, number> {
    const stream = this.openStream();
    const offsets = new Map(CONSUMERS.map((name) => [name, stream.offsets.get(name) ?? -1]));
    stream.close();
    this.endTurn();
    return offsets;
  }

  writeDefinitions(entries: readonly Record<string, unknown>[]): void {
    const log = this.#openDefinitions([]);
    for (const entry of entries) log.append(entry);
    this.endTurn();
    log.close();
  }

  readDefinitions(): Record<string, unknown>[] {
    const entries: Record<string, unknown>[] = [];
    this.#openDefinitions(entries).close();
    return entries;
  }

  openStream() {
    const retention = { maxAgeMs: Infinity, maxBytes: Infinity, maxLength: Infinity };
    const options = { queueId: QUEUE_IDS.stream, directory: queuePath(QUEUE_IDS.stream), retention, ...this.#sizes };
    return this.#modules.StreamStore.open(options, this.#host);
  }

  /** Octets of the disk as it is now; `restore` brings them back. */
  snapshot(): ReadonlyMap<string, Uint8Array> {
    return this.disk.content();
  }

  restore(content: ReadonlyMap<string, Uint8Array>): void {
    this.disk.restore(content);
    this.events.length = 0;
    this.#touched.length = 0;
  }

  endTurn(): void {
    for (const store of this.#touched.splice(0)) store.flush();
  }

  get #host() {
    const files = this.disk.segmentFiles;
    const { ReadWindow, RECOVERY_AHEAD_BYTES } = this.#modules;
    return {
      files,
      commit: this.#commit,
      pool: null,
      recoveryWindow: new ReadWindow(files, RECOVERY_AHEAD_BYTES),
      now: () => 1_800_000_000_000,
      report: (event: StoreEvent) => void this.events.push(event),
    };
  }

  #openQueue(kind: "queue" | "priority") {
    const options = { queueId: QUEUE_IDS[kind], directory: queuePath(QUEUE_IDS[kind]), ...this.#sizes };
    if (kind === "queue") return this.#modules.QueueStore.open(options, this.#host);
    return this.#modules.PriorityStore.open({ ...options, maxPriority: 9, priorityOf }, this.#host);
  }

  #openDefinitions(entries: Record<string, unknown>[]) {
    this.disk.makeDirectory("/data");
    const { DefinitionsLog } = this.#modules;
    return DefinitionsLog.open(
      this.disk,
      DEFINITIONS_PATH,
      this.#commit,
      (entry) => entries.push(entry),
      (event) => this.events.push(event),
    );
  }

  #message(body: string): InstanceType<Modules["Message"]> {
    const message = new this.#modules.Message();
    message.timestampMs = 1_800_000_000_123;
    message.flags = 1;
    message.route = encoder.encode("\x00\x01q");
    message.routeBytes = message.route.length;
    message.header = encoder.encode("\0\0\0\0\0\0\0\x10\x10\0\x02");
    message.headerBytes = message.header.length;
    message.body = encoder.encode(body);
    message.bodyBytes = message.body.length;
    return message;
  }
}

function priorityOf(message: { readonly body: Uint8Array; readonly bodyAt: number }): number {
  return message.body[message.bodyAt]! - 0x30;
}

function bodyOf(message: { readonly body: Uint8Array; readonly bodyAt: number; readonly bodyBytes: number }): string {
  return decoder.decode(message.body.subarray(message.bodyAt, message.bodyAt + message.bodyBytes));
}
