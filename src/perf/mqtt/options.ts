// The options of `perf mqtt`: their meaning, and which do not go together.

import type { MqttVersion, Qos } from "../../wire/mqtt_packet.ts";
import { OptionFault } from "../options.ts";

export interface MqttPerfOptions {
  readonly uri: string;
  readonly version: MqttVersion;
  readonly publishers: number;
  readonly consumers: number;
  /** Of a payload, bytes. */
  readonly size: number;
  /** Null: no end by time. */
  readonly durationS: number | null;
  /** Per publisher. Null: no end by number. */
  readonly count: number | null;
  /** Messages a second, all publishers together; null: as fast as it goes. */
  readonly rate: number | null;
  readonly qos: Qos;
  readonly consumerQos: Qos;
  /** Unacknowledged messages of each publisher, QoS 1 and 2. */
  readonly inFlight: number;
  readonly retain: boolean;
  readonly topic: string;
  /** Each publisher sends to its own topic below `topic`. */
  readonly topicEach: boolean;
  /** Clients have sessions that outlive their connections. */
  readonly persistent: boolean;
  /** Idle clients to hold, nothing else; 0 for a measurement. */
  readonly connections: number;
  /** Idle clients subscribe with this QoS; null for none. */
  readonly idleQos: Qos | null;
  readonly json: boolean;
}

/** What commander makes of the command line. */
export interface MqttPerfFlags {
  readonly uri: string;
  readonly protocol: number;
  readonly publishers: number;
  readonly consumers: number;
  readonly size: number;
  readonly duration?: number;
  readonly count?: number;
  readonly rate?: number;
  readonly qos: number;
  readonly consumerQos?: number;
  readonly inflight: number;
  readonly retain?: boolean;
  readonly topic: string;
  readonly topicEach?: boolean;
  readonly persistent?: boolean;
  readonly connections: number;
  readonly idleQos?: number;
  readonly json?: boolean;
}

/** Throws an OptionFault that names the options which do not go together. */
export function mqttOptionsOf(flags: MqttPerfFlags): MqttPerfOptions {
  if (flags.connections === 0 && flags.publishers === 0 && flags.consumers === 0) {
    throw new OptionFault("--publishers 0 and --consumers 0: nothing to do");
  }
  if (flags.connections === 0 && flags.idleQos !== undefined) {
    throw new OptionFault("--idle-qos goes with --connections");
  }
  if (/[+#]/.test(flags.topic)) throw new OptionFault("--topic is a name, without wildcards");
  return {
    uri: flags.uri,
    version: flags.protocol as MqttVersion,
    publishers: flags.publishers,
    consumers: flags.consumers,
    size: flags.size,
    durationS: flags.duration ?? null,
    count: flags.count ?? null,
    rate: flags.rate ?? null,
    qos: flags.qos as Qos,
    consumerQos: (flags.consumerQos ?? flags.qos) as Qos,
    inFlight: flags.inflight,
    retain: flags.retain ?? false,
    topic: flags.topic,
    topicEach: flags.topicEach ?? false,
    persistent: flags.persistent ?? false,
    connections: flags.connections,
    idleQos: (flags.idleQos ?? null) as Qos | null,
    json: flags.json ?? false,
  };
}
