// The topology as entries of the definitions log: how each durable thing is written down, and how a log is played back.

import type { AnyQueue } from "./any_queue.ts";
import { type Arguments, argumentsFromJson, argumentsToJson } from "./arguments.ts";
import type { Binding, Exchange } from "./exchange.ts";
import type { RecordValue } from "./records.ts";
import type { VirtualHost } from "./virtual_host.ts";

export type Entry = Record<string, unknown>;

/** Where changes of the topology are written; on disk when the sync that follows the turn is done. */
export interface DefinitionsSink {
  append(entry: Entry): void;
}

export function exchangeEntry(vhost: string, exchange: Exchange): Entry {
  const { name, type, autoDelete, internal, args, delayed } = exchange;
  const entry = { op: "exchange", vhost, name, type, autoDelete, internal, args: argumentsToJson(args) };
  return delayed === null ? entry : { ...entry, id: delayed.id };
}

export function queueEntry(vhost: string, queue: AnyQueue): Entry {
  const { name, id, autoDelete, args } = queue;
  return { op: "queue", vhost, name, id, autoDelete, args: argumentsToJson(args) };
}

export function bindingEntry(op: "bind" | "unbind", vhost: string, binding: Binding): Entry {
  const { source, destination, routingKey, args } = binding;
  return {
    op,
    vhost,
    source: source.name,
    kind: destination.kind,
    destination: destination.name,
    routingKey,
    args: argumentsToJson(args),
  };
}

/** An entry and its place in the log. */
interface Placed {
  readonly entry: Entry;
  readonly place: number;
}

/**
 * Collects the entries of a log and then restores what is left of them: a queue that was declared and deleted again
 * never opens its store. A binding whose source or destination went after it was made is gone with it.
 */
export class DefinitionsReplay {
  readonly #exchanges = new Map<string, Placed>();
  readonly #queues = new Map<string, Placed>();
  readonly #bindings = new Map<string, Placed>();
  readonly #records = new Map<string, Entry>();
  readonly #namedIds = new Set<number>();
  #place = 0;
  #queueIdMax = 0;

  /** The largest id of a queue, or of an exchange's delayed messages, that the log ever named. */
  get queueIdMax(): number {
    return this.#queueIdMax;
  }

  /** Under these ids messages may lie, and under these they may have lain. */
  get ids(): { readonly live: ReadonlySet<number>; readonly named: ReadonlySet<number> } {
    const live = new Set<number>();
    for (const { entry } of [...this.#queues.values(), ...this.#exchanges.values()]) {
      if (entry.id !== undefined) live.add(Number(entry.id));
    }
    for (const entry of this.#records.values()) if (storeIdOf(entry) > 0) live.add(storeIdOf(entry));
    return { live, named: this.#namedIds };
  }

  /** The queues that are left: where each stands, and its entry. */
  queues(): Entry[] {
    return [...this.#queues.values()].map(({ entry }) => entry);
  }

  /** The exchanges that are left and keep messages back. */
  delayedExchanges(): Entry[] {
    return [...this.#exchanges.values()].map(({ entry }) => entry).filter(({ id }) => id !== undefined);
  }

  replay(entry: Entry): void {
    const name = key(entry.vhost, entry.name);
    const placed = { entry, place: ++this.#place };
    switch (entry.op) {
      case "exchange":
        this.#exchanges.set(name, placed);
        if (entry.id !== undefined) this.#note(Number(entry.id));
        break;
      case "exchange-delete":
        this.#exchanges.delete(name);
        break;
      case "queue":
        this.#queues.set(name, placed);
        this.#note(Number(entry.id));
        break;
      case "queue-delete":
        this.#queues.delete(name);
        break;
      case "bind":
        // Taken out first, so that it stands where it was made last: some exchanges go by the order of their bindings.
        this.#bindings.delete(bindingKey(entry));
        this.#bindings.set(bindingKey(entry), placed);
        break;
      case "unbind":
        this.#bindings.delete(bindingKey(entry));
        break;
      case "record":
        this.#records.set(key(entry.vhost, entry.kind, entry.name), entry);
        if (storeIdOf(entry) > 0) this.#note(storeIdOf(entry));
        break;
      case "record-delete":
        this.#records.delete(key(entry.vhost, entry.kind, entry.name));
        break;
      default:
        throw new Error(`definitions log: expected a known entry, found op '${String(entry.op)}'`);
    }
  }

  /** Builds what the log holds into `vhost`; returns how many bindings lead from or to what is not there. */
  restore(vhost: VirtualHost): number {
    let loose = 0;
    for (const { entry } of this.#exchanges.values()) {
      if (entry.vhost !== vhost.name) continue;
      const storeId = entry.id === undefined ? null : Number(entry.id);
      vhost.declareExchange(String(entry.name), {
        type: String(entry.type),
        durable: true,
        autoDelete: entry.autoDelete === true,
        internal: entry.internal === true,
        args: argumentsFromJson(entry.args) as Arguments,
      }, storeId);
    }
    for (const { entry } of this.#queues.values()) {
      if (entry.vhost !== vhost.name) continue;
      const id = Number(entry.id);
      vhost.restoreQueue(String(entry.name), id, entry.autoDelete === true, argumentsFromJson(entry.args) as Arguments);
    }
    for (const placed of this.#bindings.values()) {
      if (placed.entry.vhost === vhost.name && !this.#restoreBinding(vhost, placed)) loose++;
    }
    for (const entry of this.#records.values()) {
      if (entry.vhost !== vhost.name) continue;
      vhost.records.set(String(entry.kind), String(entry.name), entry.value as RecordValue);
    }
    return loose;
  }

  #note(id: number): void {
    this.#namedIds.add(id);
    this.#queueIdMax = Math.max(this.#queueIdMax, id);
  }

  #restoreBinding(vhost: VirtualHost, { entry, place }: Placed): boolean {
    const source = vhost.exchanges.get(String(entry.source));
    const toQueue = entry.kind === "queue";
    const destination = (toQueue ? vhost.queues : vhost.exchanges).get(String(entry.destination));
    if (source === undefined || destination === undefined) return false;
    const sourcePlace = this.#exchanges.get(key(entry.vhost, entry.source))?.place ?? 0;
    const among = toQueue ? this.#queues : this.#exchanges;
    const destinationPlace = among.get(key(entry.vhost, entry.destination))?.place ?? 0;
    if (sourcePlace > place || destinationPlace > place) return false;
    vhost.bind(source.name, destination, String(entry.routingKey), argumentsFromJson(entry.args) as Arguments);
    return true;
  }
}

function key(...parts: unknown[]): string {
  return JSON.stringify(parts);
}

/** The id of the store that a record names; 0 for none. */
function storeIdOf({ value }: Entry): number {
  return Number((value as RecordValue).id ?? 0);
}

function bindingKey(entry: Entry): string {
  return key(entry.vhost, entry.source, entry.kind, entry.destination, entry.routingKey, entry.args);
}
