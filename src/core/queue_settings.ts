// What the arguments of a queue ask for, read and checked once, at declare, together with what policies add: of two
// numbers the lower one holds, of everything else the argument. What is not asked for is null, so that it costs nothing
// later. Texts are RabbitMQ's; its error terms are spelled as Erlang prints them.

import type { QueueType } from "./any_queue.ts";
import { type Arguments, type ArgumentValue, describeType, NO_ARGUMENTS } from "./arguments.ts";
import type { JsonObject } from "./policies/json.ts";
import { lower } from "./policies/keys.ts";
import { Refusal } from "./refusal.ts";

/** What becomes of a message that a full queue has no room for. */
export type Overflow = "drop-head" | "reject-publish" | "reject-publish-dlx";

/** RabbitMQ's largest time to live: what fits a u32, milliseconds. */
const TTL_MS_MAX = 0xffffffff;
/** RabbitMQ 4's limit for queues of type quorum that name none. */
const QUORUM_DELIVERY_LIMIT = 20;
const PRIORITY_MAX = 255;

/** What only streams can do: refused, never silently ignored. */
const STREAM_ARGUMENTS = ["x-max-age", "x-stream-max-segment-size-bytes", "x-stream-filter-size-bytes"];
const OVERFLOWS: readonly string[] = ["drop-head", "reject-publish", "reject-publish-dlx"];

export class QueueSettings {
  readonly type: "classic" | "quorum";
  readonly messageTtlMs: number | null;
  /** Unused for so long it goes. */
  readonly expiresMs: number | null;
  /** Messages that are ready. */
  readonly maxLength: number | null;
  /** Body bytes of messages that are ready. */
  readonly maxLengthBytes: number | null;
  readonly overflow: Overflow;
  readonly deadLetterExchange: string | null;
  readonly deadLetterRoutingKey: string | null;
  /** Redeliveries of one message; null: any number. */
  readonly deliveryLimit: number | null;
  /** Redeliveries are counted and told to consumers. */
  readonly countsDeliveries: boolean;
  readonly singleActiveConsumer: boolean;
  /** How long a consumer may hold a message, null for the broker's own limit. */
  readonly consumerTimeoutMs: number | null;
  readonly maxPriority: number | null;

  /** `text` names the queue in refusals: queue 'name' in vhost '/'. */
  static of(args: Arguments, text: string, policy: PolicyDefinition = null): QueueSettings {
    return args.size === 0 && policy === null ? PLAIN : new QueueSettings(args, text, policy);
  }

  constructor(args: Arguments, text: string, policy: PolicyDefinition = null) {
    const reader = new ArgumentReader(args, text);
    this.type = reader.type();
    this.messageTtlMs = lowerOf(reader.time("x-message-ttl", 0), numberOf(policy, "message-ttl"));
    this.expiresMs = lowerOf(reader.time("x-expires", 1), numberOf(policy, "expires"));
    this.maxLength = lowerOf(reader.count("x-max-length"), numberOf(policy, "max-length"));
    this.maxLengthBytes = lowerOf(reader.count("x-max-length-bytes"), numberOf(policy, "max-length-bytes"));
    this.overflow = reader.overflow() ?? textOf(policy, "overflow") as Overflow | null ?? "drop-head";
    const deadLetterExchange = reader.text("x-dead-letter-exchange");
    const deadLetterRoutingKey = reader.text("x-dead-letter-routing-key");
    this.deadLetterExchange = deadLetterExchange ?? textOf(policy, "dead-letter-exchange");
    this.deadLetterRoutingKey = deadLetterRoutingKey ?? textOf(policy, "dead-letter-routing-key");
    if (deadLetterRoutingKey !== null && deadLetterExchange === null) {
      reader.refuse("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined");
    }
    const deliveryLimit = lowerOf(reader.deliveryLimit(), numberOf(policy, "delivery-limit"));
    this.deliveryLimit = limitOf(deliveryLimit ?? (this.type === "quorum" ? QUORUM_DELIVERY_LIMIT : null));
    this.countsDeliveries = this.type === "quorum" || deliveryLimit !== null;
    this.singleActiveConsumer = reader.flag("x-single-active-consumer");
    this.consumerTimeoutMs = lowerOf(reader.count("x-consumer-timeout"), numberOf(policy, "consumer-timeout"));
    this.maxPriority = reader.priority();
    for (const name of STREAM_ARGUMENTS) if (args.has(name)) reader.refuseForType(name, this.type);
  }

  get bounded(): boolean {
    return this.maxLength !== null || this.maxLengthBytes !== null;
  }
}

/** Refuses what a queue of its type cannot be, as RabbitMQ does. */
export function checkProperties(
  { type }: { readonly type: QueueType },
  { durable, autoDelete, exclusive }: { durable: boolean; autoDelete: boolean; exclusive: boolean },
  text: string,
): void {
  if (type === "classic") return;
  const wrong = autoDelete ? "auto-delete" : exclusive ? "exclusive-owner" : durable ? null : "non-durable";
  if (wrong !== null) throw new Refusal("precondition-failed", `invalid property '${wrong}' for ${text}`);
}

/** What RabbitMQ calls a type in its error texts. */
export function moduleOf(type: QueueType): string {
  return `rabbit_${type}_queue`;
}

export class ArgumentReader {
  readonly #args: Arguments;
  readonly #text: string;

  /** `text` as in errors: queue 'name' in vhost '/'. */
  constructor(args: Arguments, text: string) {
    this.#args = args;
    this.#text = text;
  }

  refuse(name: string, why: string): never {
    throw new Refusal("precondition-failed", `invalid arg '${name}' for ${this.#text}: ${why}`);
  }

  /** An argument that queues of this type do not have. */
  refuseForType(name: string, type: QueueType): never {
    throw new Refusal("precondition-failed", `invalid arg '${name}' for ${this.#text} of queue type ${moduleOf(type)}`);
  }

  type(): "classic" | "quorum" {
    const type = this.text("x-queue-type");
    if (type === null || type === "classic" || type === "quorum") return type ?? "classic";
    return this.refuse("x-queue-type", `"unsupported queue type '${type}'"`);
  }

  /** A whole number that is not negative. */
  count(name: string): number | null {
    const value = this.#integer(name);
    if (value !== null && value < 0) this.refuse(name, `{value_negative,${value}}`);
    return value;
  }

  /** Milliseconds. */
  time(name: string, least: 0 | 1): number | null {
    const value = this.count(name);
    if (value === null) return null;
    if (value < least) this.refuse(name, `{value_zero,${value}}`);
    if (value > TTL_MS_MAX) this.refuse(name, `{value_too_big,${value}}`);
    return value;
  }

  /** -1 takes the limit away. */
  deliveryLimit(): number | null {
    const name = "x-delivery-limit";
    const value = this.#integer(name);
    if (value !== null && value < -1) this.refuse(name, `{value_negative,${value}}`);
    return value;
  }

  priority(): number | null {
    const name = "x-max-priority";
    const value = this.count(name);
    if (value !== null && value > PRIORITY_MAX) this.refuse(name, `{max_value_exceeded,${value}}`);
    return value;
  }

  overflow(): Overflow | null {
    const name = "x-overflow";
    const value = this.text(name);
    if (value !== null && !OVERFLOWS.includes(value)) this.refuse(name, "invalid_overflow");
    return value as Overflow | null;
  }

  text(name: string): string | null {
    const value = this.#args.get(name);
    if (value === undefined) return null;
    return typeof value === "string" ? value : this.#refuseType(name, value);
  }

  flag(name: string): boolean {
    const value = this.#args.get(name);
    if (value === undefined) return false;
    return typeof value === "boolean" ? value : this.#refuseType(name, value);
  }

  #integer(name: string): number | null {
    const value = this.#args.get(name);
    if (value === undefined) return null;
    // Beyond every limit there is, so it need not be exact.
    if (typeof value === "bigint") return Number(value);
    return typeof value === "number" && Number.isInteger(value) ? value : this.#refuseNumber(name, value);
  }

  #refuseNumber(name: string, value: ArgumentValue): never {
    return this.refuse(name, `"expected integer, got ${describeType(value)}"`);
  }

  #refuseType(name: string, value: ArgumentValue): never {
    return this.refuse(name, `{unacceptable_type,${describeType(value)}}`);
  }
}

/** What policies ask for; null: there is none. */
export type PolicyDefinition = JsonObject | null;

export function numberOf(policy: PolicyDefinition, name: string): number | null {
  const value = policy?.[name];
  return typeof value === "number" ? value : null;
}

export function textOf(policy: PolicyDefinition, name: string): string | null {
  const value = policy?.[name];
  return typeof value === "string" ? value : null;
}

/** Of an argument and a policy; null where neither says anything. */
export function lowerOf(argument: number | null, policy: number | null): number | null {
  if (argument === null || policy === null) return argument ?? policy;
  return lower(argument, policy);
}

function limitOf(limit: number | null): number | null {
  return limit === null || limit < 0 ? null : limit;
}

/** Of every queue without arguments: tens of thousands of them share it. */
const PLAIN = new QueueSettings(NO_ARGUMENTS, "");
