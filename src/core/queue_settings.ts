// What the arguments of a queue ask for, read and checked once, at declare. What is not asked for is null, so that it
// costs nothing later. Texts are RabbitMQ's; its error terms are spelled as Erlang prints them.

import type { QueueType } from "./any_queue.ts";
import { type Arguments, type ArgumentValue, describeType, NO_ARGUMENTS } from "./arguments.ts";
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
  static of(args: Arguments, text: string): QueueSettings {
    return args.size === 0 ? PLAIN : new QueueSettings(args, text);
  }

  constructor(args: Arguments, text: string) {
    const reader = new ArgumentReader(args, text);
    this.type = reader.type();
    this.messageTtlMs = reader.time("x-message-ttl", 0);
    this.expiresMs = reader.time("x-expires", 1);
    this.maxLength = reader.count("x-max-length");
    this.maxLengthBytes = reader.count("x-max-length-bytes");
    this.overflow = reader.overflow();
    this.deadLetterExchange = reader.text("x-dead-letter-exchange");
    this.deadLetterRoutingKey = reader.text("x-dead-letter-routing-key");
    if (this.deadLetterRoutingKey !== null && this.deadLetterExchange === null) {
      reader.refuse("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined");
    }
    this.deliveryLimit = reader.deliveryLimit(this.type === "quorum" ? QUORUM_DELIVERY_LIMIT : null);
    this.countsDeliveries = this.type === "quorum" || args.has("x-delivery-limit");
    this.singleActiveConsumer = reader.flag("x-single-active-consumer");
    this.consumerTimeoutMs = reader.count("x-consumer-timeout");
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
    return this.refuse("x-queue-type", `unsupported queue type '${type}'`);
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
  deliveryLimit(fallback: number | null): number | null {
    const name = "x-delivery-limit";
    const value = this.#integer(name);
    if (value === null) return fallback;
    if (value < -1) this.refuse(name, `{value_negative,${value}}`);
    return value === -1 ? null : value;
  }

  priority(): number | null {
    const name = "x-max-priority";
    const value = this.count(name);
    if (value !== null && value > PRIORITY_MAX) this.refuse(name, `{max_value_exceeded,${value}}`);
    return value;
  }

  overflow(): Overflow {
    const name = "x-overflow";
    const value = this.text(name);
    if (value !== null && !OVERFLOWS.includes(value)) this.refuse(name, "invalid_overflow");
    return (value ?? "drop-head") as Overflow;
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
    return typeof value === "number" && Number.isInteger(value) ? value : this.#refuseType(name, value);
  }

  #refuseType(name: string, value: ArgumentValue): never {
    return this.refuse(name, `{unacceptable_type,${describeType(value)}}`);
  }
}

/** Of every queue without arguments: tens of thousands of them share it. */
const PLAIN = new QueueSettings(NO_ARGUMENTS, "");
