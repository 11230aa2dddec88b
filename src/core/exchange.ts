// An exchange: its bindings, and where a routing key leads. Exchange types are a closed set.

import type { Arguments } from "./arguments.ts";
import { argumentsEqual } from "./arguments.ts";
import type { Queue } from "./queue.ts";
import { TopicTree } from "./topic_tree.ts";

export const EXCHANGE_TYPES = ["direct", "fanout", "topic"] as const;
export type ExchangeType = typeof EXCHANGE_TYPES[number];

export type Destination = Queue | Exchange;

export interface Binding {
  readonly source: Exchange;
  readonly destination: Destination;
  readonly routingKey: string;
  readonly args: Arguments;
}

export class Exchange {
  readonly kind = "exchange";
  readonly name: string;
  readonly type: ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly args: Arguments;
  /** Bindings in which this exchange is the destination: they go when it goes. */
  readonly boundFrom = new Set<Binding>();
  /** All bindings of this source, by routing key. */
  readonly #byKey = new Map<string, Binding[]>();
  readonly #topics: TopicTree<Binding> | null;
  #bindingCount = 0;
  /** The routing in which this exchange was last entered, so that cycles end. */
  #seenRoute = 0;

  constructor(
    name: string,
    type: ExchangeType,
    options: { durable: boolean; autoDelete: boolean; internal: boolean; args: Arguments },
  ) {
    this.name = name;
    this.type = type;
    this.durable = options.durable;
    this.autoDelete = options.autoDelete;
    this.internal = options.internal;
    this.args = options.args;
    this.#topics = type === "topic" ? new TopicTree() : null;
  }

  get bindingCount(): number {
    return this.#bindingCount;
  }

  *bindings(): IterableIterator<Binding> {
    for (const bindings of this.#byKey.values()) yield* bindings;
  }

  find(destination: Destination, routingKey: string, args: Arguments): Binding | null {
    const bindings = this.#byKey.get(routingKey) ?? [];
    return bindings.find((binding) => binding.destination === destination && argumentsEqual(binding.args, args)) ??
      null;
  }

  /** Adds a binding that is not there yet. */
  bind(destination: Destination, routingKey: string, args: Arguments): Binding {
    const binding: Binding = { source: this, destination, routingKey, args };
    const bindings = this.#byKey.get(routingKey);
    if (bindings === undefined) this.#byKey.set(routingKey, [binding]);
    else bindings.push(binding);
    this.#topics?.add(routingKey, binding);
    destination.boundFrom.add(binding);
    this.#bindingCount++;
    return binding;
  }

  unbind(binding: Binding): void {
    const bindings = this.#byKey.get(binding.routingKey);
    const index = bindings?.indexOf(binding) ?? -1;
    if (bindings === undefined || index < 0) return;
    if (bindings.length === 1) this.#byKey.delete(binding.routingKey);
    else bindings.splice(index, 1);
    this.#topics?.remove(binding.routingKey, binding);
    binding.destination.boundFrom.delete(binding);
    this.#bindingCount--;
  }

  /**
   * Adds every queue that `routingKey` leads to, through other exchanges too. `routing` is a number of its own for each
   * routing, so that exchanges bound in a circle are entered once.
   */
  route(routingKey: string, into: Set<Queue>, routing: number): void {
    this.#seenRoute = routing;
    // A list that grows while it is walked: a chain of exchanges may be longer than the stack is deep.
    const entered: Exchange[] = [this];
    const follow = ({ destination }: Binding): void => {
      if (destination.kind === "queue") {
        into.add(destination);
      } else if (destination.#seenRoute !== routing) {
        destination.#seenRoute = routing;
        entered.push(destination);
      }
    };
    for (const exchange of entered) exchange.#follow(routingKey, follow);
  }

  #follow(routingKey: string, follow: (binding: Binding) => void): void {
    if (this.type === "fanout") {
      for (const bindings of this.#byKey.values()) bindings.forEach(follow);
    } else if (this.#topics !== null) {
      this.#topics.match(routingKey, follow);
    } else {
      this.#byKey.get(routingKey)?.forEach(follow);
    }
  }
}
