// The load on one broker: declares, connects publishers, consumers and who changes the topology, and is told when
// they are gone.

import type { AmqpChannel } from "../../src/client/amqp_channel.ts";
import { type AmqpConnection, connectAmqp } from "../../src/client/amqp_connection.ts";
import { AmqpFault } from "../../src/client/amqp_fault.ts";
import { parseAmqpUri } from "../../src/client/amqp_uri.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import {
  METHOD_EXCHANGE_DECLARE_OK,
  METHOD_QUEUE_BIND_OK,
  writeExchangeDeclare,
  writeQueueBind,
} from "../../src/wire/amqp_methods.ts";
import { tableOf } from "../../src/wire/amqp_table.ts";
import type { Ledger } from "./ledger.ts";
import { LoadConsumer } from "./load_consumer.ts";
import { EXCHANGE, keyOf, type LoadPlan } from "./load_plan.ts";
import { LoadPublisher, type PublisherClock } from "./load_publisher.ts";
import { declare, type LoadTopology } from "./load_topology.ts";
import type { Bodies } from "./message_body.ts";
import type { Random } from "./random.ts";
import { waitFor } from "../support/wait.ts";

const TICK_MS = 4;
/** How often the broker is asked how full the queues are. */
const LOOK_TICKS = 50;
const DRAIN_LOOK_MS = 50;
const WAIT_MS_MAX = 120_000;

export interface Actors {
  readonly publishers: readonly LoadPublisher[];
  readonly consumers: readonly LoadConsumer[];
}

export function consumersOf(plan: LoadPlan, ledger: Ledger, bodies: Bodies, random: Random): LoadConsumer[] {
  return plan.queues.flatMap((queue, index) =>
    Array.from(
      { length: queue.consumers },
      (_, consumer) => new LoadConsumer(index, queue, consumer, ledger, bodies, random, plan),
    )
  );
}

export function publishersOf(
  plan: LoadPlan,
  ledger: Ledger,
  bodies: Bodies,
  random: Random,
  clockOf: (id: number) => PublisherClock | null,
): LoadPublisher[] {
  return Array.from(
    { length: plan.publishers },
    (_, id) => new LoadPublisher(id, plan, ledger, bodies, random, clockOf(id)),
  );
}

export class LoadSession {
  readonly #runtime: Runtime;
  readonly #plan: LoadPlan;
  readonly #ledger: Ledger;
  readonly #actors: Actors;
  readonly #topology: LoadTopology | null;
  #control: AmqpConnection | null = null;
  #port = 0;
  /** Messages in the queues, as the broker told. */
  #ready = 0;
  #ticks = 0;
  #looking: AmqpChannel | null = null;
  #timer: ReturnType<typeof setInterval> | undefined;
  #connections: AmqpConnection[] = [];

  constructor(runtime: Runtime, plan: LoadPlan, ledger: Ledger, actors: Actors, topology: LoadTopology | null) {
    this.#runtime = runtime;
    this.#plan = plan;
    this.#ledger = ledger;
    this.#actors = actors;
    this.#topology = topology;
  }

  /** Connects to the broker at `port`, and declares everything: who has lost a queue has lost its messages. */
  async open(port: number): Promise<void> {
    this.#port = port;
    this.#control = await this.#connect(port);
    await this.#declare(this.#control);
    if (this.#plan.consuming) await this.#consume();
    for (const publisher of this.#actors.publishers) await publisher.attach(await this.#connect(port));
    if (this.#topology !== null) await this.#topology.attach(await this.#connect(port));
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Publishes no more, and waits for the confirms. */
  async quiesce(): Promise<void> {
    for (const publisher of this.#actors.publishers) publisher.publishing = false;
    await this.#topology?.stop();
    await waitFor("confirms", () => this.#actors.publishers.every((publisher) => publisher.idle), WAIT_MS_MAX);
  }

  /** Waits until every queue is empty and every stream read. */
  async drain(): Promise<void> {
    await this.#consume();
    for (const consumer of this.#actors.consumers) consumer.draining = true;
    const channel = await this.#control!.openChannel();
    // Twice alike: what was on its way from the queue to us at the first look has come by the second.
    let before = -1;
    await waitFor("empty queues", async () => {
      const ready = await this.#countReady(channel);
      const idle = this.#actors.consumers.every((consumer) => consumer.idle);
      const { deliveries } = this.#ledger;
      const done = ready === 0 && idle && deliveries === before;
      before = deliveries;
      if (!done) await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
      return done;
    }, WAIT_MS_MAX);
    await channel.close();
  }

  /** What of the topology is not as it was answered. */
  checkTopology(topology: LoadTopology): Promise<string[]> {
    return topology.check(this.#control!);
  }

  /** Ends every connection, or waits until it is noticed that the broker is dead. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    const stopped = this.#topology?.stop();
    await Promise.all(this.#connections.splice(0).map((connection) => connection.close()));
    await stopped;
  }

  async #consume(): Promise<void> {
    for (const consumer of this.#actors.consumers) {
      if (!consumer.connected) await consumer.attach(await this.#connect(this.#port));
    }
  }

  async #countReady(channel: AmqpChannel): Promise<number> {
    let ready = 0;
    for (const { name, isStream } of this.#plan.queues) {
      if (!isStream) ready += (await declare(channel, name, true)).messageCount;
    }
    return ready;
  }

  async #connect(port: number): Promise<AmqpConnection> {
    const uri = parseAmqpUri(`amqp://guest:guest@127.0.0.1:${port}`);
    const connection = await connectAmqp(this.#runtime, uri, "fault load");
    this.#connections.push(connection);
    return connection;
  }

  #tick(): void {
    const { publishers, consumers } = this.#actors;
    for (const consumer of consumers) consumer.work();
    if (this.#ticks++ % LOOK_TICKS === 0) this.#look();
    const full = this.#plan.consuming && this.#ready > this.#plan.backlogMax;
    for (const publisher of publishers) {
      publisher.waiting = full;
      publisher.publish();
    }
  }

  async #look(): Promise<void> {
    try {
      this.#looking ??= await this.#control!.openChannel();
      this.#ready = await this.#countReady(this.#looking);
    } catch (error) {
      if (!(error instanceof AmqpFault)) throw error; // the broker is gone
    }
  }

  async #declare(connection: AmqpConnection): Promise<void> {
    const channel = await connection.openChannel();
    await channel.call(
      METHOD_EXCHANGE_DECLARE_OK,
      (out, number) =>
        writeExchangeDeclare(out, number, {
          exchange: EXCHANGE,
          type: "direct",
          passive: false,
          durable: true,
          autoDelete: false,
          internal: false,
          noWait: false,
          arguments: tableOf({}),
        }),
    );
    for (const [index, { name, args }] of this.#plan.queues.entries()) {
      await declare(channel, name, false, args);
      for (const route of new Set(this.#plan.routes)) {
        if ((route & (1 << index)) === 0) continue;
        await channel.call(METHOD_QUEUE_BIND_OK, (out, number) =>
          writeQueueBind(out, number, {
            queue: name,
            exchange: EXCHANGE,
            routingKey: keyOf(route),
            noWait: false,
            arguments: tableOf({}),
          }));
      }
    }
    await channel.close();
  }
}
