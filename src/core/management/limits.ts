// Limits as RabbitMQ's tools give them: { "max-connections": 10 }, where what is below 0 is no limit.

import type { UserLimits } from "../identity/users.ts";
import { erlangText, isJsonObject, type Json } from "../policies/json.ts";
import { invalid } from "../policies/policy.ts";
import { Refusal } from "../refusal.ts";
import type { VhostLimits } from "../vhost_metadata.ts";

export const VHOST_LIMITS = ["max-connections", "max-queues"] as const;
const USER_LIMITS = ["max-connections", "max-channels"] as const;

export function readVhostLimits(value: unknown): VhostLimits {
  const limits = readLimits(value, VHOST_LIMITS, "limits", invalid);
  return { ...named(limits, "max-connections", "maxConnections"), ...named(limits, "max-queues", "maxQueues") };
}

export function readUserLimits(value: unknown): UserLimits {
  const limits = readLimits(value, USER_LIMITS, "user-limits", plainly);
  return { ...named(limits, "max-connections", "maxConnections"), ...named(limits, "max-channels", "maxChannels") };
}

/** Older brokers write an empty list for none. */
function readLimits(
  value: unknown,
  known: readonly string[],
  what: string,
  refuse: (text: string) => never,
): Map<string, number> {
  const limits = Array.isArray(value) && value.length === 0 ? {} : value;
  if (!isJsonObject(limits)) return refuse(`${what} not a list ${erlangText(value as Json ?? null)}`);
  const read = new Map<string, number>();
  for (const [name, limit] of Object.entries(limits)) {
    if (!known.includes(name)) refuse(`Unrecognised terms [{<<"${name}">>,${erlangText(limit)}}] in ${what}`);
    if (!Number.isSafeInteger(limit)) refuse(`${name} should be a number, actually was ${erlangText(limit)}`);
    if ((limit as number) >= 0) read.set(name, limit as number);
  }
  return read;
}

/** Limits of virtual hosts are parameters at RabbitMQ, and validated as such; those of users are not. */
function plainly(text: string): never {
  throw new Refusal("precondition-failed", text);
}

function named<Name extends string>(
  limits: ReadonlyMap<string, number>,
  from: string,
  name: Name,
): { [N in Name]?: number } {
  const value = limits.get(from);
  return value === undefined ? {} : { [name]: value } as { [N in Name]: number };
}
