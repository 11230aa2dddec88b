// A policy: rules for all queues and exchanges whose names match, and what makes one valid. Texts are RabbitMQ's.

import { Pattern, PatternFault } from "../../lib/pattern/pattern.ts";
import { PARAMETER_LENGTH_MAX } from "../../limits.ts";
import type { QueueType } from "../any_queue.ts";
import { checkName } from "../identity/names.ts";
import { Refusal } from "../refusal.ts";
import { erlangText, isJsonObject, type Json, type JsonObject } from "./json.ts";
import { mergeValues, POLICY_KEYS, typesWithout } from "./keys.ts";

const APPLY_TO = ["all", "queues", "exchanges", "classic_queues", "quorum_queues", "streams"] as const;
export type ApplyTo = typeof APPLY_TO[number];

/** Operator policies may set less, and win. */
export type PolicyKind = "policy" | "operator-policy";

export interface Policy {
  readonly name: string;
  readonly pattern: string;
  readonly applyTo: ApplyTo;
  /** The matching one with the highest holds, alone. */
  readonly priority: number;
  readonly definition: JsonObject;
}

/** What is asked for; nothing of it is known to be right. */
export interface PolicyRequest {
  readonly pattern: unknown;
  readonly definition: unknown;
  /** 0. */
  readonly priority?: unknown;
  /** "all". */
  readonly applyTo?: unknown;
}

/** A policy that can be held against names. */
export interface ReadyPolicy extends Policy {
  readonly matcher: Pattern;
  /** Types of queues that a key of its definition is not for. */
  readonly notFor: ReadonlySet<ResourceType>;
}

/** What holds for one queue or exchange. */
export interface EffectivePolicy {
  readonly policy: Policy | null;
  readonly operatorPolicy: Policy | null;
  /** Of both, where both set a key the one that wins. */
  readonly definition: JsonObject;
}

/** Refuses what is not valid. */
export function readPolicy(kind: PolicyKind, name: string, request: PolicyRequest): ReadyPolicy {
  checkName(name, "policy");
  const { pattern, definition, priority = 0, applyTo = "all" } = request;
  if (typeof priority !== "number" || !Number.isFinite(priority)) {
    invalid(`priority should be a number, actually was ${erlangText(priority as Json)}`);
  }
  if (typeof pattern !== "string") invalid(`pattern should be a binary but was ${erlangText(pattern as Json ?? null)}`);
  if (!APPLY_TO.includes(applyTo as ApplyTo)) {
    invalid(`apply-to '${applyTo}' unrecognised; should be one of: '${APPLY_TO.join("', '")}'`);
  }
  checkDefinition(kind, definition);
  const ready = { name, pattern, applyTo: applyTo as ApplyTo, priority, definition };
  const notFor = new Set<ResourceType>(Object.keys(definition).flatMap((key) => typesWithout(key)));
  return { ...ready, matcher: compile(pattern), notFor };
}

function compile(pattern: string): Pattern {
  try {
    return new Pattern(pattern);
  } catch (fault) {
    if (!(fault instanceof PatternFault)) throw fault;
    return invalid(`pattern should be regular expression but is invalid: ${fault.message}`);
  }
}

function checkDefinition(kind: PolicyKind, definition: unknown): asserts definition is JsonObject {
  if (!isJsonObject(definition)) invalid(`definition must be a dictionary: ${erlangText(definition as Json ?? null)}`);
  const entries = Object.entries(definition);
  if (entries.length === 0) invalid("no policy provided");
  if (JSON.stringify(definition).length > PARAMETER_LENGTH_MAX) invalid("the definition is too large");
  const unknown = entries.filter(([name]) => !isKnown(kind, name));
  if (unknown.length > 0) {
    const terms = unknown.map(([name, value]) => `{<<"${name}">>,${erlangText(value)}}`).join(",");
    invalid(`[${terms}] are not recognised policy settings`);
  }
  for (const [name, value] of entries) {
    const { accepts, what } = POLICY_KEYS.get(name)!;
    if (!accepts(value)) invalid(`${erlangText(value)} is not a valid ${what}`);
  }
}

function isKnown(kind: PolicyKind, name: string): boolean {
  const key = POLICY_KEYS.get(name);
  return key !== undefined && (kind === "policy" || key.forOperators);
}

/** As RabbitMQ's validators say it. */
export function invalid(text: string): never {
  throw new Refusal("precondition-failed", `Validation failed\n\n${text}\n`);
}

/** The settings of a policy that change nothing here. */
export function ignoredKeys({ definition }: Policy): string[] {
  return Object.keys(definition).filter((name) => POLICY_KEYS.get(name)?.isIgnored ?? false);
}

export type ResourceType = QueueType | "exchange";

/** As with RabbitMQ, a policy is not for a queue of a type that one of its keys is not for. */
export function appliesTo(policy: ReadyPolicy, type: ResourceType, name: string): boolean {
  return isFor(policy.applyTo, type) && !policy.notFor.has(type) && policy.matcher.test(name);
}

function isFor(applyTo: ApplyTo, type: ResourceType): boolean {
  switch (applyTo) {
    case "all":
      return true;
    case "exchanges":
      return type === "exchange";
    case "queues":
      return type !== "exchange";
    case "classic_queues":
      return type === "classic";
    case "quorum_queues":
      return type === "quorum";
    case "streams":
      return type === "stream";
  }
}

/** Null when there is neither. */
export function combine(policy: Policy | null, operatorPolicy: Policy | null): EffectivePolicy | null {
  if (policy === null && operatorPolicy === null) return null;
  const definition: Record<string, Json> = { ...policy?.definition };
  for (const [name, value] of Object.entries(operatorPolicy?.definition ?? {})) {
    definition[name] = Object.hasOwn(definition, name) ? mergeValues(definition[name]!, value) : value;
  }
  return { policy, operatorPolicy, definition };
}
