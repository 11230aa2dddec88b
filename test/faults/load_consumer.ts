// One consumer of a load: checks what is delivered, byte by byte, tells the ledger, holds some back, gives some back, and
// acknowledges the rest. Now and then it asks the broker something, so that it knows which acks have arrived.

import type { AmqpChannel, ChannelHandler } from "../../src/client/amqp_channel.ts";
import type { AmqpConnection } from "../../src/client/amqp_connection.ts";
import {
  type BasicConsumeOk,
  type BasicQosOk,
  METHOD_BASIC_CONSUME_OK,
  METHOD_BASIC_QOS_OK,
  writeBasicAck,
  writeBasicConsume,
  writeBasicNack,
  writeBasicQos,
} from "../../src/wire/amqp_methods.ts";
import { tableOf } from "../../src/wire/amqp_table.ts";
import { readLonglong } from "../../src/wire/amqp_values.ts";
import type { Ledger } from "./ledger.ts";
import type { QueuePlan } from "./load_plan.ts";
import { type Bodies, type BodyName, NAME_BYTES } from "./message_body.ts";
import type { Random } from "./random.ts";

const PREFETCH = 500;
/** Settled messages behind which the broker is asked. */
const ASK_EVERY = 200;

/** Deliveries that are held, or acks on their way: delivery tag, publisher and number, oldest first. */
class Held {
  tags: number[] = [];
  publishers: number[] = [];
  numbers: number[] = [];

  get count(): number {
    return this.tags.length;
  }

  push(tag: number, publisher: number, number: number): void {
    this.tags.push(tag);
    this.publishers.push(publisher);
    this.numbers.push(number);
  }

  /** The oldest `count`, which are no longer in here. */
  take(count: number): Held {
    const taken = new Held();
    taken.tags = this.tags.splice(0, count);
    taken.publishers = this.publishers.splice(0, count);
    taken.numbers = this.numbers.splice(0, count);
    return taken;
  }
}

export class LoadConsumer implements ChannelHandler {
  connected = false;
  /** Settles everything at once, and gives nothing back. */
  draining = false;
  readonly #queue: number;
  readonly #plan: QueuePlan;
  readonly #consumer: number;
  readonly #ledger: Ledger;
  readonly #bodies: Bodies;
  readonly #random: Random;
  readonly #holdMax: number;
  readonly #giveBack: number;
  readonly #name: BodyName = { publisher: 0, route: 0, number: 0 };
  #connection: AmqpConnection | null = null;
  #channel: AmqpChannel | null = null;
  #held = new Held();
  /** Acks that the broker may not have yet. */
  #acked = new Held();
  #asking = false;
  /** Deliveries in all sessions: what a stream goes on with. */
  #count = 0;
  #tag = 0;
  #redelivered = false;
  #size = 0;
  #done = 0;
  #sound = true;

  constructor(
    queue: number,
    plan: QueuePlan,
    consumer: number,
    ledger: Ledger,
    bodies: Bodies,
    random: Random,
    { holdMax, giveBack }: { readonly holdMax: number; readonly giveBack: number },
  ) {
    this.#queue = queue;
    this.#plan = plan;
    this.#consumer = consumer;
    this.#ledger = ledger;
    this.#bodies = bodies;
    this.#random = random;
    this.#holdMax = holdMax;
    this.#giveBack = plan.isStream ? 0 : giveBack;
  }

  /** Nothing is held, and the broker has every ack. */
  get idle(): boolean {
    return this.#held.count === 0 && this.#acked.count === 0;
  }

  async attach(connection: AmqpConnection): Promise<void> {
    const channel = await connection.openChannel();
    this.#connection = connection;
    this.#channel = channel;
    channel.handler = this;
    this.#asking = false;
    this.connected = true;
    this.#ledger.session(this.#queue);
    await this.#ask();
    await channel.call<BasicConsumeOk>(METHOD_BASIC_CONSUME_OK, (out, number) =>
      writeBasicConsume(out, number, {
        queue: this.#plan.name,
        consumerTag: "",
        noLocal: false,
        noAck: false,
        exclusive: false,
        noWait: false,
        arguments: tableOf(this.#plan.isStream ? { "x-stream-offset": this.#count } : {}),
      }));
  }

  deliver(bytes: Uint8Array, at: number): void {
    const tagAt = at + 5 + bytes[at + 4]!;
    this.#tag = readLonglong(bytes, tagAt);
    this.#redelivered = (bytes[tagAt + 8]! & 1) !== 0;
  }

  header(bytes: Uint8Array, at: number): void {
    this.#size = readLonglong(bytes, at + 4);
    this.#done = 0;
    this.#sound = true;
    if (this.#size === 0) this.#strange("an empty body");
  }

  body(bytes: Uint8Array, at: number, count: number): void {
    let from = 0;
    if (this.#done === 0) {
      const fault = this.#bodies.readName(bytes, at, count, this.#size, this.#name);
      if (fault !== null) this.#strange(fault);
      from = NAME_BYTES;
    }
    const { publisher, number } = this.#name;
    if (this.#sound && !this.#bodies.matches(this.#name, this.#done + from, bytes, at + from, count - from)) {
      this.#strange(`damaged body of message ${number} of publisher ${publisher}`);
    }
    this.#done += count;
    if (this.#done < this.#size) return;
    this.#count++;
    const isOurs = this.#sound &&
      this.#ledger.deliver(this.#queue, publisher, number, this.#redelivered, this.#consumer);
    if (isOurs) this.#held.push(this.#tag, publisher, number);
    // What should not have come is noted, and must not be in the way.
    else writeBasicAck(this.#connection!.out, this.#channel!.number, { deliveryTag: this.#tag, multiple: false });
  }

  settle(): void {}

  turn(): void {
    this.work();
  }

  /** Settles what is held longer than it need be. Called for every chunk, and now and then. */
  work(): void {
    if (!this.connected) return;
    const keep = this.draining ? 0 : this.#random.between(0, this.#holdMax + 1);
    if (this.#held.count > keep) this.#settle(this.#held.take(this.#held.count - keep));
    if (this.#acked.count >= ASK_EVERY || (this.draining && this.#acked.count > 0)) {
      this.#ask().catch(() => {}); // the broker is gone: `closed` says so
    }
    this.#connection!.flush();
  }

  closed(): void {
    if (!this.connected) return;
    this.connected = false;
    this.#connection = null;
    this.#channel = null;
    if (this.#plan.isStream) {
      // Read is read.
      this.#held = new Held();
      this.#acked = new Held();
      return;
    }
    this.#each(this.#held, (publisher, number) => this.#ledger.back(this.#queue, publisher, number));
    this.#each(this.#acked, (publisher, number) => this.#ledger.maybe(this.#queue, publisher, number));
    this.#held = new Held();
    this.#acked = new Held();
  }

  #settle(taken: Held): void {
    const out = this.#connection!.out;
    const channel = this.#channel!.number;
    // One ack for several may only stand where nothing before it is held: all that was held goes, oldest first.
    let open = 0;
    for (let i = 0; i < taken.count; i++) {
      const [tag, publisher, number] = [taken.tags[i]!, taken.publishers[i]!, taken.numbers[i]!];
      if (!this.draining && this.#random.fraction() < this.#giveBack) {
        if (open > 0) writeBasicAck(out, channel, { deliveryTag: taken.tags[i - 1]!, multiple: true });
        open = 0;
        writeBasicNack(out, channel, { deliveryTag: tag, multiple: false, requeue: true });
        this.#ledger.back(this.#queue, publisher, number);
        continue;
      }
      open++;
      this.#ledger.acked(this.#queue, publisher, number);
      this.#acked.push(tag, publisher, number);
    }
    if (open > 0) writeBasicAck(out, channel, { deliveryTag: taken.tags.at(-1)!, multiple: true });
  }

  /** What was acknowledged before the question has arrived when the answer comes. */
  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const count = this.#acked.count;
    await this.#channel!.call<BasicQosOk>(METHOD_BASIC_QOS_OK, (out, number) => {
      writeBasicQos(out, number, { prefetchSize: 0, prefetchCount: PREFETCH, global: false });
    });
    this.#asking = false;
    this.#each(this.#acked.take(count), (publisher, number) => this.#ledger.gone(this.#queue, publisher, number));
  }

  #each(held: Held, told: (publisher: number, number: number) => void): void {
    for (let i = 0; i < held.count; i++) told(held.publishers[i]!, held.numbers[i]!);
  }

  #strange(what: string): void {
    if (!this.#sound) return;
    this.#sound = false;
    this.#ledger.strange(`${this.#plan.name}: ${what}`);
  }
}
