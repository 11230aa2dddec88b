// From a declaration to a queue of the type that its arguments name, with its store.

import type { Arguments } from "./arguments.ts";
import type { AnyQueue } from "./any_queue.ts";
import { Deduplication } from "./deduplication.ts";
import { DIRECT_QUEUE_TYPE, DirectQueue } from "./direct_queue.ts";
import { type Owner, Queue, type QueueServices } from "./queue.ts";
import { QueueSettings } from "./queue_settings.ts";
import { Stream } from "./stream.ts";
import { StreamSettings } from "./stream_settings.ts";
import type { VirtualHostServices } from "./virtual_host_services.ts";

export interface QueueDeclaration {
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly exclusive: boolean;
  readonly args: Arguments;
}

/** Refuses arguments that mean nothing. `text` names the queue in refusals. */
export function settingsOf(args: Arguments, text: string): QueueSettings | StreamSettings {
  return args.get("x-queue-type") === "stream" ? new StreamSettings(args, text) : QueueSettings.of(args, text);
}

export function createQueue(
  name: string,
  id: number,
  { durable, autoDelete, args }: QueueDeclaration,
  owner: Owner | null,
  text: string,
  host: VirtualHostServices,
  services: QueueServices,
): AnyQueue {
  if (args.get("x-queue-type") === DIRECT_QUEUE_TYPE) return new DirectQueue(name, id, durable, owner);
  const settings = settingsOf(args, text);
  if (settings.type === "stream") {
    return new Stream(name, id, { args, settings, text }, host.openStream(id, settings), services);
  }
  const deduplication = Deduplication.of(args, text);
  const store = host.openStore(id, durable && owner === null, args);
  return new Queue(name, id, { durable, autoDelete, owner, args, settings, deduplication }, store, services);
}
