// A broker in memory with AMQP connections.

import { AmqpConnection } from "../../../src/amqp/connection.ts";
import { DirectReplies } from "../../../src/amqp/direct_replies.ts";
import type { AmqpServices } from "../../../src/amqp/services.ts";
import { completeConfig } from "../../../src/config/config.ts";
import type { Conn } from "../../../src/runtime/runtime.ts";
import { MemoryBroker } from "../memory_broker.ts";

export const MESSAGE_BYTES_MAX = 64 * 1024;
export const FRAME_BYTES_MAX = 16 * 1024;
export const CHANNEL_MAX = 16;

export class MemoryHost extends MemoryBroker<AmqpConnection> {
  readonly services: AmqpServices;

  constructor({ channelMax = CHANNEL_MAX, queuesMax = 50 } = {}) {
    super({ queuesMax });
    const settings = { messageBytesMax: MESSAGE_BYTES_MAX, frameBytesMax: FRAME_BYTES_MAX, channelMax };
    this.services = {
      ...this.common,
      settings: completeConfig({ memory: true, amqp: settings }, {}).amqp,
      product: { name: "fuzzed", version: "0", platform: "test", node: "fuzzed@here" },
      replies: new DirectReplies(),
    };
  }

  protected override accept(conn: Conn, gone: () => void): AmqpConnection {
    return new AmqpConnection(conn, this.services, gone);
  }

  /** As after a restart: what a definitions log makes. */
  static restored(definitions: readonly string[]): MemoryHost {
    const host = new MemoryHost();
    host.restore(definitions);
    return host;
  }
}
