// MQTT as the broker holds it: its part of each virtual host, what all of its connections share, and the listener.

import type { MqttConfig } from "../config/config.ts";
import { NO_ARGUMENTS } from "../core/arguments.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import { RETAINED_MAX } from "../limits.ts";
import type { Address, Runtime } from "../runtime/runtime.ts";
import type { MessageStore } from "../store/message_store.ts";
import { MqttHost } from "./host.ts";
import { listenForMqtt, type MqttListener } from "./listener.ts";
import { ReceivedIds } from "./received_ids.ts";
import { RetainedMessages } from "./retained.ts";
import type { MqttServices } from "./services.ts";
import { SystemTopics } from "./system_topics.ts";
import { TopicMapping } from "./topics.ts";
import { Traffic } from "./traffic.ts";

// Stores in a virtual host's records.
const RETAINED = "mqtt-retained";
const RECEIVED_IDS = "mqtt-received";
const STORE = "store";

export interface MqttOptions
  extends Pick<MqttServices, "realm" | "registry" | "turn" | "timers" | "commit" | "clock" | "log" | "alarms"> {
  readonly settings: MqttConfig;
  /** As it names itself: `leveret version 0.1.0`. */
  readonly version: string;
  /** Of a full segment. */
  readonly segmentBytes: number;
  openStore(id: number, durable: boolean, args: typeof NO_ARGUMENTS): MessageStore;
  nextStoreId(): number;
}

export class Mqtt {
  /** By virtual host: one that was deleted is another than one of its name that came after it. */
  readonly #hosts = new Map<VirtualHost, MqttHost>();
  readonly #traffic = new Traffic();
  readonly #options: MqttOptions;
  readonly #mapping: TopicMapping;
  #system: SystemTopics | null = null;
  #listener: MqttListener | null = null;

  constructor(options: MqttOptions) {
    this.#options = options;
    this.#mapping = new TopicMapping(options.settings.topicMapping);
  }

  /** What is listened on; null when MQTT is off. */
  get address(): Address | null {
    return this.#listener?.address ?? null;
  }

  get connectionCount(): number {
    return this.#listener?.connectionCount ?? 0;
  }

  /** The virtual hosts are there: takes up what they hold of MQTT. */
  restore(): void {
    for (const vhost of this.#options.realm.vhosts.values()) this.#hostOf(vhost);
  }

  #hostOf(vhost: VirtualHost): MqttHost {
    let host = this.#hosts.get(vhost);
    if (host !== undefined) return host;
    const { timers, settings, registry } = this.#options;
    host = new MqttHost(vhost, {
      timers,
      counters: registry.aside(vhost.name),
      traffic: this.#traffic,
      mapping: this.#mapping,
      retained: this.#openRetained(vhost),
      receivedIds: new ReceivedIds(this.#storeOf(vhost, RECEIVED_IDS)),
      queuedMax: settings.queuedMax,
    });
    this.#hosts.set(vhost, host);
    return host;
  }

  /** A store beside the queues, made when it is first asked for; its id stands in the virtual host's records. */
  #storeOf({ records }: VirtualHost, kind: string): { open: () => MessageStore; isThere: boolean } {
    const { openStore, nextStoreId } = this.#options;
    const present = records.of(kind).get(STORE);
    const open = (): MessageStore => {
      const id = present === undefined ? nextStoreId() : Number(present.id);
      if (present === undefined) records.set(kind, STORE, { id });
      return openStore(id, true, NO_ARGUMENTS);
    };
    return { open, isThere: present !== undefined };
  }

  #openRetained(vhost: VirtualHost): RetainedMessages {
    const { commit, segmentBytes } = this.#options;
    return new RetainedMessages({
      ...this.#storeOf(vhost, RETAINED),
      segmentBytes,
      countMax: RETAINED_MAX,
      includeSettlements: () => commit.includeLazy(),
    });
  }

  /** Rejects with a ListenFault. */
  async listen(runtime: Runtime): Promise<void> {
    const { settings, version, realm, registry, turn, timers, commit, clock, log, alarms } = this.#options;
    if (settings.port < 0) return;
    const mapping = this.#mapping;
    const traffic = this.#traffic;
    const intervalMs = settings.systemIntervalSeconds * 1000;
    const hosts = () => this.#hosts.values();
    const system = this.#system = new SystemTopics({ hosts, traffic, mapping, version, intervalMs });
    const shared = { realm, registry, turn, timers, commit, clock, log, alarms };
    const hostOf = (vhost: VirtualHost) => this.#hostOf(vhost);
    const services: MqttServices = { ...shared, settings, hostOf, traffic, mapping, system };
    this.#listener = await listenForMqtt(runtime, { host: settings.bind, port: settings.port }, services);
  }

  /** See `Realm.cool`. Lets go of virtual hosts that were deleted. */
  cool(): void {
    for (const [vhost, host] of this.#hosts) {
      if (!vhost.gone) {
        host.cool();
        continue;
      }
      this.#hosts.delete(vhost);
      host.destroy();
    }
  }

  /** Ends all connections. */
  async stopListening(): Promise<void> {
    this.#system?.close();
    await this.#listener?.close();
  }

  /** Closes the stores. */
  close(): void {
    for (const host of this.#hosts.values()) host.close();
  }
}
