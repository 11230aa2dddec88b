// The broker of a protocol test: in the test's own process, or dist/leveret (LEVERET_TEST_PROTOCOL=executable), over real
// TCP either way. A fault of the broker fails the test that stops it.

import assert from "node:assert/strict";
import process from "node:process";
import { Broker } from "../../src/mod.ts";
import { BrokerProcess } from "./broker_process.ts";

export interface RunningBrokerOptions {
  /** In memory without one. */
  dataDir?: string;
  messageBytesMax?: number;
  mqtt?: MqttTestSettings;
}

export interface MqttTestSettings {
  inFlightMax?: number;
  queuedMax?: number;
  sessionExpiryMax?: number;
  keepAliveMax?: number;
  packetBytesMax?: number;
  systemIntervalSeconds?: number;
  topicMapping?: "rabbitmq" | "exact";
}

const MQTT_VARIABLES: Readonly<Record<keyof MqttTestSettings, string>> = {
  inFlightMax: "LEVERET_MQTT_MAX_INFLIGHT_MESSAGES",
  queuedMax: "LEVERET_MQTT_MAX_QUEUED_MESSAGES",
  sessionExpiryMax: "LEVERET_MQTT_MAX_SESSION_EXPIRY",
  keepAliveMax: "LEVERET_MQTT_MAX_KEEPALIVE",
  packetBytesMax: "LEVERET_MQTT_MAX_PACKET_SIZE",
  systemIntervalSeconds: "LEVERET_MQTT_SYS_INTERVAL",
  topicMapping: "LEVERET_MQTT_TOPIC_MAPPING",
};

export interface RunningBroker {
  readonly port: number;
  readonly mqttPort: number;
  /** In good order. */
  stop(): Promise<void>;
  /**
   * Leaves it for dead. The executable is killed; a broker in this process lives on in its directory until `stop`, and
   * who wants to go on has to do so with a copy of the files: then `isGone` is false.
   */
  abandon(): Promise<void>;
  readonly isGone: boolean;
}

export function startBroker(options: RunningBrokerOptions): Promise<RunningBroker> {
  return process.env.LEVERET_TEST_PROTOCOL === "executable" ? startExecutable(options) : startInProcess(options);
}

async function startInProcess({ dataDir, messageBytesMax, mqtt }: RunningBrokerOptions): Promise<RunningBroker> {
  const faults: Error[] = [];
  const amqp = messageBytesMax === undefined ? { port: 0 } : { port: 0, messageBytesMax };
  const both = { amqp, mqtt: { port: 0, ...mqtt } };
  const config = dataDir === undefined ? { memory: true, ...both } : { dataDir, ...both };
  const broker = new Broker(config, { onFault: (fault) => faults.push(fault) });
  await broker.start();
  return {
    port: broker.listeners[0]!.port,
    mqttPort: broker.listeners[1]!.port,
    isGone: false,
    abandon: () => Promise.resolve(),
    async stop() {
      await broker.stop();
      assert.deepEqual(faults, []);
    },
  };
}

async function startExecutable({ dataDir, messageBytesMax, mqtt }: RunningBrokerOptions): Promise<RunningBroker> {
  // At this level whatever is logged is a fault.
  const args = ["--log-level", "error", ...(dataDir === undefined ? ["--memory"] : [])];
  const environment: Record<string, string> = {};
  if (messageBytesMax !== undefined) environment["LEVERET_AMQP_MAX_MESSAGE_SIZE"] = `${messageBytesMax}`;
  for (const [name, value] of Object.entries(mqtt ?? {})) {
    environment[MQTT_VARIABLES[name as keyof MqttTestSettings]] = `${value}`;
  }
  const broker = await BrokerProcess.start("executable", { args, environment, ...(dataDir && { dataDir }) });
  let isGone = false;
  return {
    port: broker.port,
    mqttPort: broker.mqttPort,
    get isGone() {
      return isGone;
    },
    async abandon() {
      isGone = true;
      await broker.kill9();
    },
    async stop() {
      if (!isGone) assert.equal(await broker.terminate(), 0, broker.stderr);
      assert.equal(broker.stderr, "");
      await broker.dispose();
    },
  };
}
