// What MQTT needs of the broker around it.

import type { MqttConfig } from "../config/config.ts";
import type { Alarms } from "../core/alarms.ts";
import type { Realm } from "../core/realm.ts";
import type { Registry } from "../core/statistics/registry.ts";
import type { Timers } from "../core/timers.ts";
import type { Turn } from "../core/turn.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import type { CoarseClock } from "../lib/clock.ts";
import type { GroupCommit } from "../store/group_commit.ts";
import type { MqttHost } from "./host.ts";
import type { SystemTopics } from "./system_topics.ts";
import type { TopicMapping } from "./topics.ts";
import type { Traffic } from "./traffic.ts";

export interface Log {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export interface MqttServices {
  readonly settings: MqttConfig;
  readonly realm: Realm;
  readonly registry: Registry;
  /** MQTT's part of a virtual host. */
  hostOf(vhost: VirtualHost): MqttHost;
  readonly turn: Turn;
  readonly timers: Timers;
  readonly commit: GroupCommit;
  readonly clock: CoarseClock;
  readonly log: Log;
  readonly alarms: Alarms;
  readonly traffic: Traffic;
  readonly mapping: TopicMapping;
  readonly system: SystemTopics;
}
