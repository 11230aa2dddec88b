// What is shown of a realm, in RabbitMQ's words: the entries of a definitions file, and mostly what its HTTP API answers.

import type { HashingAlgorithm } from "../identity/password_hash.ts";
import type { Permission, TopicPermission } from "../identity/permissions.ts";
import type { User, UserLimits } from "../identity/users.ts";
import type { Json, JsonObject } from "../policies/json.ts";
import type { ApplyTo, EffectivePolicy, Policy } from "../policies/policy.ts";
import type { VhostLimits } from "../vhost_metadata.ts";
import type { VirtualHost } from "../virtual_host.ts";

export interface UserShape {
  readonly name: string;
  readonly password_hash: string;
  readonly hashing_algorithm: HashingAlgorithm;
  readonly tags: readonly string[];
  readonly limits: JsonObject;
}

export interface VhostShape {
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly default_queue_type?: string;
  readonly metadata: JsonObject;
  readonly limits: JsonObject;
}

export interface PolicyShape {
  readonly vhost: string;
  readonly name: string;
  readonly pattern: string;
  readonly "apply-to": ApplyTo;
  readonly priority: number;
  readonly definition: JsonObject;
}

export interface ParameterShape {
  readonly vhost: string;
  readonly component: string;
  readonly name: string;
  readonly value: Json;
}

export type PermissionShape = Permission;
export type TopicPermissionShape = TopicPermission;

/** What is shown with a queue or an exchange. */
export interface EffectivePolicyShape {
  readonly policy: string | null;
  readonly operator_policy: string | null;
  readonly effective_policy_definition: JsonObject;
}

export function userShape({ name, password, tags, limits }: User): UserShape {
  return {
    name,
    password_hash: password.hash,
    hashing_algorithm: password.algorithm,
    tags: [...tags],
    limits: userLimitsShape(limits),
  };
}

export function vhostShape({ name, metadata, limits }: VirtualHost): VhostShape {
  const { description, tags, defaultQueueType } = metadata;
  const type: Record<string, string> = defaultQueueType === null ? {} : { default_queue_type: defaultQueueType };
  return {
    name,
    description,
    tags,
    ...type,
    metadata: { description, tags, ...type },
    limits: vhostLimitsShape(limits),
  };
}

export function policyShape(vhost: string, { name, pattern, applyTo, priority, definition }: Policy): PolicyShape {
  return { vhost, name, pattern, "apply-to": applyTo, priority, definition };
}

export function effectivePolicyShape(effective: EffectivePolicy | null): EffectivePolicyShape {
  return {
    policy: effective?.policy?.name ?? null,
    operator_policy: effective?.operatorPolicy?.name ?? null,
    effective_policy_definition: effective?.definition ?? {},
  };
}

export function userLimitsShape({ maxConnections, maxChannels }: UserLimits): JsonObject {
  return withoutUndefined({ "max-connections": maxConnections, "max-channels": maxChannels });
}

export function vhostLimitsShape({ maxConnections, maxQueues }: VhostLimits): JsonObject {
  return withoutUndefined({ "max-connections": maxConnections, "max-queues": maxQueues });
}

function withoutUndefined(values: Readonly<Record<string, number | undefined>>): JsonObject {
  const given = Object.entries(values).flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const]);
  return Object.fromEntries(given);
}
