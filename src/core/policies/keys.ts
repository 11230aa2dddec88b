// What a policy may set: for each key what its values are, what it is for, and how it goes together with another policy.
// Texts are RabbitMQ's.

import type { QueueType } from "../any_queue.ts";
import { readDurationMs } from "../duration.ts";
import type { Json } from "./json.ts";

export interface PolicyKey {
  /** Ends the sentence "VALUE is not a valid ...". */
  readonly what: string;
  readonly accepts: (value: Json) => boolean;
  /** An operator policy may set it. */
  readonly forOperators: boolean;
  /** RabbitMQ has it, here it changes nothing: files that hold it are taken, and the log says so. */
  readonly isIgnored: boolean;
}

const isCount = (least: number) => (value: Json): boolean => Number.isSafeInteger(value) && (value as number) >= least;
const isText = (value: Json): boolean => typeof value === "string";
const isOneOf = (...values: readonly Json[]) => (value: Json): boolean => values.includes(value);
const isAnything = (): boolean => true;

function key(what: string, accepts: (value: Json) => boolean, forOperators = false): PolicyKey {
  return { what, accepts, forOperators, isIgnored: false };
}

function ignored(what: string, accepts: (value: Json) => boolean = isAnything, forOperators = false): PolicyKey {
  return { what, accepts, forOperators, isIgnored: true };
}

export const POLICY_KEYS: ReadonlyMap<string, PolicyKey> = new Map([
  ["message-ttl", key("message TTL", isCount(0), true)],
  ["expires", key("queue expiry", isCount(1), true)],
  ["max-length", key("maximum length", isCount(0), true)],
  ["max-length-bytes", key("maximum length in bytes", isCount(0), true)],
  ["overflow", key("overflow value", isOneOf("drop-head", "reject-publish", "reject-publish-dlx"), true)],
  ["delivery-limit", key("delivery limit", (value) => Number.isSafeInteger(value), true)],
  ["dead-letter-exchange", key("dead letter exchange name", isText)],
  ["dead-letter-routing-key", key("dead letter routing key", isText)],
  ["consumer-timeout", key("consumer timeout", isCount(0))],
  ["max-age", key("max age", (value) => typeof value === "string" && readDurationMs(value) !== null)],
  ["alternate-exchange", key("alternate exchange name", isText)],
  // Ours are always like that, or have no such difference.
  ["dead-letter-strategy", ignored("dead letter strategy", isOneOf("at-most-once", "at-least-once"))],
  ["queue-mode", ignored("queue-mode value", isOneOf("default", "lazy"))],
  ["queue-version", ignored("queue-version value", isOneOf(1, 2), true)],
  ["max-in-memory-length", ignored("maximum memory in bytes", isCount(0), true)],
  ["max-in-memory-bytes", ignored("maximum memory in bytes", isCount(0), true)],
  ["stream-max-segment-size-bytes", ignored("segment size", isCount(0))],
  ["stream-filter-size-bytes", ignored("filter size. Valid range is 16-255", isCount(16))],
  // Of clusters.
  ["queue-leader-locator", ignored("queue leader locator value", isText)],
  ["queue-master-locator", ignored("queue master locator value", isText)],
  ["initial-cluster-size", ignored("cluster size", isCount(0))],
  ["target-group-size", ignored("target group size", isCount(1), true)],
  ["ha-mode", ignored("ha-mode", isText)],
  ["ha-params", ignored("ha-params")],
  ["ha-sync-mode", ignored("ha-sync-mode", isText)],
  ["ha-sync-batch-size", ignored("ha-sync-batch-size", isCount(1))],
  ["ha-promote-on-shutdown", ignored("ha-promote-on-shutdown", isText)],
  ["ha-promote-on-failure", ignored("ha-promote-on-failure", isText)],
  // Of links between brokers, and of LavinMQ's exchanges.
  ["federation-upstream", ignored("upstream name", isText)],
  ["federation-upstream-set", ignored("upstream set name", isText)],
  ["federation-upstream-pattern", ignored("upstream pattern", isText)],
  ["delayed-message", ignored("delayed-message value", isOneOf(true, false))],
]);

const CLASSIC_AND_STREAM: readonly QueueType[] = ["classic", "stream"];
const QUORUM_AND_STREAM: readonly QueueType[] = ["quorum", "stream"];

/** RabbitMQ's table, but for what our queues know although RabbitMQ's do not. */
const NOT_FOR: ReadonlyMap<string, readonly QueueType[]> = new Map<string, readonly QueueType[]>([
  ["message-ttl", ["stream"]],
  ["expires", ["stream"]],
  ["overflow", ["stream"]],
  ["dead-letter-exchange", ["stream"]],
  ["dead-letter-routing-key", ["stream"]],
  ["delivery-limit", ["stream"]],
  ["dead-letter-strategy", CLASSIC_AND_STREAM],
  ["max-in-memory-length", CLASSIC_AND_STREAM],
  ["max-in-memory-bytes", CLASSIC_AND_STREAM],
  ["target-group-size", CLASSIC_AND_STREAM],
  ["max-age", ["classic", "quorum"]],
  ["stream-max-segment-size-bytes", ["classic", "quorum"]],
  ["initial-cluster-size", ["classic", "quorum"]],
  ["queue-mode", QUORUM_AND_STREAM],
  ["queue-master-locator", QUORUM_AND_STREAM],
  ["ha-mode", QUORUM_AND_STREAM],
  ["ha-params", QUORUM_AND_STREAM],
  ["ha-sync-mode", QUORUM_AND_STREAM],
  ["ha-promote-on-shutdown", QUORUM_AND_STREAM],
  ["ha-promote-on-failure", QUORUM_AND_STREAM],
]);

/** Types of queues that a policy with this key is not for. */
export function typesWithout(name: string): readonly QueueType[] {
  return NOT_FOR.get(name) ?? [];
}

/** Numbers: the lower one holds. Of delivery limits a negative one means none. */
export function lower(a: number, b: number): number {
  return a < 0 || b < 0 ? Math.max(a, b) : Math.min(a, b);
}

/** What holds where both a policy and an operator policy set a key. */
export function mergeValues(value: Json, ofOperator: Json): Json {
  return typeof value === "number" && typeof ofOperator === "number" ? lower(value, ofOperator) : ofOperator;
}
