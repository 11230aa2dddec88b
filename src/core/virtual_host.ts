// A virtual host: its exchanges, queues and bindings, what may be declared and deleted, and where a message goes.
// Every durable change is written to the definitions log before the caller learns of it.

import type { AnyQueue } from "./any_queue.ts";
import type { Arguments } from "./arguments.ts";
import { NO_ARGUMENTS } from "./arguments.ts";
import type { Consumer, Owner } from "./consumer.ts";
import { bindingEntry, exchangeEntry, queueEntry } from "./definitions.ts";
import { DIRECT_QUEUE_ARGUMENTS } from "./direct_queue.ts";
import { DelayedExchanges } from "./delayed_exchanges.ts";
import { expectSame } from "./equivalence.ts";
import { type Binding, type Destination, Exchange, type ExchangeDeclaration } from "./exchange.ts";
import { BUILT_IN, checkExchangeType, createExchange } from "./exchanges/create.ts";
import { DefaultMatcher } from "./exchanges/direct.ts";
import { type Route, Router } from "./exchanges/router.ts";
import { Parameters } from "./parameters.ts";
import { Policies } from "./policies/policies.ts";
import { type QueueDeclaration, QueueFactory, settingsOf, withDefaultType } from "./queue_factory.ts";
import { Queue } from "./queue.ts";
import { checkProperties } from "./queue_settings.ts";
import { Records } from "./records.ts";
import { Refusal } from "./refusal.ts";
import { Churn } from "./statistics/counters.ts";
import type { Message } from "../store/message.ts";
import { NO_METADATA, type VhostLimits, type VhostMetadata } from "./vhost_metadata.ts";
import type { VirtualHostServices } from "./virtual_host_services.ts";

export class VirtualHost {
  readonly name: string;
  readonly exchanges = new Map<string, Exchange>();
  readonly queues = new Map<string, AnyQueue>();
  /** Grows with every change that may lead a message elsewhere: what was routed under another number is stale. */
  revision = 1;
  metadata: VhostMetadata = NO_METADATA;
  limits: VhostLimits = {};
  readonly policies: Policies;
  readonly parameters: Parameters;
  /** What protocols keep here. */
  readonly records: Records;
  /** Open now, whatever their protocol. */
  connectionCount = 0;
  /** Deleted. */
  gone = false;
  readonly #services: VirtualHostServices;
  readonly #router = new Router(this.exchanges);
  readonly #delayed: DelayedExchanges;
  /** The exclusive queues of each connection that has some: they go with it. */
  readonly #owned = new Map<Owner, Set<AnyQueue>>();
  #bindingCount = 0;
  readonly #churn: Churn;
  readonly #factory: QueueFactory;

  constructor(name: string, services: VirtualHostServices) {
    this.name = name;
    this.#services = services;
    this.#churn = services.churn ?? new Churn();
    this.policies = new Policies(name, services.definitions);
    this.parameters = new Parameters(name, services.definitions);
    this.records = new Records(name, services.definitions);
    this.#factory = new QueueFactory(services, this.policies, {
      expired: (queue) => void this.removeQueue(queue),
      route: (exchange, keys, message) => this.#routeDead(exchange, keys, message),
    });
    this.#delayed = new DelayedExchanges({
      ...services,
      routeReleased: (exchange, keys, message) => this.#router.route(exchange, keys, message, true),
    });
    const standing = { type: "direct", durable: true, autoDelete: false, internal: false, args: NO_ARGUMENTS };
    const matcher = new DefaultMatcher(this.queues);
    this.exchanges.set("", new Exchange("", standing, { matcher, alternate: null, deduplication: null }));
    for (const [exchange, type] of BUILT_IN) {
      this.exchanges.set(exchange, createExchange(exchange, { ...standing, type }, this.exchangeText(exchange)));
    }
  }

  // Routing

  /**
   * The queues that a message goes to, each once: under its routing key and those that CC and BCC add. Refuses an
   * exchange that is not there.
   */
  route(exchangeName: string, routingKeys: readonly string[], message: Message): Route {
    const exchange = this.exchange(exchangeName);
    if (exchange.internal) {
      throw new Refusal("access-refused", `cannot publish to internal ${this.exchangeText(exchangeName)}`);
    }
    return this.#router.route(exchange, routingKeys, message);
  }

  // Exchanges

  exchange(name: string): Exchange {
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) throw new Refusal("not-found", `no ${this.exchangeText(name)}`);
    return exchange;
  }

  /** Returns whether it is durable, so that the answer has to wait for the disk. */
  declareExchange(name: string, declaration: ExchangeDeclaration, storeId: number | null = null): boolean {
    checkExchangeType(declaration.type);
    const present = this.exchanges.get(name);
    if (present !== undefined) {
      expectSame(this.exchangeText(name), present, declaration);
      // Another connection may have declared it this very moment.
      return present.durable;
    }
    if (name.startsWith("amq.")) {
      throw new Refusal("access-refused", `exchange name '${name}' contains reserved prefix 'amq.*'`);
    }
    const { exchangesMax } = this.#services.limits;
    if (this.exchanges.size >= exchangesMax) this.#refuseMore(`declare exchange '${name}'`, "exchange", exchangesMax);
    const exchange = createExchange(name, declaration, this.exchangeText(name));
    this.#delayed.add(exchange, storeId);
    exchange.configure(this.policies.effective("exchange", name));
    this.exchanges.set(name, exchange);
    this.revision++;
    if (!exchange.durable) return false;
    this.#log(exchangeEntry(this.name, exchange));
    return true;
  }

  /** Returns whether something durable changed, or may have a moment ago. */
  deleteExchange(name: string, ifUnused: boolean): boolean {
    if (name === "") throw new Refusal("access-refused", "operation not permitted on the default exchange");
    if (name.startsWith("amq.")) {
      throw new Refusal("access-refused", `exchange name '${name}' contains reserved prefix 'amq.*'`);
    }
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) return true;
    if (ifUnused && exchange.bindingCount > 0) {
      throw new Refusal("precondition-failed", `${this.exchangeText(name)} in use`);
    }
    return this.#removeExchange(exchange);
  }

  #removeExchange(exchange: Exchange): boolean {
    // Each may take auto-delete exchanges with it: a list, since a chain of them may be longer than the stack is deep.
    const doomed = new Set([exchange]);
    for (const { name } of doomed) this.#takeExchangeOut(name, doomed);
    return exchange.durable;
  }

  #takeExchangeOut(name: string, doomed: Set<Exchange>): void {
    const exchange = this.exchanges.get(name);
    if (exchange === undefined) return;
    this.exchanges.delete(name);
    this.revision++;
    for (const binding of [...exchange.bindings()]) this.#unbind(binding);
    this.#unbindAllOf(exchange, doomed);
    this.#delayed.remove(exchange);
    if (!exchange.durable) return;
    this.#log({ op: "exchange-delete", vhost: this.name, name });
  }

  // Queues

  queue(name: string): AnyQueue {
    const queue = this.queues.get(name);
    if (queue === undefined) throw new Refusal("not-found", `no ${this.queueText(name)}`);
    return queue;
  }

  /** The queue, if it is there and `owner` may use it. */
  usableQueue(name: string, owner: Owner): AnyQueue {
    const queue = this.queue(name);
    if (queue.owner !== null && queue.owner !== owner) this.#refuseLocked(name);
    return queue;
  }

  /** Returns the queue and whether it is to be on disk before the answer. An exclusive queue ends with its owner. */
  declareQueue(name: string, asked: QueueDeclaration, owner: Owner): { queue: AnyQueue; durable: boolean } {
    const declaration = withDefaultType(asked, this.metadata.defaultQueueType, this.queues.get(name));
    const settings = settingsOf(declaration.args, this.queueText(name));
    checkProperties(settings, declaration, this.queueText(name));
    if (this.queues.has(name)) {
      const queue = this.usableQueue(name, owner);
      if (declaration.exclusive !== (queue.owner !== null)) this.#refuseLocked(name);
      expectSame(this.queueText(name), queue, declaration);
      queue.renew();
      this.#churn.queueDeclared++;
      return { queue, durable: this.#logged(queue) };
    }
    return this.#declareNew(name, declaration, declaration.exclusive ? owner : null);
  }

  /** A queue that keeps nothing, if there is none of that name; see `DirectQueue`. */
  declareDirectQueue(name: string, durable: boolean, owner: Owner | null): AnyQueue {
    const declaration = { durable, autoDelete: false, exclusive: owner !== null, args: DIRECT_QUEUE_ARGUMENTS };
    return this.queues.get(name) ?? this.#declareNew(name, declaration, owner).queue;
  }

  #declareNew(name: string, declaration: QueueDeclaration, owner: Owner | null): { queue: AnyQueue; durable: boolean } {
    const queuesMax = Math.min(this.#services.limits.queuesMax, this.limits.maxQueues ?? Infinity);
    if (this.queues.size >= queuesMax) this.#refuseMore(`declare queue '${name}'`, "queue", queuesMax);
    const queue = this.#addQueue(name, this.#services.nextQueueId(), declaration, owner);
    if (queue.owner !== null) this.#own(queue.owner, queue);
    this.#churn.queueDeclared++;
    this.#churn.queueCreated++;
    if (!this.#logged(queue)) return { queue, durable: false };
    this.#log(queueEntry(this.name, queue));
    return { queue, durable: true };
  }

  /** Holds its messages back, until somebody lets it go on. Returns whether that is to survive a restart. */
  setPaused(queue: Queue, paused: boolean): boolean {
    const logged = this.#logged(queue);
    if (logged && queue.paused !== paused) {
      this.#log({ op: paused ? "queue-pause" : "queue-resume", vhost: this.name, name: queue.name });
    }
    if (paused) queue.pause();
    else queue.resume();
    return logged;
  }

  /** Returns the number of messages that went with it, and whether something durable changed. */
  deleteQueue(
    queue: AnyQueue,
    conditions: { ifUnused: boolean; ifEmpty: boolean },
  ): { count: number; durable: boolean } {
    if (conditions.ifUnused && queue.consumers.length > 0) {
      throw new Refusal("precondition-failed", `${this.queueText(queue.name)} in use`);
    }
    if (conditions.ifEmpty && queue.messageCount > 0) {
      throw new Refusal("precondition-failed", `${this.queueText(queue.name)} not empty`);
    }
    const count = queue.messageCount;
    return { count, durable: this.removeQueue(queue) };
  }

  removeQueue(queue: AnyQueue): boolean {
    if (queue.gone) return false;
    const consumers = queue.end();
    this.queues.delete(queue.name);
    this.#churn.queueDeleted++;
    this.#factory.forget(queue);
    this.revision++;
    if (queue.owner !== null) this.#disown(queue.owner, queue);
    const emptied = new Set<Exchange>();
    this.#unbindAllOf(queue, emptied);
    for (const exchange of emptied) this.#removeExchange(exchange);
    for (const consumer of consumers) consumer.cancelled();
    const logged = this.#logged(queue);
    if (logged) this.#log({ op: "queue-delete", vhost: this.name, name: queue.name });
    this.#services.destroyStore(queue.store, logged);
    return logged;
  }

  /** Where a dead letter goes; null when its exchange is not there. An internal one takes it, since no client sends it. */
  #routeDead(exchangeName: string, routingKeys: readonly string[], message: Message): Route | null {
    const exchange = this.exchanges.get(exchangeName);
    return exchange === undefined ? null : this.#router.route(exchange, routingKeys, message);
  }

  /** A consumer leaves; an auto-delete queue goes with its last one. */
  removeConsumer(queue: AnyQueue, consumer: Consumer): void {
    const wasLast = queue.removeConsumer(consumer);
    if (wasLast && queue.autoDelete) this.removeQueue(queue);
  }

  /** Removes the exclusive queues of a connection that ended. */
  removeOwned(owner: Owner): void {
    for (const queue of this.#owned.get(owner) ?? []) this.removeQueue(queue);
  }

  #own(owner: Owner, queue: AnyQueue): void {
    const queues = this.#owned.get(owner);
    if (queues === undefined) this.#owned.set(owner, new Set([queue]));
    else queues.add(queue);
  }

  #disown(owner: Owner, queue: AnyQueue): void {
    const queues = this.#owned.get(owner);
    queues?.delete(queue);
    if (queues?.size === 0) this.#owned.delete(owner);
  }

  // Bindings

  /** Returns whether it is durable, so that the answer has to wait for the disk. */
  bind(sourceName: string, destination: Destination, routingKey: string, args: Arguments): boolean {
    const source = this.#bindableExchange(sourceName);
    const present = source.find(destination, routingKey, args);
    if (present !== null) return this.#isDurable(present);
    const { bindingsMax } = this.#services.limits;
    if (this.#bindingCount >= bindingsMax) this.#refuseMore(`bind '${destination.name}'`, "binding", bindingsMax);
    const binding = source.bind(destination, routingKey, args);
    this.#bindingCount++;
    this.revision++;
    return this.#logBinding("bind", binding);
  }

  /** Returns whether something durable changed, or may have a moment ago. */
  unbind(sourceName: string, destination: Destination, routingKey: string, args: Arguments): boolean {
    const source = this.#bindableExchange(sourceName);
    const binding = source.find(destination, routingKey, args);
    if (binding === null) return true;
    this.#unbind(binding);
    this.revision++;
    const logged = this.#logBinding("unbind", binding);
    if (source.autoDelete && source.bindingCount === 0) this.#removeExchange(source);
    return logged;
  }

  bindableDestination(name: string): Exchange {
    return this.#bindableExchange(name);
  }

  #bindableExchange(name: string): Exchange {
    if (name === "") throw new Refusal("access-refused", "operation not permitted on the default exchange");
    return this.exchange(name);
  }

  /** Puts the auto-delete exchanges that lose their last binding by it into `emptied`. */
  #unbindAllOf(destination: Destination, emptied: Set<Exchange>): void {
    for (const binding of [...destination.boundFrom]) {
      this.#unbind(binding);
      if (binding.source.autoDelete && binding.source.bindingCount === 0) emptied.add(binding.source);
    }
  }

  #unbind(binding: Binding): void {
    binding.source.unbind(binding);
    this.#bindingCount--;
  }

  #isDurable({ source, destination }: Binding): boolean {
    return source.durable && (destination.kind === "queue" ? this.#logged(destination) : destination.durable);
  }

  #logBinding(op: "bind" | "unbind", binding: Binding): boolean {
    const logged = this.#isDurable(binding);
    if (logged) this.#log(bindingEntry(op, this.name, binding));
    return logged;
  }

  // Definitions

  /** A queue of the definitions log, with the id under which its messages lie. */
  restoreQueue(name: string, id: number, autoDelete: boolean, args: Arguments, paused: boolean): void {
    const queue = this.#addQueue(name, id, { durable: true, autoDelete, exclusive: false, args }, null);
    if (paused && queue instanceof Queue) queue.pause();
  }

  /** All that is durable here, as entries of the definitions log. */
  *entries(): IterableIterator<Record<string, unknown>> {
    const exchanges = [...this.exchanges.values()].filter(({ durable }) => durable);
    for (const exchange of exchanges) {
      if (exchange.name !== "" && !exchange.name.startsWith("amq.")) yield exchangeEntry(this.name, exchange);
    }
    for (const queue of this.queues.values()) {
      if (this.#logged(queue)) yield queueEntry(this.name, queue);
    }
    for (const exchange of exchanges) {
      for (const binding of exchange.bindings()) {
        if (this.#isDurable(binding)) yield bindingEntry("bind", this.name, binding);
      }
    }
    yield* this.records.entries();
  }

  // Housekeeping

  /** Lets queues that were not used since the last call give back their buffers and files. */
  cool(): void {
    this.#factory.keepHouse();
    this.#delayed.cool();
  }

  /** Policies have changed: what holds now does so at once for all that is there. */
  applyPolicies(): void {
    for (const resource of [...this.queues.values(), ...this.exchanges.values()]) {
      // The default exchange has no alternate, as with RabbitMQ.
      if (resource.name === "") continue;
      const type = resource.kind === "queue" ? resource.settings.type : "exchange";
      const policy = this.policies.effective(type, resource.name);
      if (policy !== resource.policy) resource.configure(policy);
    }
    this.revision++;
  }

  /** The virtual host is deleted, with all that is in it. So says the log. */
  end(): void {
    this.gone = true;
    for (const queue of [...this.queues.values()]) this.removeQueue(queue);
    for (const exchange of [...this.exchanges.values()]) this.#delayed.remove(exchange);
  }

  /** Closes the stores: everything is on disk. */
  close(): void {
    for (const queue of this.queues.values()) queue.store.close();
    this.#delayed.close();
  }

  // Texts and checks

  queueText(name: string): string {
    return `queue '${name}' in vhost '${this.name}'`;
  }

  exchangeText(name: string): string {
    return `exchange '${name}' in vhost '${this.name}'`;
  }

  #addQueue(name: string, id: number, declaration: QueueDeclaration, owner: Owner | null): AnyQueue {
    const queue = this.#factory.create(name, id, declaration, owner, this.queueText(name));
    this.queues.set(name, queue);
    this.revision++;
    return queue;
  }

  /** Nothing that goes with a deleted virtual host needs an entry of its own. */
  #log(entry: Record<string, unknown>): void {
    if (!this.gone) this.#services.definitions.append(entry);
  }

  #logged(queue: AnyQueue): boolean {
    return queue.logged;
  }

  #refuseLocked(name: string): never {
    throw new Refusal(
      "resource-locked",
      `cannot obtain exclusive access to locked ${this.queueText(name)}. It could be originally declared on another ` +
        `connection or the exclusive property value does not match that of the original declaration.`,
    );
  }

  #refuseMore(what: string, kind: string, max: number): never {
    throw new Refusal(
      "precondition-failed",
      `cannot ${what}: ${kind} limit in vhost '${this.name}' (${max}) is reached`,
    );
  }
}
