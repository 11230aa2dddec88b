// Somebody who declares, binds and deletes durable queues all the time, and knows which of it was answered: an answer
// means that it is on disk.

import { AmqpFault } from "../../src/client/amqp_fault.ts";
import type { AmqpChannel } from "../../src/client/amqp_channel.ts";
import type { AmqpConnection } from "../../src/client/amqp_connection.ts";
import { writeBody } from "../../src/wire/amqp_frame.ts";
import {
  METHOD_CONFIRM_SELECT_OK,
  METHOD_QUEUE_BIND_OK,
  METHOD_QUEUE_DECLARE_OK,
  METHOD_QUEUE_DELETE_OK,
  type QueueDeclareOk,
  writeBasicPublish,
  writeConfirmSelect,
  writeQueueBind,
  writeQueueDeclare,
  writeQueueDelete,
} from "../../src/wire/amqp_methods.ts";
import { writeHeader } from "../../src/wire/amqp_properties.ts";
import { tableOf } from "../../src/wire/amqp_table.ts";
import { EXCHANGE } from "./load_plan.ts";

/** Queues that are there at a time. */
const LIVE = 20;
/** Of the deleted ones so many are looked for. */
const DELETED_LOOKED_FOR = 20;

type State = "declaring" | "declared" | "bound" | "deleting" | "deleted";

export class LoadTopology {
  /** What became of each queue. */
  readonly #states: State[];
  #running = false;
  #done: Promise<void> = Promise.resolve();

  constructor(states: State[] = []) {
    this.#states = states;
  }

  get count(): number {
    return this.#states.length;
  }

  clone(): LoadTopology {
    return new LoadTopology([...this.#states]);
  }

  async attach(connection: AmqpConnection): Promise<void> {
    const channel = await connection.openChannel();
    this.#running = true;
    this.#done = this.#work(channel).catch((error) => {
      if (!(error instanceof AmqpFault)) throw error;
    });
  }

  /** Begins nothing new. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
  }

  /** What is not as it was answered, each in a sentence. */
  async check(connection: AmqpConnection): Promise<string[]> {
    const failures: string[] = [];
    const from = Math.max(0, this.#states.length - LIVE - DELETED_LOOKED_FOR);
    for (let index = from; index < this.#states.length; index++) {
      const state = this.#states[index]!;
      const isThere = await this.#isThere(connection, index);
      if (isThere && state === "deleted") failures.push(`queue ${nameOf(index)} is back, its deletion was answered`);
      if (!isThere && (state === "declared" || state === "bound")) {
        failures.push(`queue ${nameOf(index)} is gone, its declaration was answered`);
      } else if (state === "bound" && !await this.#isBound(connection, index)) {
        failures.push(`queue ${nameOf(index)} is not bound, its binding was answered`);
      }
    }
    return failures;
  }

  async #work(channel: AmqpChannel): Promise<void> {
    while (this.#running) {
      const index = this.#states.push("declaring") - 1;
      const queue = nameOf(index);
      await declare(channel, queue, false);
      this.#states[index] = "declared";
      await channel.call(
        METHOD_QUEUE_BIND_OK,
        (out, number) =>
          writeQueueBind(out, number, {
            queue,
            exchange: EXCHANGE,
            routingKey: queue,
            noWait: false,
            arguments: tableOf({}),
          }),
      );
      this.#states[index] = "bound";
      if (index >= LIVE) await this.#delete(channel, index - LIVE);
    }
  }

  async #delete(channel: AmqpChannel, index: number): Promise<void> {
    this.#states[index] = "deleting";
    await channel.call(
      METHOD_QUEUE_DELETE_OK,
      (out, number) =>
        writeQueueDelete(out, number, { queue: nameOf(index), ifUnused: false, ifEmpty: false, noWait: false }),
    );
    this.#states[index] = "deleted";
  }

  async #isThere(connection: AmqpConnection, index: number): Promise<boolean> {
    const channel = await connection.openChannel();
    try {
      await declare(channel, nameOf(index), true);
      await channel.close();
      return true;
    } catch (error) {
      if (error instanceof AmqpFault && error.code === 404) return false;
      throw error;
    }
  }

  /** A message by the binding's key arrives. */
  async #isBound(connection: AmqpConnection, index: number): Promise<boolean> {
    const channel = await connection.openChannel();
    await channel.call(METHOD_CONFIRM_SELECT_OK, (out, number) => writeConfirmSelect(out, number, { noWait: false }));
    const queue = nameOf(index);
    writeBasicPublish(connection.out, channel.number, {
      exchange: EXCHANGE,
      routingKey: queue,
      mandatory: false,
      immediate: false,
    });
    writeHeader(connection.out, channel.number, 1, {});
    writeBody(connection.out, channel.number, new Uint8Array(1), 0, 1, connection.frameBytesMax);
    const { messageCount } = await declare(channel, queue, true);
    await channel.close();
    return messageCount > 0;
  }
}

export function declare(
  channel: AmqpChannel,
  queue: string,
  passive: boolean,
  args: Readonly<Record<string, string | number>> = {},
): Promise<QueueDeclareOk> {
  return channel.call<QueueDeclareOk>(METHOD_QUEUE_DECLARE_OK, (out, number) =>
    writeQueueDeclare(out, number, {
      queue,
      passive,
      durable: true,
      exclusive: false,
      autoDelete: false,
      noWait: false,
      arguments: tableOf(args),
    }));
}

function nameOf(index: number): string {
  return `topology-${index}`;
}
