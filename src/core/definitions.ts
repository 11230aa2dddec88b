// The topology as entries of the definitions log: how each durable thing is written down. How a log is played back stands
// in definitions_replay.ts.

import type { AnyQueue } from "./any_queue.ts";
import { argumentsToJson } from "./arguments.ts";
import type { Binding, Exchange } from "./exchange.ts";
import { Queue } from "./queue.ts";

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
  const entry = { op: "queue", vhost, name, id, autoDelete, args: argumentsToJson(args) };
  return queue instanceof Queue && queue.paused ? { ...entry, paused: true } : entry;
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
