// What is asked of a broker in one simulated life: a random mix of everything that clients do, with pauses of every
// length in between, and now and then a quiet moment in which queues are read as a whole and held against the model.

import { octet, shortString } from "../support/raw_bytes.ts";
import { Auditor } from "./auditor.ts";
import type { Machine } from "./machine.ts";
import type { Model, SimQueue } from "./model.ts";
import { Peer } from "./peer.ts";
import type { Random } from "./random.ts";
import type { Route, Topology } from "./topology.ts";

const PEERS_MAX = 3;
const HELD_MAX = 60;
/** Messages of a stream's or a queue's life: reading them all again and again costs. */
const QUEUE_MESSAGES_MAX = 300;
/** So long the broker may read on what a client sent that is gone, milliseconds. */
const AFTERGLOW_MS = 10;

/** How often each thing is done. */
const WEIGHTS = {
  publish: 40,
  burst: 6,
  alternate: 8,
  settle: 24,
  consume: 5,
  cancel: 2,
  get: 5,
  commit: 4,
  rollback: 1,
  connect: 3,
  abort: 1,
  declare: 2,
  remove: 2,
  purge: 1,
  bind: 3,
  unbind: 1,
  churn: 0.15,
  audit: 2,
  pause: 8,
  rest: 0.7,
};

type Action = keyof typeof WEIGHTS;

export class Script {
  readonly #machine: Machine;
  readonly #model: Model;
  readonly #random: Random;
  readonly #topology: Topology;
  readonly #auditor: Auditor;
  readonly #peers: Peer[] = [];
  readonly #life: number;
  /** This life leans to some things more than to others. */
  readonly #weights: Record<Action, number>;
  #lastPeer = 0;
  #abortedMs = -Infinity;

  constructor(machine: Machine, topology: Topology, life: number) {
    this.#machine = machine;
    this.#model = machine.model;
    this.#random = machine.world.random;
    this.#topology = topology;
    this.#life = life;
    this.#auditor = new Auditor(machine, topology);
    this.#weights = { ...WEIGHTS };
    for (const action of Object.keys(WEIGHTS) as Action[]) this.#weights[action] *= this.#random.pick([0.3, 1, 1, 3]);
  }

  /** Looks at what came back, then goes on working on it. Throws LifeOver when the process dies. */
  async run(actions: number): Promise<void> {
    await this.#topology.connect();
    await this.#topology.verify();
    await this.#topology.populate();
    if (this.#random.chance(0.4)) await this.#auditor.auditAll(false);
    for (let i = 0; i < actions; i++) await this.#act(this.#random.weighted(this.#weights));
  }

  /** Everything is taken out and held against the model. */
  async finish(): Promise<void> {
    await this.#quiet();
    for (const peer of this.#peers.splice(0)) peer.abort();
    await this.#machine.sleep(AFTERGLOW_MS);
    await this.#auditor.auditAll(true);
  }

  async #act(action: Action): Promise<void> {
    const { steps } = { steps: this.#random.pick([0, 0, 1, 3, 10, 30]) };
    this.#machine.world.trace.add(action);
    await this[`_${action}`]();
    for (const { client } of this.#peers) {
      if (client.gone !== null) this.#model.violate(`${client.name} lost its connection: ${client.gone}`);
    }
    await this.#machine.steps(steps);
  }

  // Publishing

  _publish(): void {
    const peer = this.#pick();
    if (peer !== null) this.#publish(peer);
  }

  _burst(): void {
    const peer = this.#pick();
    if (peer === null) return;
    for (let i = this.#random.between(2, 25); i > 0; i--) this.#publish(peer);
  }

  /**
   * One or two publish, wait for the confirm, publish again, while consumers mostly settle at once, or hardly at all. Often
   * the process dies over the next that it writes: of what is confirmed or in the hands of consumers least may be in files
   * then.
   */
  async _alternate(): Promise<void> {
    const peers = [this.#pick(), this.#pick()].filter((peer) => peer?.mode === "confirm").map((peer) => peer!);
    const route = this.#consumedRoute();
    if (peers.length === 0 || route === null) return;
    const eagerness = this.#random.chance(0.5) ? 0.6 : 0.1;
    for (let i = this.#random.between(3, 12); i > 0; i--) {
      await this.#machine.until(() => peers.some(({ open }) => open.size === 0), "a confirm");
      if (this.#random.chance(0.05)) this.#machine.process.dieSoon(this.#random.between(1, 4));
      for (let turn = 0; turn < 3; turn++) {
        const peer = this.#random.pick(peers);
        if (peer.open.size === 0) this.#publish(peer, route);
        await this.#machine.steps(this.#random.below(6));
        for (const one of this.#peers) {
          if (one.held.length > 0 && this.#random.chance(eagerness)) one.acknowledge(one.held.length - 1, true);
        }
      }
    }
  }

  /** One that leads only to queues with consumers; null when a few tries find none. */
  #consumedRoute(): Route | null {
    const consumed = new Set(this.#peers.flatMap(({ consumers }) => [...consumers.values()].map(({ queue }) => queue)));
    for (let tries = 0; tries < 8; tries++) {
      const route = this.#topology.chooseRoute(true);
      if (route !== null && route.targets.length > 0 && route.targets.every(({ queue }) => consumed.has(queue))) {
        return route;
      }
    }
    return null;
  }

  /** Messages of a transaction are routed when it is committed, by the bindings of that time. */
  #publish(peer: Peer, route = this.#topology.chooseRoute(peer.mode === "confirm")): void {
    const random = this.#random;
    if (route === null || route.targets.some(({ queue }) => queue.copies.size > QUEUE_MESSAGES_MAX)) return;
    const persistent = random.chance(0.9);
    const priority = random.below(5);
    const expirationMs = random.chance(0.04) ? random.between(1, 20_000) : Infinity;
    const message = this.#model.message(peer.publisher, this.#size(), persistent, priority, expirationMs);
    for (const { queue, sure } of route.targets) {
      const copy = this.#model.route(message, queue, sure);
      const target = this.#model.queues.get("target");
      if (queue.kind === "dead" && target?.exists === "yes") this.#model.route(message, target, false, copy);
    }
    const parts = [octet(persistent ? 2 : 1), octet(priority)];
    let flags = 1 << 12 | 1 << 11;
    if (expirationMs !== Infinity) {
      flags |= 1 << 8;
      parts.push(shortString(String(expirationMs)));
    }
    peer.publish(message, route.exchange, route.key, flags, Buffer.concat(parts));
  }

  /** Bytes; some are larger than a segment. */
  #size(): number {
    const { random } = this.#machine.world;
    const { segmentBytes } = this.#machine.settings;
    const kind = random.below(100);
    if (kind < 60) return random.between(8, 200);
    if (kind < 85) return random.between(200, 1500);
    if (kind < 97) return random.between(1500, segmentBytes);
    return random.between(segmentBytes, 3 * segmentBytes);
  }

  _commit(): void {
    const peer = this.#random.pick([...this.#transactional(), null]);
    peer?.commit();
  }

  _rollback(): void {
    const peer = this.#random.pick([...this.#transactional(), null]);
    peer?.rollback();
  }

  #transactional(): Peer[] {
    return this.#peers.filter(({ mode, client }) => mode === "transaction" && client.isOpen);
  }

  // Consuming

  _consume(): void {
    const peer = this.#pick();
    const queue = this.#topology.chooseQueue((one) => one.kind !== "stream");
    if (peer === null || queue === null || peer.consumers.size >= 3) return;
    peer.consume(queue);
  }

  _cancel(): void {
    const peer = this.#pick();
    if (peer === null || peer.consumers.size === 0) return;
    peer.cancel(this.#random.pick([...peer.consumers.keys()]));
  }

  _get(): void {
    const peer = this.#pick();
    const queue = this.#topology.chooseQueue((one) => one.kind !== "stream");
    if (peer !== null && queue !== null) peer.get(queue);
  }

  _settle(): void {
    const random = this.#random;
    const peer = this.#pick();
    if (peer === null || peer.held.length === 0) return;
    const index = peer.held.length > HELD_MAX ? peer.held.length - 1 : random.below(peer.held.length);
    const multiple = random.chance(0.4);
    switch (
      random.weighted({
        acknowledge: 6,
        requeue: 4,
        reject: peer.held[index]!.copy.queue.kind === "dead" ? 8 : 1,
        recover: 0.3,
      })
    ) {
      case "acknowledge":
        peer.acknowledge(index, multiple);
        break;
      case "requeue":
        peer.refuse(index, multiple, true);
        break;
      case "reject":
        peer.refuse(index, multiple, false);
        break;
      case "recover":
        peer.refuse(peer.held.length - 1, true, true);
        break;
    }
    if (random.chance(0.4)) peer.sync();
  }

  // Connections

  async _connect(): Promise<void> {
    if (this.#peers.length < PEERS_MAX) await this.#connect();
  }

  async _abort(): Promise<void> {
    const peer = this.#pick();
    if (peer === null) return;
    peer.abort();
    this.#abortedMs = this.#machine.world.nowMs;
    this.#peers.splice(this.#peers.indexOf(peer), 1);
    await this.#machine.steps(this.#random.below(10));
  }

  async #connect(): Promise<void> {
    const mode = this.#random.chance(0.75) ? "confirm" : "transaction";
    const peer = new Peer(`peer ${this.#life}.${++this.#lastPeer}`, this.#machine, mode);
    await this.#machine.until(() => peer.isReady, "an open connection");
    peer.begin(this.#random.pick([1, 2, 5, 20, 0]));
    await this.#machine.until(() => peer.isReady, "a channel");
    this.#peers.push(peer);
  }

  #pick(): Peer | null {
    return this.#peers.length === 0 ? null : this.#random.pick(this.#peers);
  }

  // Topology

  async _declare(): Promise<void> {
    await this.#topology.declareOne();
  }

  async _remove(): Promise<void> {
    const queue = this.#topology.chooseQueue((one) => one.kind !== "target");
    if (queue === null) return;
    // What is on its way to the old one must not get into a new one of the same name.
    await this.#quiet();
    if (queue.exists !== "yes") return;
    this.#letGo(queue);
    await this.#topology.remove(queue);
    await this.#machine.sleep(20);
  }

  async _purge(): Promise<void> {
    const queue = this.#topology.chooseQueue((one) => one.kind !== "stream");
    if (queue === null) return;
    await this.#calm(queue);
    await this.#auditor.purge(queue);
  }

  async _bind(): Promise<void> {
    await this.#quiet();
    await this.#topology.bind();
  }

  async _unbind(): Promise<void> {
    // What was sent before goes where it went then.
    await this.#quiet();
    await this.#topology.unbind();
  }

  async _churn(): Promise<void> {
    await this.#topology.churn();
  }

  // Quiet moments

  async _audit(): Promise<void> {
    const queue = this.#topology.chooseQueue(() => true);
    if (queue === null) return;
    await this.#calm(queue);
    await this.#auditor.audit(queue, this.#random.chance(0.15));
  }

  async _pause(): Promise<void> {
    await this.#machine.steps(this.#random.below(60));
  }

  /** Long enough for lazy syncs, expiry and housekeeping. */
  async _rest(): Promise<void> {
    await this.#machine.sleep(this.#random.pick([1_200, 3_000, 11_000, 25_000]));
  }

  /** All requests are answered, all publishes confirmed. */
  async #quiet(): Promise<void> {
    if (this.#machine.world.nowMs < this.#abortedMs + AFTERGLOW_MS) await this.#machine.sleep(AFTERGLOW_MS);
    for (const peer of this.#peers) if (peer.mode === "transaction" && peer.batch.length > 0) peer.commit();
    for (const peer of this.#peers) peer.sync();
    await this.#machine.until(() => this.#peers.every((peer) => peer.isQuiet), "answers and confirms");
  }

  /** Nobody reads the queue, nobody has anything of it, and nothing is on its way to it. */
  async #calm(queue: SimQueue): Promise<void> {
    for (const peer of this.#peers) {
      for (const [tag, { queue: read }] of peer.consumers) if (read === queue) peer.cancel(tag);
    }
    await this.#quiet();
    for (const peer of this.#peers) {
      for (let i = peer.held.length - 1; i >= 0; i--) {
        if (peer.held[i]!.copy.queue === queue) peer.refuse(i, false, true);
      }
    }
    await this.#quiet();
  }

  /** The queue goes, and with it whoever reads it. */
  #letGo(queue: SimQueue): void {
    for (const peer of this.#peers) {
      for (const { copy } of peer.held) if (copy.queue === queue) copy.held = null;
    }
  }
}
