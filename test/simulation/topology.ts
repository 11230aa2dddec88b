// Queues, exchanges and bindings of a simulated run: what was answered, what perhaps came about, and whether a broker
// that comes back has exactly that. One connection of its own, which asks for one thing at a time.

import type { Table } from "../support/raw_bytes.ts";
import { channel, exchange as exchangeMethods, queue as queueMethods } from "../support/raw_methods.ts";
import type { Machine } from "./machine.ts";
import { type Knowledge, type Model, type QueueKind, SimQueue } from "./model.ts";
import type { Answered } from "./peer.ts";
import type { Random } from "./random.ts";
import { type SimChannel, SimClient } from "./sim_client.ts";

const QUEUE_NAMES: readonly [name: string, kind: QueueKind][] = [
  ["plain0", "plain"],
  ["plain1", "plain"],
  ["plain2", "plain"],
  ["priority", "priority"],
  ["ttl", "ttl"],
  ["dead", "dead"],
  ["stream", "stream"],
  ["transient", "transient"],
];
const EXCHANGES = [["fan", "fanout"], ["straight", "direct"], ["topics", "topic"]] as const;
const KEYS = ["k0", "k1", "k2"];
/** Above what makes the broker write its definitions anew. */
const CHURN = 520;

export interface Target {
  readonly queue: SimQueue;
  readonly sure: boolean;
}

export interface Route {
  readonly exchange: string;
  readonly key: string;
  readonly targets: readonly Target[];
}

interface SimBinding {
  readonly exchange: string;
  readonly queue: SimQueue;
  readonly key: string;
  state: Knowledge;
}

export class Topology {
  readonly #machine: Machine;
  readonly #model: Model;
  readonly #random: Random;
  readonly #exchanges = new Map<string, Knowledge>();
  #bindings: SimBinding[] = [];
  /** What this run uses. */
  readonly #names: readonly (readonly [string, QueueKind])[];
  #client!: SimClient;
  #channel!: SimChannel;
  #lastChannel = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#model = machine.model;
    this.#random = machine.world.random;
    this.#names = QUEUE_NAMES.filter(([, kind]) =>
      this.#random.chance(kind === "plain" || kind === "dead" ? 0.6 : 0.45)
    );
    if (this.#names.length === 0) this.#names = QUEUE_NAMES.slice(0, 1);
  }

  get queues(): SimQueue[] {
    return [...this.#model.queues.values()].filter(({ exists }) => exists === "yes");
  }

  get channel(): SimChannel {
    return this.#channel;
  }

  async connect(): Promise<void> {
    this.#client = new SimClient("control", (text) => this.#model.violate(text));
    this.#client.connect(this.#machine.runtime, this.#machine.address);
    this.#lastChannel = 0;
    await this.freshChannel();
  }

  /** A channel that the broker has not closed. */
  async freshChannel(): Promise<SimChannel> {
    this.#channel = this.#client.openChannel(++this.#lastChannel, {
      delivered: (delivery) => this.onDelivery(delivery),
      confirmed: () => {},
      refused: () => {},
      cancelled: () => {},
      closed: () => {},
    });
    await this.#machine.until(() => this.#client.isOpen && this.#channel.waitingCount === 0, "control channel");
    return this.#channel;
  }

  onDelivery: (delivery: import("./sim_client.ts").SimDelivery) => void = () => {};

  /** One request, one answer; null when the broker closed the channel instead. */
  async ask(bytes: Uint8Array): Promise<Answered | null> {
    const asked = this.#channel;
    let answered: Answered | null = null;
    asked.call(bytes, (name, args) => answered = { name, args });
    await this.#machine.until(() => answered !== null || asked.closedBy !== null, "an answer to control");
    if (asked.closedBy !== null) await this.freshChannel();
    return answered;
  }

  // After a start

  /** Is there what was answered, and not what was answered to be gone? */
  async verify(): Promise<void> {
    for (const queue of this.#model.queues.values()) {
      const found = await this.#isThere(queueMethods.declare(this.#lastChannel, queue.name, { passive: true }));
      queue.exists = this.#held(`queue ${queue.name}`, queue.exists, found);
      if (!found) {
        queue.copies.clear();
        this.#forgetBindings(queue);
      }
    }
    for (const [name, state] of this.#exchanges) {
      const type = EXCHANGES.find(([one]) => one === name)![1];
      const found = await this.#isThere(exchangeMethods.declare(this.#lastChannel, name, type, { passive: true }));
      this.#exchanges.set(name, this.#held(`exchange ${name}`, state, found));
    }
    // Whether a binding came about cannot be asked: make it so.
    for (const binding of this.#bindings.filter(({ state }) => state === "maybe")) await this.#bind(binding);
  }

  #held(what: string, expected: Knowledge, found: boolean): Knowledge {
    if (expected === "yes" && !found) this.#model.violate(`${what} was declared, and is not there`);
    if (expected === "no" && found) this.#model.violate(`${what} was deleted, and is there`);
    return found ? "yes" : "no";
  }

  async #isThere(bytes: Uint8Array): Promise<boolean> {
    const channelBefore = this.#channel;
    const answered = await this.ask(bytes);
    const refusal = channelBefore.closedBy;
    if (refusal !== null && !refusal.startsWith("404")) this.#model.violate(`asked whether it is there: ${refusal}`);
    return answered !== null;
  }

  /** At first, or when little is left: something to work with. */
  async populate(): Promise<void> {
    if (this.queues.length > 0 && this.#random.chance(0.5)) return;
    while (this.queues.length < 2 && this.queues.length < this.#names.length) await this.declareOne();
    if (this.#random.chance(0.5)) await this.bind();
  }

  // Queues

  chooseQueue(fits: (queue: SimQueue) => boolean): SimQueue | null {
    const queues = this.queues.filter(fits);
    return queues.length === 0 ? null : this.#random.pick(queues);
  }

  async declareOne(): Promise<void> {
    const absent = this.#names.filter(([name]) => (this.#model.queues.get(name)?.exists ?? "no") === "no");
    if (absent.length === 0) return;
    const [name, kind] = this.#random.pick(absent);
    if (kind === "dead" && this.#model.queues.get("target")?.exists !== "yes") await this.#declare("target", "target");
    await this.#declare(name, kind);
  }

  async #declare(name: string, kind: QueueKind): Promise<void> {
    const ttlMs = kind === "ttl" || (kind === "dead" && this.#random.chance(0.4))
      ? this.#random.between(50, 15_000)
      : Infinity;
    const queue = new SimQueue(name, kind, ttlMs);
    this.#model.queues.set(name, queue);
    const { durable } = queue;
    const bytes = queueMethods.declare(this.#lastChannel, name, { durable, args: argumentsOf(queue) });
    const answered = await this.ask(bytes);
    if (answered === null) return this.#model.violate(`queue ${name} could not be declared`);
    answered.args.shortString();
    const count = answered.args.long();
    if (count !== 0) this.#model.violate(`queue ${name} is new and has ${count} messages`);
    queue.exists = "yes";
  }

  async remove(queue: SimQueue): Promise<void> {
    queue.exists = "maybe";
    for (const binding of this.#bindings) if (binding.queue === queue) binding.state = "maybe";
    const answered = await this.ask(queueMethods.delete(this.#lastChannel, queue.name));
    if (answered === null) return this.#model.violate(`queue ${queue.name} could not be deleted`);
    // Its messages may be on their way to consumers still.
    queue.exists = "no";
    this.#forgetBindings(queue);
  }

  #forgetBindings(queue: SimQueue): void {
    this.#bindings = this.#bindings.filter((binding) => binding.queue !== queue);
  }

  // Exchanges and bindings

  async bind(): Promise<void> {
    const queue = this.chooseQueue(({ kind }) => kind !== "target");
    if (queue === null) return;
    const [exchange, type] = this.#random.pick(EXCHANGES);
    if (this.#exchanges.get(exchange) !== "yes") {
      this.#exchanges.set(exchange, "maybe");
      await this.ask(exchangeMethods.declare(this.#lastChannel, exchange, type, { durable: true }));
      this.#exchanges.set(exchange, "yes");
    }
    const key = type === "topic" && this.#random.chance(0.4) ? "#" : this.#random.pick(KEYS);
    const same = (one: SimBinding) => one.exchange === exchange && one.queue === queue && one.key === key;
    if (this.#bindings.some(same)) return;
    const binding: SimBinding = { exchange, queue, key, state: "maybe" };
    this.#bindings.push(binding);
    await this.#bind(binding);
  }

  async #bind(binding: SimBinding): Promise<void> {
    const { queue, exchange, key } = binding;
    this.#machine.world.trace.add("bind", queue.name, `${exchange} ${key}`);
    const answered = await this.ask(queueMethods.bind(this.#lastChannel, queue.name, exchange, key));
    if (answered === null) return this.#model.violate(`${queue.name} could not be bound to ${exchange}`);
    // A transient queue's binding goes with it.
    binding.state = "yes";
  }

  async unbind(): Promise<void> {
    if (this.#bindings.length === 0) return;
    const binding = this.#random.pick(this.#bindings);
    binding.state = "maybe";
    const { queue, exchange, key } = binding;
    this.#machine.world.trace.add("unbind", queue.name, `${exchange} ${key}`);
    await this.ask(queueMethods.unbind(this.#lastChannel, queue.name, exchange, key));
    this.#bindings = this.#bindings.filter((one) => one !== binding);
  }

  /** Where a message may be sent to, and where it gets by that; null when there is nothing. */
  chooseRoute(byExchange: boolean): Route | null {
    if (byExchange && this.#bindings.length > 0 && this.#random.chance(0.35)) {
      const { exchange } = this.#random.pick(this.#bindings);
      const key = this.#random.pick(KEYS);
      return { exchange, key, targets: this.#targetsOf(exchange, key) };
    }
    const queue = this.chooseQueue(({ kind }) => kind !== "target");
    return queue && { exchange: "", key: queue.name, targets: [{ queue, sure: true }] };
  }

  #targetsOf(exchange: string, key: string): Target[] {
    const targets = new Map<SimQueue, boolean>();
    for (const binding of this.#bindings) {
      const fits = exchange === "fan" || binding.key === "#" || binding.key === key;
      if (binding.exchange !== exchange || !fits) continue;
      targets.set(binding.queue, targets.get(binding.queue) === true || binding.state === "yes");
    }
    return [...targets].map(([queue, sure]) => ({ queue, sure }));
  }

  /** So many definitions come and go that the broker writes them anew. */
  async churn(): Promise<void> {
    const number = this.#lastChannel;
    for (let i = 0; i < CHURN; i++) {
      this.#client.send(exchangeMethods.declare(number, "churn", "direct", { durable: true, noWait: true }));
      this.#client.send(exchangeMethods.delete(number, "churn", { noWait: true }));
      if (i % 40 === 0) await this.#machine.step();
    }
    await this.ask(channel.flow(number, true));
    await this.#machine.sleep(11_000);
  }
}

/** Those of the queue's declaration. */
function argumentsOf({ kind, ttlMs }: SimQueue): Table {
  const ttl: Table = ttlMs === Infinity ? {} : { "x-message-ttl": ttlMs };
  switch (kind) {
    case "priority":
      return { "x-max-priority": 3 };
    case "dead":
      return { ...ttl, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "target" };
    case "stream":
      return { "x-queue-type": "stream" };
    default:
      return ttl;
  }
}
