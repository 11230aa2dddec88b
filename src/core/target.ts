// Who takes a message once it is known where it goes: a queue, or what holds it back on its way to queues.

import type { Message } from "../store/message.ts";
import type { Waiter } from "./pace.ts";

export interface Target {
  readonly kind: "queue" | "delay";
  /** Of a queue; empty otherwise. */
  readonly name: string;
  readonly durable: boolean;
  /** It and its messages are to survive a restart. */
  readonly logged: boolean;
  /** It keeps messages of whatever delivery mode on disk. */
  readonly keepsAll: boolean;
  /** Takes a message in; false when it refuses to. Hot. */
  publish(message: Message): boolean;
  /** Asked for a publisher that has just published much: true when it is to wait for `goOn`. */
  makesWait(publisher: Waiter): boolean;
}
