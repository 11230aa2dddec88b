// Sessions that are there as queues alone: definitions were imported, of RabbitMQ or of another broker of ours, in which
// clients of MQTT had subscribed. Such a client finds its session when it connects.

import type { AnyQueue } from "../core/any_queue.ts";
import type { Arguments } from "../core/arguments.ts";
import { DirectQueue } from "../core/direct_queue.ts";
import { Queue } from "../core/queue.ts";
import type { MqttHost } from "./host.ts";
import { MQTT_EXCHANGE } from "./publication.ts";
import { NEVER, queueName, Session } from "./session.ts";
import { argumentsOf, optionsOf } from "./subscriptions.ts";

/**
 * The session that a client's queues stand for, undefined when there are none. Queues that RabbitMQ would have deleted with
 * their connection are not taken up: they go.
 */
export function takeUp(host: MqttHost, clientId: string): Session | undefined {
  const stored = claim(host, queueName(clientId, 1));
  const passing = claim(host, queueName(clientId, 0));
  if (stored !== null && (!stored.durable || stored.autoDelete)) host.vhost.removeQueue(stored);
  // With RabbitMQ before 3.12 what is for QoS 0 is a queue like any other. Ours keeps nothing.
  const patterns = passing instanceof Queue ? patternsOf(passing) : [];
  if (passing instanceof Queue) host.vhost.removeQueue(passing);
  const hasStored = stored instanceof Queue && !stored.gone;
  if (!hasStored && !(passing instanceof DirectQueue && passing.durable)) return undefined;
  const session = new Session(host, clientId, true, NEVER);
  session.adoptQueues();
  for (const [queue, qos] of [[session.queue, 1], [session.directQueue, 0]] as const) {
    if (queue !== null) takeBindings(session, queue, qos);
  }
  for (const pattern of patterns) {
    if (session.subscriptions.get(pattern) !== undefined) continue;
    const options = optionsOf(new Map(), 0);
    host.vhost.bind(MQTT_EXCHANGE, session.queueFor(0), pattern, argumentsOf(options));
    session.subscriptions.set({ pattern, ...options });
  }
  return session;
}

/** A queue that nobody else has. */
function claim({ vhost }: MqttHost, name: string): AnyQueue | null {
  const queue = vhost.queues.get(name);
  return queue === undefined || queue.owner !== null || queue.consumers.length > 0 ? null : queue;
}

function patternsOf(queue: AnyQueue): string[] {
  return [...queue.boundFrom].filter(({ source }) => source.name === MQTT_EXCHANGE).map(({ routingKey }) => routingKey);
}

/** Bindings with another broker's arguments get ours, by which they are found again. */
function takeBindings({ host, subscriptions }: Session, queue: AnyQueue, qos: 0 | 1): void {
  for (const { source, routingKey: pattern, args } of [...queue.boundFrom]) {
    if (source.name !== MQTT_EXCHANGE) continue;
    const options = optionsOf(args, qos);
    const ours = argumentsOf(options);
    if (!isSame(args, ours)) {
      host.vhost.bind(MQTT_EXCHANGE, queue, pattern, ours);
      host.vhost.unbind(MQTT_EXCHANGE, queue, pattern, args);
    }
    subscriptions.set({ pattern, ...options });
  }
}

function isSame(one: Arguments, other: Arguments): boolean {
  return one.size === other.size && [...one].every(([name, value]) => other.get(name) === value);
}
