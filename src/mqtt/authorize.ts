// The one place that MQTT asks who may do what. Whoever may log in may do everything in the virtual hosts that are there;
// finer permissions take effect here and nowhere else.

import type { User } from "../core/user.ts";
import type { VirtualHost } from "../core/virtual_host.ts";

export type MqttAction =
  /** Use the virtual host at all. */
  | { readonly kind: "connect" }
  /** Send to a topic, or have a will on it. */
  | { readonly kind: "publish"; readonly routingKey: string }
  /** Receive what matches a pattern, retained messages included. */
  | { readonly kind: "subscribe"; readonly pattern: string };

export function isAllowed(_user: User, _vhost: VirtualHost, _action: MqttAction): boolean {
  return true;
}
