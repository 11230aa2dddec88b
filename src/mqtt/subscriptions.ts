// The subscriptions of one session, and which of them a message came by: a message that matches several is delivered once,
// at the best QoS of them, with the identifiers of all [MQTT-3.3.4-2, MQTT-3.3.4-3].

import type { Arguments, ArgumentValue } from "../core/arguments.ts";
import { NO_ARGUMENTS } from "../core/arguments.ts";
import { copyBytes } from "../lib/out_buffer.ts";
import type { Message } from "../store/message.ts";
import type { Qos } from "../wire/mqtt_packet.ts";

/** Levels of a topic or a filter: as Mosquitto. */
export const TOPIC_LEVELS_MAX = 200;

const KEY_BYTES_MAX = 255;
const DOLLAR = 0x24;
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

const QOS = "x-mqtt-qos";
const NO_LOCAL = "x-mqtt-no-local";
const RETAIN_AS_PUBLISHED = "x-mqtt-retain-as-published";
const SUBSCRIPTION_ID = "x-mqtt-subscription-id";

export interface SubscriptionOptions {
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0 for none. */
  readonly id: number;
}

export interface SessionSubscription extends SubscriptionOptions {
  /** The filter as a binding key. */
  readonly pattern: string;
}

/** The subscriptions that a message came by, as one. */
export interface Matched {
  /** The best one. */
  readonly qos: Qos;
  readonly retainAsPublished: boolean;
  /** Null for none. */
  readonly ids: readonly number[] | null;
}

/** Options as the arguments of a binding; what is usual is left out. */
export function argumentsOf({ qos, noLocal, retainAsPublished, id }: SubscriptionOptions): Arguments {
  const args = new Map<string, ArgumentValue>();
  if (qos === 2) args.set(QOS, qos);
  if (noLocal) args.set(NO_LOCAL, true);
  if (retainAsPublished) args.set(RETAIN_AS_PUBLISHED, true);
  if (id !== 0) args.set(SUBSCRIPTION_ID, id);
  return args.size === 0 ? NO_ARGUMENTS : args;
}

/** `qos` is what the binding's queue is for: 0 or 1. */
export function optionsOf(args: Arguments, qos: Qos): SubscriptionOptions {
  return {
    qos: args.get(QOS) === 2 ? 2 : qos,
    noLocal: args.get(NO_LOCAL) === true,
    retainAsPublished: args.get(RETAIN_AS_PUBLISHED) === true,
    id: Number(args.get(SUBSCRIPTION_ID) ?? 0),
  };
}

export class Subscriptions {
  readonly #all = new Map<string, SessionSubscription>();
  /** What the only subscription comes to. */
  #single: Matched | null = null;
  // What the last routing key came to; computed only with several subscriptions.
  #key: Uint8Array | null = null;
  #keyBytes = -1;
  #matched: Matched | null = null;

  get size(): number {
    return this.#all.size;
  }

  get(pattern: string): SessionSubscription | undefined {
    return this.#all.get(pattern);
  }

  set(subscription: SessionSubscription): void {
    this.#all.set(subscription.pattern, subscription);
    this.#changed();
  }

  delete(pattern: string): boolean {
    this.#changed();
    return this.#all.delete(pattern);
  }

  values(): IterableIterator<SessionSubscription> {
    return this.#all.values();
  }

  #changed(): void {
    this.#keyBytes = -1;
    this.#matched = null;
    this.#single = null;
  }

  /** Null: none, so the message is not for this session. Hot. */
  match({ route, routeAt, routeBytes }: Message): Matched | null {
    const lengthAt = routeAt + 1 + route[routeAt]!;
    const keyBytes = routeAt + routeBytes - lengthAt - 1;
    if (this.#all.size === 1 && route[lengthAt + 1] !== DOLLAR) {
      return this.#single ??= this.#only();
    }
    return this.#matchSeveral(route, lengthAt + 1, keyBytes);
  }

  #only(): Matched {
    for (const one of this.#all.values()) {
      return { qos: one.qos, retainAsPublished: one.retainAsPublished, ids: one.id === 0 ? null : [one.id] };
    }
    throw new Error("a session without subscriptions was asked for its only one");
  }

  #matchSeveral(bytes: Uint8Array, at: number, size: number): Matched | null {
    if (size === this.#keyBytes && this.#isLastKey(bytes, at, size)) return this.#matched;
    this.#matched = this.matchKey(DECODER.decode(bytes.subarray(at, at + size)));
    copyBytes(bytes, at, this.#key ??= new Uint8Array(KEY_BYTES_MAX), 0, size);
    this.#keyBytes = size;
    return this.#matched;
  }

  #isLastKey(bytes: Uint8Array, at: number, size: number): boolean {
    const key = this.#key!;
    for (let i = 0; i < size; i++) if (key[i] !== bytes[at + i]) return false;
    return true;
  }

  matchKey(key: string, counts: (subscription: SessionSubscription) => boolean = () => true): Matched | null {
    let qos = -1;
    let retainAsPublished = false;
    let ids: number[] | null = null;
    const words = key.split(".");
    for (const one of this.#all.values()) {
      if (!counts(one) || !patternMatches(one.pattern, words)) continue;
      if (one.qos > qos) qos = one.qos;
      retainAsPublished ||= one.retainAsPublished;
      if (one.id !== 0) (ids ??= []).push(one.id);
    }
    return qos < 0 ? null : { qos: qos as Qos, retainAsPublished, ids };
  }
}

/** Whether a binding key made of a topic filter matches: wildcards never stand for a first word with `$` [MQTT-4.7.2-1]. */
export function patternMatches(pattern: string, words: readonly string[]): boolean {
  const parts = pattern.split(".");
  if (words[0]!.startsWith("$") && (parts[0] === "*" || parts[0] === "#")) return false;
  for (const [index, part] of parts.entries()) {
    if (part === "#") return true;
    if (index >= words.length || (part !== "*" && part !== words[index])) return false;
  }
  return parts.length === words.length;
}
