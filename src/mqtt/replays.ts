// The retained messages that new subscriptions of one connection bring: sent at the pace at which the client takes them.
// Those with QoS 1 and 2 go through the session's queue, so that they outlive the connection like any other.

import type { Servable } from "../core/turn.ts";
import type { MqttConnection } from "./connection.ts";
import { qosOf } from "./message_flags.ts";
import type { Session } from "./session.ts";
import type { Replay } from "./subscribing.ts";
import type { Matched } from "./subscriptions.ts";

/** Messages that are sent before other work has its turn. */
const SERVE_MAX = 1000;

interface Pending {
  readonly keys: readonly string[];
  at: number;
  readonly matched: Matched;
  readonly pattern: string;
}

export class Replays implements Servable {
  readonly #connection: MqttConnection;
  readonly #session: Session;
  #pending: Pending[] = [];
  #queued = false;

  constructor(connection: MqttConnection, session: Session) {
    this.#connection = connection;
    this.#session = session;
  }

  add({ pattern, options, system }: Replay): void {
    const { qos, id } = options;
    const matched: Matched = { qos, retainAsPublished: true, ids: id === 0 ? null : [id] };
    const { host } = this.#session;
    if (system) {
      this.#connection.services.system.replay(this.#connection, pattern, matched);
      return;
    }
    const keys = host.retained.match(pattern).map(({ key }) => key);
    if (keys.length === 0) return;
    this.#pending.push({ keys, at: 0, matched, pattern });
    this.goOn();
  }

  /** The client takes more. */
  goOn(): void {
    if (this.#queued || this.#pending.length === 0) return;
    this.#queued = true;
    this.#connection.services.turn.serveLater(this);
  }

  serve(): boolean {
    this.#queued = false;
    for (let sent = 0; sent < SERVE_MAX; sent++) {
      const pending = this.#pending[0];
      if (pending === undefined || this.#connection.session !== this.#session) return false;
      if (pending.at === pending.keys.length) {
        this.#pending.shift();
        continue;
      }
      if (!this.#connection.writable()) return false;
      this.#send(pending.keys[pending.at++]!, pending.matched);
    }
    this.#queued = true;
    return true;
  }

  #send(key: string, matched: Matched): void {
    const { services, outgoing } = this.#connection;
    const session = this.#session;
    const message = session.host.retained.read(key, services.clock.nowMs);
    if (message === null) return;
    const throughQueue = matched.qos > 0 && qosOf(message) > 0 && session.queue !== null;
    if (throughQueue) session.queue!.publish(message);
    else outgoing!.send(message, matched);
  }
}
