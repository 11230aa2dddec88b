// Reads whole queues in a quiet moment and holds what comes against the model: all that must be there, nothing else,
// in order, and as many as the broker counts.

import { basic, queue as queueMethods } from "../support/raw_methods.ts";
import type { Machine } from "./machine.ts";
import { type Copy, type Model, Seen, type SimQueue } from "./model.ts";
import type { SimDelivery } from "./sim_client.ts";
import type { Topology } from "./topology.ts";

/** Gets that are sent at a time. */
const GETS = 32;
/** So long nothing may come before a stream counts as read, milliseconds. */
const SILENCE_MS = 50;
const STREAM_OFFSET = "x-stream-offset";

export class Auditor {
  readonly #machine: Machine;
  readonly #model: Model;
  readonly #topology: Topology;

  constructor(machine: Machine, topology: Topology) {
    this.#machine = machine;
    this.#model = machine.model;
    this.#topology = topology;
  }

  /** Every queue, those with dead letters last; with `drain` all messages are taken out for good. */
  async auditAll(drain: boolean): Promise<void> {
    const queues = this.#topology.queues.toSorted((a, b) => Number(a.kind === "target") - Number(b.kind === "target"));
    for (const queue of queues) {
      // Letters may be dying still.
      if (queue.kind === "target") await this.#machine.sleep(100);
      await this.audit(queue, drain && queue.kind === "target");
    }
    this.#model.checkDeadLetters();
  }

  async audit(queue: SimQueue, drain: boolean): Promise<void> {
    this.#machine.world.trace.add("audit", queue.name);
    if (queue.kind === "stream") await this.#auditStream(queue);
    else await this.#auditQueue(queue, drain);
    this.#machine.check();
  }

  /** Of a queue that is calm. */
  async purge(queue: SimQueue): Promise<void> {
    const atMs = this.#machine.world.nowMs;
    const most = queue.possibleCount();
    // The first may expire while the purge is on its way.
    const least = queue.kind === "target" ? 0 : queue.dueCount(atMs + 1000);
    this.#model.purging(queue);
    const answered = await this.#topology.ask(queueMethods.purge(this.#topology.channel.number, queue.name));
    const count = answered!.args.long();
    this.#expectCount(queue, count, least, most);
    this.#model.purged(queue);
  }

  #expectCount(queue: SimQueue, count: number, least: number, most: number): void {
    // Dead letters can be doubled; in a stream, a place where bytes were lost counts as one message.
    const more = this.#model.crashed && (queue.kind === "target" || queue.kind === "stream");
    if (count >= least && (count <= most || more)) return;
    this.#model.violate(`${queue.name} counts ${count} messages, of ${least} that must and ${most} that may be there`);
  }

  async #countOf(queue: SimQueue): Promise<number> {
    const bytes = queueMethods.declare(this.#topology.channel.number, queue.name, { passive: true });
    const answered = await this.#topology.ask(bytes);
    if (answered === null) {
      this.#model.violate(`queue ${queue.name} is not there any more`);
      return 0;
    }
    answered.args.shortString();
    return answered.args.long();
  }

  async #auditQueue(queue: SimQueue, drain: boolean): Promise<void> {
    const { world } = this.#machine;
    const count = await this.#countOf(queue);
    this.#expectCount(queue, count, queue.dueCount(world.nowMs), queue.possibleCount());
    const wasRead = queue.read;
    queue.read = true;
    const found: { copy: Copy; delivery: SimDelivery }[] = [];
    const seen = new Seen();
    const { channel } = this.#topology;
    this.#topology.onDelivery = (delivery) => {
      const copy = this.#model.delivered(queue, delivery, seen, wasRead);
      if (copy === null) return;
      // Nobody else reads: all come in their order, requeued ones too.
      if (delivery.redelivered && seen.isBehind(copy)) {
        this.#model.violate(`message ${copy.message.id} of ${queue.name} is not at its old place`);
      }
      found.push({ copy, delivery });
    };
    let empty = false;
    while (!empty) {
      let left = GETS;
      for (let i = 0; i < GETS; i++) {
        channel.call(basic.get(channel.number, queue.name), (name) => {
          left--;
          empty ||= name === "basic.get-empty";
        });
      }
      await this.#machine.until(() => left === 0, "answers to gets");
    }
    this.#topology.onDelivery = () => {};
    this.#model.audited(queue, found.map(({ copy }) => copy), world.nowMs);
    const last = found.at(-1);
    if (last === undefined) return;
    for (const { copy } of found) this.#model.settling(copy, drain, false);
    if (drain) channel.client.send(basic.ack(channel.number, last.delivery.deliveryTag, true));
    else channel.client.send(basic.nack(channel.number, last.delivery.deliveryTag, { multiple: true, requeue: true }));
    await this.#countOf(queue);
    if (drain) { for (const { copy } of found) this.#model.settled(copy); }
  }

  async #auditStream(queue: SimQueue): Promise<void> {
    const { world } = this.#machine;
    const due = queue.dueCount(world.nowMs);
    this.#expectCount(queue, await this.#countOf(queue), due, queue.possibleCount());
    const channel = await this.#topology.freshChannel();
    const found: Copy[] = [];
    const seen = new Seen();
    let lastOffset = -1;
    let lastMs = world.nowMs;
    this.#topology.onDelivery = (delivery) => {
      lastMs = world.nowMs;
      const offset = offsetOf(delivery.properties);
      const copy = this.#model.streamed(queue, delivery, offset, lastOffset, seen);
      lastOffset = offset;
      if (copy !== null) found.push(copy);
      channel.client.send(basic.ack(channel.number, delivery.deliveryTag));
    };
    await this.#topology.ask(basic.qos(channel.number, 10));
    const options = { tag: "auditor", args: { [STREAM_OFFSET]: "first" } };
    await this.#topology.ask(basic.consume(channel.number, queue.name, options));
    while (world.nowMs < lastMs + SILENCE_MS) await this.#machine.sleep(SILENCE_MS / 2);
    this.#topology.onDelivery = () => {};
    await this.#topology.ask(basic.cancel(channel.number, "auditor"));
    this.#model.audited(queue, found, world.nowMs);
  }
}

/** The header x-stream-offset, a number of 64 bits. */
function offsetOf(properties: Buffer): number {
  const at = properties.indexOf(STREAM_OFFSET);
  return at < 0 ? -1 : Number(properties.readBigInt64BE(at + STREAM_OFFSET.length + 1));
}
