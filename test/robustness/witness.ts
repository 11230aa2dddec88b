// A well-behaved client that goes on publishing and consuming while others misbehave, and tells how it fared.

import assert from "node:assert/strict";
import { RawAmqp } from "../support/raw_amqp.ts";
import { PERSISTENT, Random } from "../support/raw_bytes.ts";
import { basic, confirm, queue } from "../support/raw_methods.ts";
import { within } from "../support/wait.ts";

const QUEUE = "witness";
/** Mostly small, now and then more than a frame. */
const SIZES = [0, 16, 1000, 5000, 200_000];

export class Witness {
  /** Messages that were published, confirmed, delivered and found to be identical. */
  count = 0;
  /** The longest that one of them took. */
  slowestMs = 0;
  #stopped = false;
  #failure: unknown = null;
  readonly #publisher: RawAmqp;
  readonly #consumer: RawAmqp;
  readonly #running: Promise<void>;

  static async start(port: number): Promise<Witness> {
    const publisher = await RawAmqp.open(port, { channels: 1 });
    const consumer = await RawAmqp.open(port, { channels: 1 });
    await publisher.call("queue.declare-ok", queue.declare(1, QUEUE, { durable: true }));
    await publisher.call("confirm.select-ok", confirm.select(1));
    await consumer.call("basic.consume-ok", basic.consume(1, QUEUE));
    return new Witness(publisher, consumer);
  }

  private constructor(publisher: RawAmqp, consumer: RawAmqp) {
    this.#publisher = publisher;
    this.#consumer = consumer;
    this.#running = this.#run().catch((error) => {
      this.#failure = error;
    });
  }

  async #run(): Promise<void> {
    const random = new Random(4711);
    const pool = random.bytes(250_000);
    while (!this.#stopped) {
      const startMs = performance.now();
      const from = random.below(50_000);
      const body = pool.subarray(from, from + SIZES[this.count % SIZES.length]!);
      this.#publisher.send(basic.publish(1, QUEUE, body, PERSISTENT));
      const { args } = await this.#publisher.reply("basic.ack");
      assert.equal(args.longlong(), this.count + 1, "confirms come one by one");
      const message = await this.#consumer.message();
      assert.ok(message.body.equals(body), `message ${this.count} is the one that was published`);
      assert.equal(message.deliveryTag, this.count + 1, "none is left out");
      assert.equal(message.redelivered, false);
      this.#consumer.send(basic.ack(1, message.deliveryTag));
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs);
      this.count++;
    }
  }

  /** Fails if anything went wrong so far, or if no further message gets through. */
  async check(): Promise<void> {
    const count = this.count;
    const progress = (async () => {
      while (this.count < count + 2 && this.#failure === null) await new Promise((resolve) => setImmediate(resolve));
    })();
    await within("progress of the witness", progress);
    if (this.#failure !== null) throw this.#failure;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    if (this.#failure !== null) throw this.#failure;
    const args = await this.#publisher.call("queue.delete-ok", queue.delete(1, QUEUE));
    assert.equal(args.long(), 0, "nothing is left in its queue");
    await this.#publisher.close();
    await this.#consumer.close();
  }

  destroy(): void {
    this.#stopped = true;
    this.#publisher.socket.destroy();
    this.#consumer.socket.destroy();
  }
}
