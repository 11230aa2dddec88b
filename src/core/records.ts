// Small durable facts that a protocol keeps in a virtual host, by kind and name: a session, the store of retained
// messages. They stand in the definitions log, like the topology.

import type { DefinitionsSink, Entry } from "./definitions.ts";

/** What JSON can hold. */
export type RecordValue = Readonly<Record<string, unknown>>;

const NONE: ReadonlyMap<string, RecordValue> = new Map();

export class Records {
  readonly #vhost: string;
  readonly #definitions: DefinitionsSink;
  readonly #kinds = new Map<string, Map<string, RecordValue>>();

  constructor(vhost: string, definitions: DefinitionsSink) {
    this.#vhost = vhost;
    this.#definitions = definitions;
  }

  of(kind: string): ReadonlyMap<string, RecordValue> {
    return this.#kinds.get(kind) ?? NONE;
  }

  /** On disk with the sync that follows the turn. `value.id`, if it is there, is the id of a store. */
  set(kind: string, name: string, value: RecordValue): void {
    let records = this.#kinds.get(kind);
    if (records === undefined) this.#kinds.set(kind, records = new Map());
    records.set(name, value);
    this.#definitions.append(recordEntry(this.#vhost, kind, name, value));
  }

  delete(kind: string, name: string): void {
    if (this.#kinds.get(kind)?.delete(name) !== true) return;
    this.#definitions.append({ op: "record-delete", vhost: this.#vhost, kind, name });
  }

  *entries(): IterableIterator<Entry> {
    for (const [kind, records] of this.#kinds) {
      for (const [name, value] of records) yield recordEntry(this.#vhost, kind, name, value);
    }
  }
}

function recordEntry(vhost: string, kind: string, name: string, value: RecordValue): Entry {
  return { op: "record", vhost, kind, name, value };
}
