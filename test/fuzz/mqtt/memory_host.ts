// A broker in memory with MQTT connections.

import { completeConfig } from "../../../src/config/config.ts";
import { MqttConnection } from "../../../src/mqtt/connection.ts";
import { MqttHost } from "../../../src/mqtt/host.ts";
import { ReceivedIds } from "../../../src/mqtt/received_ids.ts";
import { RetainedMessages } from "../../../src/mqtt/retained.ts";
import type { MqttServices } from "../../../src/mqtt/services.ts";
import { SystemTopics } from "../../../src/mqtt/system_topics.ts";
import { TopicMapping } from "../../../src/mqtt/topics.ts";
import { Traffic } from "../../../src/mqtt/traffic.ts";
import type { Conn } from "../../../src/runtime/runtime.ts";
import { Message } from "../../../src/store/message.ts";
import { MemoryBroker } from "../memory_broker.ts";

export const PACKET_BYTES_MAX = 6000;
const SEGMENT_BYTES = 256 * 1024;

/** Remembers the keys of what is retained: a filter that finds them all there is not. */
class NotedRetained extends RetainedMessages {
  readonly keys = new Set<string>();

  override set(key: string, message: Message): boolean {
    this.keys.add(key);
    return super.set(key, message);
  }

  forgetAll(): void {
    for (const key of this.keys) super.set(key, new Message());
    this.keys.clear();
  }
}

export class MqttMemoryHost extends MemoryBroker<MqttConnection> {
  readonly services: MqttServices;
  mqtt: MqttHost;
  retained!: NotedRetained;
  readonly #traffic = new Traffic();
  readonly #mapping = new TopicMapping("exact");

  constructor() {
    super({ queuesMax: 5000, bindingsMax: 50_000 });
    const traffic = this.#traffic;
    const mapping = this.#mapping;
    this.mqtt = this.#host();
    const hosts = () => [this.mqtt];
    this.services = {
      ...this.common,
      timers: this.timers,
      settings: completeConfig({ memory: true, mqtt: { packetBytesMax: PACKET_BYTES_MAX, queuedMax: 40 } }, {}).mqtt,
      hostOf: () => this.mqtt,
      traffic,
      mapping,
      system: new SystemTopics({ hosts, traffic, mapping, version: "fuzzed", intervalMs: 0 }),
    };
  }

  #host(): MqttHost {
    const kept = { open: () => this.openStore(), isThere: false };
    this.retained = new NotedRetained({
      ...kept,
      segmentBytes: SEGMENT_BYTES,
      countMax: 100,
      includeSettlements: () => this.common.commit.includeLazy(),
    });
    return new MqttHost(this.vhost, {
      timers: this.timers,
      counters: this.common.registry.aside("/"),
      traffic: this.#traffic,
      mapping: this.#mapping,
      retained: this.retained,
      receivedIds: new ReceivedIds(kept),
      queuedMax: 40,
    });
  }

  /** As after a restart: the sessions that a definitions log makes, without what waits in them. */
  static restored(definitions: readonly string[]): MqttMemoryHost {
    const host = new MqttMemoryHost();
    host.restore(definitions);
    host.mqtt = host.#host();
    return host;
  }

  protected override accept(conn: Conn, gone: () => void): MqttConnection {
    return new MqttConnection(conn, this.services, gone);
  }

  override async close(): Promise<void> {
    await super.close();
    this.services.system.close();
    this.mqtt.close();
  }
}
