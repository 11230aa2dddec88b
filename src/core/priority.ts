// Priorities of messages: what the property `priority` says, and how many of them a queue tells apart.

import type { Message } from "../store/message.ts";
import { PRIORITY_MAX } from "../store/priority_store.ts";
import { findProperty, PROPERTY_PRIORITY } from "../wire/amqp_properties.ts";
import type { Arguments } from "./arguments.ts";

/** The highest priority that a queue with these arguments tells apart; 0 is a plain queue. */
export function maxPriorityOf(args: Arguments): number {
  return Math.min(Number(args.get("x-max-priority") ?? 0), PRIORITY_MAX);
}

/** The priority that a message asks for; 0 without one. Only for headers that `checkProperties` has passed. */
export function priorityOf({ header, headerAt }: Message): number {
  const at = findProperty(header, headerAt, PROPERTY_PRIORITY);
  return at < 0 ? 0 : header[at]!;
}
