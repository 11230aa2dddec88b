// Plays a definitions log back: collects its entries, of which later ones replace or take back earlier ones, and restores
// what is left of them. A queue that was declared and deleted again never opens its store. A binding whose source or
// destination went after it was made is gone with it; so is everything in a virtual host that was deleted, and every
// permission of a user.

import { type Arguments, argumentsFromJson } from "./arguments.ts";
import type { Entry } from "./definitions.ts";
import type { RecordValue } from "./records.ts";
import type { VirtualHost } from "./virtual_host.ts";

/** An entry and its place in the log. */
interface Placed {
  readonly entry: Entry;
  readonly place: number;
}

/** Of one virtual host. */
class VhostEntries {
  readonly exchanges = new Map<string, Placed>();
  readonly queues = new Map<string, Placed>();
  readonly bindings = new Map<string, Placed>();
  readonly permissions = new Map<string, Entry>();
  /** Policies of both kinds, parameters. */
  readonly rules = new Map<string, Entry>();
  readonly records = new Map<string, Entry>();
  /** What it was last said to be; null: only things in it were named (by a log older than virtual hosts, or a damaged one). */
  self: Entry | null = null;
}

const DELETE = "-delete";

export class DefinitionsReplay {
  readonly #vhosts = new Map<string, VhostEntries>();
  readonly #users = new Map<string, Entry>();
  readonly #globals = new Map<string, Entry>();
  readonly #namedIds = new Set<number>();
  #place = 0;
  #queueIdMax = 0;

  /** The largest id of a queue, or of an exchange's delayed messages, that the log ever named. */
  get queueIdMax(): number {
    return this.#queueIdMax;
  }

  /** Under these ids messages may lie, and under these they may have lain. */
  get ids(): { readonly live: ReadonlySet<number>; readonly named: ReadonlySet<number> } {
    const live = [...this.queues(), ...this.delayedExchanges(), ...this.recordStores()].map(({ id }) => Number(id));
    return { live: new Set(live), named: this.#namedIds };
  }

  /** The queues that are left: where each stands, and its entry. */
  queues(): Entry[] {
    return [...this.#vhosts.values()].flatMap(({ queues }) => [...queues.values()].map(({ entry }) => entry));
  }

  /** The stores that records name: what a protocol keeps beside the queues, by the records' kind. */
  recordStores(): { readonly vhost: string; readonly kind: string; readonly id: number }[] {
    const found: { vhost: string; kind: string; id: number }[] = [];
    for (const [vhost, { records }] of this.#vhosts) {
      for (const entry of records.values()) {
        const id = storeIdOf(entry);
        if (id !== 0) found.push({ vhost, kind: String(entry.kind), id });
      }
    }
    return found;
  }

  /** The exchanges that are left and keep messages back. */
  delayedExchanges(): Entry[] {
    const all = [...this.#vhosts.values()].flatMap(({ exchanges }) =>
      [...exchanges.values()].map(({ entry }) => entry)
    );
    return all.filter(({ id }) => id !== undefined);
  }

  /** It says who may do what: there are users or virtual hosts, of whatever kind. Older logs held neither. */
  get knowsIdentity(): boolean {
    return this.#users.size > 0 || [...this.#vhosts.values()].some(({ self }) => self !== null);
  }

  replay(entry: Entry): void {
    const { op, vhost } = entry;
    const name = String(entry.name);
    switch (op) {
      case "vhost":
        this.#of(name).self = entry;
        return;
      case "vhost-delete":
        return void this.#vhosts.delete(name);
      case "user":
        return void this.#users.set(name, entry);
      case "user-delete":
        return this.#deleteUser(name);
      case "global-parameter":
        return void this.#globals.set(name, entry);
      case "global-parameter-delete":
        return void this.#globals.delete(name);
      default:
        this.#replayIn(this.#of(String(vhost)), String(op), entry);
    }
  }

  #replayIn(vhost: VhostEntries, op: string, entry: Entry): void {
    const name = String(entry.name);
    const placed = { entry, place: ++this.#place };
    switch (op) {
      case "exchange":
        vhost.exchanges.set(name, placed);
        return entry.id === undefined ? undefined : this.#noteId(Number(entry.id));
      case "exchange-delete":
        return void vhost.exchanges.delete(name);
      case "queue":
        vhost.queues.set(name, placed);
        return this.#noteId(Number(entry.id));
      case "queue-delete":
        return void vhost.queues.delete(name);
      case "queue-pause":
      case "queue-resume": {
        // Its place stays: its bindings are older.
        const queue = vhost.queues.get(name);
        if (queue !== undefined) {
          vhost.queues.set(name, { ...queue, entry: { ...queue.entry, paused: op === "queue-pause" } });
        }
        return;
      }
      case "bind":
        // Taken out first, so that it stands where it was made last: some exchanges go by the order of their bindings.
        vhost.bindings.delete(bindingKey(entry));
        return void vhost.bindings.set(bindingKey(entry), placed);
      case "unbind":
        return void vhost.bindings.delete(bindingKey(entry));
    }
    if (op === "record") this.#noteId(storeIdOf(entry));
    const kind = op.endsWith(DELETE) ? op.slice(0, -DELETE.length) : op;
    const table = tableOf(vhost, kind);
    if (table === null) throw new Error(`definitions log: expected a known entry, found op '${op}'`);
    const id = key(kind, entry.name, entry.user, entry.exchange, entry.component, entry.kind);
    if (op === kind) table.set(id, entry);
    else table.delete(id);
  }

  #of(name: string): VhostEntries {
    let entries = this.#vhosts.get(name);
    if (entries === undefined) this.#vhosts.set(name, entries = new VhostEntries());
    return entries;
  }

  #noteId(id: number): void {
    this.#namedIds.add(id);
    this.#queueIdMax = Math.max(this.#queueIdMax, id);
  }

  #deleteUser(name: string): void {
    this.#users.delete(name);
    for (const { permissions } of this.#vhosts.values()) {
      for (const [id, { user }] of permissions) if (user === name) permissions.delete(id);
    }
  }

  // What is left

  users(): IterableIterator<Entry> {
    return this.#users.values();
  }

  globalParameters(): IterableIterator<Entry> {
    return this.#globals.values();
  }

  /** The names of the virtual hosts, and the entry of each that has one: others have at least something in them. */
  vhosts(): [name: string, entry: Entry | null][] {
    const present = [...this.#vhosts].filter(([, { self, exchanges, queues }]) => {
      return self !== null || exchanges.size > 0 || queues.size > 0;
    });
    return present.map(([name, { self }]) => [name, self]);
  }

  /** Permissions of both kinds. */
  permissionsIn(vhost: string): IterableIterator<Entry> {
    return this.#of(vhost).permissions.values();
  }

  /** Policies of both kinds, parameters. */
  rulesIn(vhost: string): IterableIterator<Entry> {
    return this.#of(vhost).rules.values();
  }

  /** Builds the topology that the log holds into `vhost`; returns how many bindings lead from or to what is not there. */
  restore(vhost: VirtualHost): number {
    let loose = 0;
    const entries = this.#of(vhost.name);
    for (const { entry } of entries.exchanges.values()) {
      const storeId = entry.id === undefined ? null : Number(entry.id);
      vhost.declareExchange(String(entry.name), {
        type: String(entry.type),
        durable: true,
        autoDelete: entry.autoDelete === true,
        internal: entry.internal === true,
        args: argumentsFromJson(entry.args) as Arguments,
      }, storeId);
    }
    for (const { entry } of entries.queues.values()) {
      const id = Number(entry.id);
      const args = argumentsFromJson(entry.args) as Arguments;
      vhost.restoreQueue(String(entry.name), id, entry.autoDelete === true, args, entry.paused === true);
    }
    for (const placed of entries.bindings.values()) if (!restoreBinding(vhost, entries, placed)) loose++;
    for (const { kind, name, value } of entries.records.values()) {
      vhost.records.set(String(kind), String(name), value as RecordValue);
    }
    return loose;
  }
}

function restoreBinding(vhost: VirtualHost, entries: VhostEntries, { entry, place }: Placed): boolean {
  const source = vhost.exchanges.get(String(entry.source));
  const toQueue = entry.kind === "queue";
  const destination = (toQueue ? vhost.queues : vhost.exchanges).get(String(entry.destination));
  if (source === undefined || destination === undefined) return false;
  const sourcePlace = entries.exchanges.get(source.name)?.place ?? 0;
  const destinationPlace = (toQueue ? entries.queues : entries.exchanges).get(destination.name)?.place ?? 0;
  if (sourcePlace > place || destinationPlace > place) return false;
  vhost.bind(source.name, destination, String(entry.routingKey), argumentsFromJson(entry.args) as Arguments);
  return true;
}

/** The id of the store that a record names; 0 for none. */
function storeIdOf({ value }: Entry): number {
  return Number((value as RecordValue).id ?? 0);
}

function tableOf({ permissions, rules, records }: VhostEntries, kind: string): Map<string, Entry> | null {
  switch (kind) {
    case "permission":
    case "topic-permission":
      return permissions;
    case "policy":
    case "operator-policy":
    case "parameter":
      return rules;
    case "record":
      return records;
    default:
      return null;
  }
}

function key(...parts: unknown[]): string {
  return JSON.stringify(parts);
}

function bindingKey(entry: Entry): string {
  return key(entry.source, entry.kind, entry.destination, entry.routingKey, entry.args);
}
