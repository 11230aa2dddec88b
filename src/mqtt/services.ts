// What MQTT needs of the broker around it.

import type { MqttConfig } from "../config/config.ts";
import type { Alarms } from "../core/alarms.ts";
import type { LoginDelays } from "../core/login_delays.ts";
import type { Timers } from "../core/timers.ts";
import type { Turn } from "../core/turn.ts";
import type { Users } from "../core/user.ts";
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
  /** MQTT's part of each virtual host, by the virtual host's name. */
  readonly hosts: ReadonlyMap<string, MqttHost>;
  /** Of clients that name none. */
  readonly defaultVhost: string;
  readonly users: Users;
  readonly logins: LoginDelays;
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
