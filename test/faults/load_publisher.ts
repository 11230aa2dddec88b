// One publisher of a load: a connection that publishes with confirms and tells the ledger. Each message once: what was
// unconfirmed when the broker went is left as it is.

import type { AmqpChannel, ChannelHandler } from "../../src/client/amqp_channel.ts";
import type { AmqpConnection } from "../../src/client/amqp_connection.ts";
import { writeBody } from "../../src/wire/amqp_frame.ts";
import { METHOD_CONFIRM_SELECT_OK, writeBasicPublish, writeConfirmSelect } from "../../src/wire/amqp_methods.ts";
import { writeHeader } from "../../src/wire/amqp_properties.ts";
import type { Ledger } from "./ledger.ts";
import { EXCHANGE, keyOf, type LoadPlan } from "./load_plan.ts";
import { type Bodies, BODY_BYTES_MAX } from "./message_body.ts";
import type { Random } from "./random.ts";

const PERSISTENT = 2;
const PENDING_BYTES_MAX = 256 * 1024;
const BATCH_MAX = 64;

export interface PublisherClock {
  /** Told of every message sent and every confirm, where somebody wants to know the times. */
  published(number: number): void;
  confirmed(number: number): void;
}

export class LoadPublisher implements ChannelHandler {
  readonly id: number;
  /** Publishes; otherwise only waits for its confirms. */
  publishing = true;
  /** For the consumers to come after. */
  waiting = false;
  connected = false;
  readonly #plan: LoadPlan;
  readonly #ledger: Ledger;
  readonly #bodies: Bodies;
  readonly #random: Random;
  readonly #clock: PublisherClock | null;
  readonly #body = new Uint8Array(BODY_BYTES_MAX);
  #connection: AmqpConnection | null = null;
  #channel: AmqpChannel | null = null;
  /** Number of the message with delivery tag 1, less one. */
  #base = 0;
  /** The first tag that is not confirmed. */
  #open = 1;
  #sinceMs = 0;
  #sent = 0;

  constructor(
    id: number,
    plan: LoadPlan,
    ledger: Ledger,
    bodies: Bodies,
    random: Random,
    clock: PublisherClock | null = null,
  ) {
    this.id = id;
    this.#plan = plan;
    this.#ledger = ledger;
    this.#bodies = bodies;
    this.#random = random;
    this.#clock = clock;
  }

  /** Everything that was sent in this session is confirmed. */
  get idle(): boolean {
    return this.#unconfirmed === 0;
  }

  async attach(connection: AmqpConnection): Promise<void> {
    const channel = await connection.openChannel();
    channel.handler = this;
    await channel.call(
      METHOD_CONFIRM_SELECT_OK,
      (out, number) => writeConfirmSelect(out, number, { noWait: false }),
    );
    this.#connection = connection;
    this.#channel = channel;
    this.#base = this.#ledger.publishedBy(this.id) - 1;
    this.#open = 1;
    this.#sinceMs = performance.now();
    this.#sent = 0;
    connection.drained = () => this.publish();
    this.connected = true;
  }

  /** What may be published now. Called again and again. */
  publish(): void {
    const connection = this.#connection;
    if (!this.connected || !this.publishing || this.waiting || connection === null) return;
    const dueCount = (performance.now() - this.#sinceMs) * this.#plan.ratePerSecond / 1000;
    let count = Math.min(BATCH_MAX, this.#plan.window - this.#unconfirmed, Math.ceil(dueCount - this.#sent));
    if (count <= 0 || connection.pending > 0) return;
    this.#ledger.publishing(this.id);
    while (count-- > 0 && connection.out.length < PENDING_BYTES_MAX) this.#publishOne(connection);
    connection.flush();
  }

  settle(tag: number, multiple: boolean, accepted: boolean): void {
    if (!accepted) return;
    if (!multiple) this.#confirm(tag);
    else for (let open = this.#open; open <= tag; open++) this.#confirm(open);
    while (this.#open <= tag && this.#ledger.isConfirmed(this.id, this.#base + this.#open)) this.#open++;
  }

  turn(): void {
    this.publish();
  }

  closed(): void {
    this.connected = false;
    this.#connection = null;
    this.#channel = null;
    this.#ledger.publisherCut(this.id);
  }

  deliver(): void {}
  header(): void {}
  body(): void {}

  get #unconfirmed(): number {
    if (!this.connected) return 0;
    return this.#ledger.publishedBy(this.id) - 1 - this.#base - (this.#open - 1);
  }

  #confirm(tag: number): void {
    const number = this.#base + tag;
    if (this.#clock !== null && !this.#ledger.isConfirmed(this.id, number)) this.#clock.confirmed(number);
    this.#ledger.confirm(this.id, number);
  }

  #publishOne(connection: AmqpConnection): void {
    const { out, frameBytesMax } = connection;
    const channel = this.#channel!.number;
    const route = this.#plan.routes[this.#random.between(0, this.#plan.routes.length)]!;
    const number = this.#ledger.publish(this.id, route);
    const size = this.#bodies.make(this.#body, { publisher: this.id, route, number });
    writeBasicPublish(out, channel, {
      exchange: EXCHANGE,
      routingKey: keyOf(route),
      mandatory: false,
      immediate: false,
    });
    writeHeader(out, channel, size, { deliveryMode: PERSISTENT, priority: number % 3 });
    writeBody(out, channel, this.#body, 0, size, frameBytesMax);
    this.#clock?.published(number);
    this.#sent++;
  }
}
