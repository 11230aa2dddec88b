// Exchanges, queues that are no more than names, and messages with properties: what tests of routing are made of.

import { BufferPool, OutBuffer } from "../../lib/out_buffer.ts";
import { Message } from "../../store/message.ts";
import { type Properties, putProperties } from "../../wire/amqp_properties.ts";
import { type PlainValue, tableOf } from "../../wire/amqp_table.ts";
import { putLonglong } from "../../wire/amqp_values.ts";
import { type ArgumentValue, NO_ARGUMENTS } from "../arguments.ts";
import { type Destination, Exchange } from "../exchange.ts";
import type { Queue } from "../queue.ts";
import { createExchange } from "./create.ts";
import { DefaultMatcher } from "./direct.ts";
import { type Route, Router } from "./router.ts";

export type Args = { readonly [name: string]: ArgumentValue };

export class Topology {
  readonly exchanges = new Map<string, Exchange>();
  readonly queues = new Map<string, Queue>();
  readonly #router = new Router(this.exchanges);
  readonly #plain = messageWith({});

  constructor() {
    const standing = { type: "direct", durable: true, autoDelete: false, internal: false, args: NO_ARGUMENTS };
    const matcher = new DefaultMatcher(this.queues);
    this.exchanges.set("", new Exchange("", standing, { matcher, alternate: null, deduplication: null }));
  }

  declare(name: string, type: string, args: Args = {}): Exchange {
    const declaration = {
      type,
      durable: true,
      autoDelete: false,
      internal: false,
      args: new Map(Object.entries(args)),
    };
    const exchange = createExchange(name, declaration, `exchange '${name}' in vhost '/'`);
    this.exchanges.set(name, exchange);
    return exchange;
  }

  queue(name: string): Queue {
    let queue = this.queues.get(name);
    if (queue === undefined) {
      queue = { kind: "queue", name, boundFrom: new Set() } as unknown as Queue;
      this.queues.set(name, queue);
    }
    return queue;
  }

  /** Binds the exchange of that name or, where there is none, the queue. */
  bind(source: string, destination: string, key = "", args: Args = {}): void {
    this.#exchange(source).bind(this.#destination(destination), key, new Map(Object.entries(args)));
  }

  unbind(source: string, destination: string, key = "", args: Args = {}): void {
    const from = this.#exchange(source);
    const binding = from.find(this.#destination(destination), key, new Map(Object.entries(args)));
    if (binding === null) throw new Error(`${destination} is not bound to ${source}`);
    from.unbind(binding);
  }

  /** The names of the queues, sorted. */
  routed(exchange: string, key = "", message = this.#plain): string[] {
    return namesOf(this.route(exchange, [key], message));
  }

  route(exchange: string, keys: readonly string[], message = this.#plain): Route {
    return this.#router.route(this.#exchange(exchange), keys, message);
  }

  #exchange(name: string): Exchange {
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) throw new Error(`no exchange ${name}`);
    return exchange;
  }

  #destination(name: string): Destination {
    return this.exchanges.get(name) ?? this.queue(name);
  }
}

export function namesOf({ queues }: Route): string[] {
  return queues.map(({ name }) => name).sort();
}

export function messageWith(properties: Properties): Message {
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, 0);
  putProperties(out, properties);
  const message = new Message();
  message.header = out.bytes.slice(out.start, out.end);
  message.headerBytes = message.header.length;
  return message;
}

export function messageWithHeaders(headers: { [name: string]: PlainValue }): Message {
  return messageWith({ headers: tableOf(headers) });
}
