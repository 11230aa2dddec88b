// The one place where MQTT asks who may do what, in RabbitMQ's terms: a topic is a routing key of amq.topic, a session's
// queue is a queue like any other.

import type { Session as Login } from "../core/identity/session.ts";
import { Refusal } from "../core/refusal.ts";
import { MQTT_EXCHANGE } from "./publication.ts";

export type MqttAction =
  /** Send to a topic, by oneself or by a will. */
  | { readonly kind: "publish"; readonly routingKey: string }
  /** Receive what matches a pattern, retained messages included, through a queue. */
  | { readonly kind: "subscribe"; readonly pattern: string; readonly queue: string };

export function isAllowed(login: Login, action: MqttAction): boolean {
  try {
    const exchange = login.vhost.exchange(MQTT_EXCHANGE);
    if (action.kind === "publish") {
      login.authorize("write", "exchange", MQTT_EXCHANGE);
      login.authorizeTopic("write", exchange, action.routingKey);
    } else {
      for (const what of ["configure", "write", "read"] as const) login.authorize(what, "queue", action.queue);
      login.authorize("read", "exchange", MQTT_EXCHANGE);
      login.authorizeTopic("read", exchange, action.pattern);
    }
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}
