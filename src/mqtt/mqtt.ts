// MQTT as the broker holds it: its part of each virtual host, what all of its connections share, and the listener.

import type { MqttConfig } from "../config/config.ts";
import { NO_ARGUMENTS } from "../core/arguments.ts";
import type { LoginDelays } from "../core/login_delays.ts";
import type { Users } from "../core/user.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import { RETAINED_MAX } from "../limits.ts";
import type { Address, Runtime } from "../runtime/runtime.ts";
import type { MessageStore } from "../store/message_store.ts";
import { MqttHost } from "./host.ts";
import { MqttListener } from "./listener.ts";
import { RetainedMessages } from "./retained.ts";
import type { MqttServices } from "./services.ts";
import { SystemTopics } from "./system_topics.ts";
import { TopicMapping } from "./topics.ts";
import { Traffic } from "./traffic.ts";

/** The store of retained messages in a virtual host's records. */
const RETAINED = "mqtt-retained";

export interface MqttOptions
  extends Pick<MqttServices, "turn" | "timers" | "commit" | "clock" | "log" | "alarms" | "defaultVhost"> {
  readonly settings: MqttConfig;
  /** As it names itself: `leveret version 0.1.0`. */
  readonly version: string;
  /** Of a full segment. */
  readonly segmentBytes: number;
  openStore(id: number, durable: boolean, args: typeof NO_ARGUMENTS): MessageStore;
  nextStoreId(): number;
}

export class Mqtt {
  readonly hosts = new Map<string, MqttHost>();
  readonly traffic = new Traffic();
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

  /** A virtual host is there, with all that was restored of it. */
  openHost(vhost: VirtualHost): void {
    const { timers, settings } = this.#options;
    const host = new MqttHost(vhost, {
      timers,
      traffic: this.traffic,
      mapping: this.#mapping,
      retained: this.#openRetained(vhost),
      queuedMax: settings.queuedMax,
    });
    this.hosts.set(vhost.name, host);
  }

  #openRetained({ records }: VirtualHost): RetainedMessages {
    const { commit, segmentBytes, openStore, nextStoreId } = this.#options;
    const present = records.of(RETAINED).get("store");
    const open = (): MessageStore => {
      const id = present === undefined ? nextStoreId() : Number(present.id);
      if (present === undefined) records.set(RETAINED, "store", { id });
      return openStore(id, true, NO_ARGUMENTS);
    };
    return new RetainedMessages({
      open,
      isThere: present !== undefined,
      segmentBytes,
      countMax: RETAINED_MAX,
      includeSettlements: () => commit.includeLazy(),
    });
  }

  /** Rejects with a ListenFault. */
  async listen(runtime: Runtime, users: Users, logins: LoginDelays): Promise<void> {
    const { settings, version, turn, timers, commit, clock, log, alarms, defaultVhost } = this.#options;
    if (settings.port < 0) return;
    const { hosts, traffic } = this;
    const intervalMs = settings.systemIntervalSeconds * 1000;
    const system = this.#system = new SystemTopics({ hosts, traffic, mapping: this.#mapping, version, intervalMs });
    const mapping = this.#mapping;
    const shared = { turn, timers, commit, clock, log, alarms, defaultVhost };
    const services: MqttServices = { ...shared, settings, hosts, users, logins, traffic, mapping, system };
    this.#listener = await MqttListener.open(runtime, { host: settings.bind, port: settings.port }, services);
  }

  /** See `VirtualHost.cool`. */
  cool(): void {
    for (const { retained } of this.hosts.values()) retained.cool();
  }

  /** Ends all connections. */
  async stopListening(): Promise<void> {
    this.#system?.close();
    await this.#listener?.close();
  }

  /** Closes the stores. */
  close(): void {
    for (const { retained } of this.hosts.values()) retained.close();
  }
}
