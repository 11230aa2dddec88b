// Listens for AMQP.

import type { Address, Runtime } from "../runtime/runtime.ts";
import { ConnectionListener } from "../server/listener.ts";
import { AmqpConnection } from "./connection.ts";
import { AmqpError } from "./errors.ts";
import type { AmqpServices } from "./services.ts";

export type AmqpListener = ConnectionListener<AmqpConnection>;

/** Rejects with a ListenFault. */
export function listenForAmqp(runtime: Runtime, address: Address, services: AmqpServices): Promise<AmqpListener> {
  return ConnectionListener.open<AmqpConnection>(runtime, address, {
    alarms: services.alarms,
    accept: (conn, gone) => new AmqpConnection(conn, services, gone),
    stop: (connection) => connection.fail(new AmqpError(320, "broker shut down")),
  });
}
