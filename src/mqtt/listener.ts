// Listens for MQTT.

import type { Address, Runtime } from "../runtime/runtime.ts";
import { ConnectionListener } from "../server/listener.ts";
import { SERVER_SHUTTING_DOWN } from "../wire/mqtt_packet.ts";
import { MqttConnection } from "./connection.ts";
import { MqttError } from "./errors.ts";
import type { MqttServices } from "./services.ts";

export type MqttListener = ConnectionListener<MqttConnection>;

/** Rejects with a ListenFault. */
export function listenForMqtt(runtime: Runtime, address: Address, services: MqttServices): Promise<MqttListener> {
  const { alarms, traffic } = services;
  return ConnectionListener.open<MqttConnection>(runtime, address, {
    alarms,
    accept(conn, gone) {
      traffic.accepted++;
      return new MqttConnection(conn, services, gone);
    },
    stop: (connection) => connection.fail(new MqttError(SERVER_SHUTTING_DOWN, "broker shut down")),
    counted(count) {
      traffic.connections = count;
      traffic.connectionsMax = Math.max(traffic.connectionsMax, count);
    },
  });
}
