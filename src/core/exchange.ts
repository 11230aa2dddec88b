// An exchange: what it was declared as, and its bindings. Where its messages go is its matcher's to say, how they go on
// from there the router's (exchanges/).

import type { AnyQueue } from "./any_queue.ts";
import type { Arguments } from "./arguments.ts";
import { canonicalText } from "./canonical.ts";
import type { Deduplication } from "./deduplication.ts";
import type { DelayedMessages } from "./delayed_messages.ts";
import type { Matcher } from "./exchanges/matcher.ts";
import type { EffectivePolicy } from "./policies/policy.ts";
import { ExchangeCounters } from "./statistics/counters.ts";

export type Destination = AnyQueue | Exchange;

export interface Binding {
  readonly source: Exchange;
  readonly destination: Destination;
  readonly routingKey: string;
  readonly args: Arguments;
}

export interface ExchangeDeclaration {
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly args: Arguments;
}

/** What a declaration's type and arguments come to. */
export interface ExchangeParts {
  readonly matcher: Matcher;
  /** The exchange for what matches nothing here. */
  readonly alternate: string | null;
  readonly deduplication: Deduplication | null;
}

export class Exchange implements ExchangeDeclaration {
  readonly kind = "exchange";
  readonly name: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly args: Arguments;
  readonly matcher: Matcher;
  alternate: string | null;
  /** What holds beside its arguments; null for nothing. */
  policy: EffectivePolicy | null = null;
  readonly deduplication: Deduplication | null;
  readonly counters = new ExchangeCounters();
  readonly #ownAlternate: string | null;
  /** Of type x-delayed-message: what it holds back. */
  delayed: DelayedMessages | null = null;
  /** Bindings in which this exchange is the destination: they go when it goes. */
  readonly boundFrom = new Set<Binding>();
  /** The routing in which this exchange was last entered, so that cycles end. */
  seenRouting = 0;
  /** Bindings of which this exchange is the source, oldest first. */
  readonly #bindings = new Map<string, Binding>();

  constructor(name: string, declaration: ExchangeDeclaration, parts: ExchangeParts) {
    this.name = name;
    this.type = declaration.type;
    this.durable = declaration.durable;
    this.autoDelete = declaration.autoDelete;
    this.internal = declaration.internal;
    this.args = declaration.args;
    this.matcher = parts.matcher;
    this.alternate = this.#ownAlternate = parts.alternate;
    this.deduplication = parts.deduplication;
  }

  /** Another policy holds. */
  configure(policy: EffectivePolicy | null): void {
    this.policy = policy;
    const ofPolicy = policy?.definition["alternate-exchange"];
    this.alternate = this.#ownAlternate ?? (typeof ofPolicy === "string" ? ofPolicy : null);
  }

  get bindingCount(): number {
    return this.#bindings.size;
  }

  bindings(): IterableIterator<Binding> {
    return this.#bindings.values();
  }

  find(destination: Destination, routingKey: string, args: Arguments): Binding | null {
    return this.#bindings.get(identity(destination, routingKey, args)) ?? null;
  }

  /** Adds a binding that is not there yet. Refuses what means nothing to the exchange's type. */
  bind(destination: Destination, routingKey: string, args: Arguments): Binding {
    this.matcher.check(routingKey, args);
    const binding: Binding = { source: this, destination, routingKey, args };
    this.#bindings.set(identity(destination, routingKey, args), binding);
    this.matcher.add(binding);
    destination.boundFrom.add(binding);
    return binding;
  }

  unbind(binding: Binding): void {
    const { destination, routingKey, args } = binding;
    if (!this.#bindings.delete(identity(destination, routingKey, args))) return;
    this.matcher.remove(binding);
    destination.boundFrom.delete(binding);
  }
}

/** What makes a binding of one exchange the same as another. */
function identity({ kind, name }: Destination, routingKey: string, args: Arguments): string {
  const text = `${kind}${name.length}:${name}${routingKey.length}:${routingKey}`;
  return args.size === 0 ? text : text + canonicalText(args);
}
