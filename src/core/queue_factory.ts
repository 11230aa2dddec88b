// Makes the queues of a virtual host, of whatever type, and keeps house for them: which hold files, what streams let go.

import { steadyMs } from "../lib/clock.ts";
import type { AnyQueue, QueueType } from "./any_queue.ts";
import type { Arguments } from "./arguments.ts";
import type { Owner } from "./consumer.ts";
import { DeadLetters, type DeadLetterServices } from "./dead_letters.ts";
import { Deduplication } from "./deduplication.ts";
import { DIRECT_QUEUE_TYPE, DirectQueue } from "./direct_queue.ts";
import type { Policies } from "./policies/policies.ts";
import { Queue } from "./queue.ts";
import type { QueueServices } from "./queue_services.ts";
import { type PolicyDefinition, QueueSettings } from "./queue_settings.ts";
import { Stream } from "./stream.ts";
import { StreamSettings } from "./stream_settings.ts";
import type { VirtualHostServices } from "./virtual_host_services.ts";
import { WarmQueues } from "./warm_queues.ts";

export interface QueueDeclaration {
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly exclusive: boolean;
  readonly args: Arguments;
}

export interface QueueHooks {
  readonly expired: QueueServices["expired"];
  readonly route: DeadLetterServices["route"];
}

export class QueueFactory {
  readonly #services: VirtualHostServices;
  readonly #policies: Policies;
  readonly #queueServices: QueueServices;
  readonly #warm: WarmQueues;
  readonly #streams = new Set<Stream>();

  constructor(services: VirtualHostServices, policies: Policies, { expired, route }: QueueHooks) {
    const { turn, timers, commit } = services;
    const deadLetters = new DeadLetters({ turn, timers, commit, route });
    this.#services = services;
    this.#policies = policies;
    this.#warm = services.warmQueues ?? new WarmQueues(services.limits.warmQueuesMax, turn);
    const warmed = (queue: AnyQueue): void => this.#warm.add(queue);
    this.#queueServices = { turn, timers, deadLetters, warmed, expired };
  }

  /** `text` names it in refusals. */
  create(name: string, id: number, declaration: QueueDeclaration, owner: Owner | null, text: string): AnyQueue {
    const { durable, autoDelete, args } = declaration;
    if (args.get("x-queue-type") === DIRECT_QUEUE_TYPE) return new DirectQueue(name, id, durable, owner);
    const { type } = settingsOf(args, text);
    const policy = this.#policies.effective(type, name);
    const settings = settingsOf(args, text, policy?.definition);
    if (settings.type === "stream") {
      const store = this.#services.openStream(id, settings);
      const stream = new Stream(name, id, { args, settings, policy, text }, store, this.#queueServices);
      this.#streams.add(stream);
      return stream;
    }
    const deduplication = Deduplication.of(args, text);
    const store = this.#services.openStore(id, durable && owner === null, args);
    const options = { durable, autoDelete, owner, args, settings, policy, deduplication };
    return new Queue(name, id, options, store, this.#queueServices);
  }

  /** It is deleted. */
  forget(queue: AnyQueue): void {
    this.#warm.forget(queue);
    if (queue instanceof Stream) this.#streams.delete(queue);
  }

  /** See `VirtualHost.cool`. */
  keepHouse(): void {
    if (this.#services.warmQueues === undefined) this.#warm.keepHouse();
    const nowMs = steadyMs();
    for (const stream of this.#streams) stream.retain(nowMs);
  }
}

export function settingsOf(args: Arguments, text: string, policy?: PolicyDefinition): QueueSettings | StreamSettings {
  const isStream = args.get("x-queue-type") === "stream";
  return isStream ? new StreamSettings(args, text, policy) : QueueSettings.of(args, text, policy);
}

/**
 * A declaration that names no type is of the virtual host's, if it can be, as with RabbitMQ; of a queue that is there, it
 * means that one.
 */
export function withDefaultType(
  declaration: QueueDeclaration,
  defaultType: QueueType | null,
  present: AnyQueue | undefined,
): QueueDeclaration {
  const { durable, autoDelete, exclusive, args } = declaration;
  if (defaultType === null || args.has("x-queue-type")) return declaration;
  const type = present === undefined ? defaultType : present.args.get("x-queue-type") ?? "classic";
  if (type === "classic" || !durable || autoDelete || exclusive) return declaration;
  return { ...declaration, args: new Map([...args, ["x-queue-type", type]]) };
}
