// What an alarm does to one connection: whoever wants to publish or declare is not read any more, from that very method
// on, until no alarm holds. Clients that announced it are told.

import type { ReadGate } from "../lib/read_gate.ts";
import type { Conn } from "../runtime/runtime.ts";
import { FRAME_METHOD, ProtocolViolation } from "../wire/amqp_frame.ts";
import {
  decodeMethod,
  METHOD_BASIC_PUBLISH,
  METHOD_EXCHANGE_DECLARE,
  METHOD_QUEUE_DECLARE,
  writeConnectionBlocked,
  writeConnectionUnblocked,
} from "../wire/amqp_methods.ts";
import { copyOf, fitShortString } from "../wire/amqp_values.ts";
import { methodId } from "./errors.ts";
import type { AmqpServices } from "./services.ts";

/** The connection that is stopped. */
export interface Stoppable {
  readonly conn: Conn;
  readonly services: AmqpServices;
  readonly peer: string;
  understands(capability: string): boolean;
  touch(): void;
}

/** The frame at which reading stopped. */
export interface PostponedFrame {
  readonly channel: number;
  readonly payload: Uint8Array;
}

export class AlarmStop {
  #postponed: PostponedFrame | null = null;
  readonly #connection: Stoppable;
  readonly #gate: ReadGate;

  constructor(connection: Stoppable, gate: ReadGate) {
    this.#connection = connection;
    this.#gate = gate;
  }

  /** While an alarm holds: true when reading stops at this frame, which is then kept. */
  stopsAt(type: number, channel: number, bytes: Uint8Array, at: number, size: number): boolean {
    if (type !== FRAME_METHOD || channel === 0 || !adds(bytes, at, size)) return false;
    this.#postponed = { channel, payload: copyOf(bytes, at, size) };
    this.#gate.blocked = true;
    const connection = this.#connection;
    const { reason } = connection.services.alarms;
    connection.services.log.warn(`${connection.peer}: blocked, ${reason}`);
    if (connection.understands("connection.blocked")) {
      writeConnectionBlocked(connection.conn.out, 0, { reason: fitShortString(reason) });
      connection.touch();
    }
    return true;
  }

  /** No alarm holds any more: tells the client, and goes on reading. */
  end(): void {
    const connection = this.#connection;
    connection.services.log.info(`${connection.peer}: no longer blocked`);
    if (connection.understands("connection.blocked")) {
      writeConnectionUnblocked(connection.conn.out, 0);
      connection.touch();
    }
    this.#gate.blocked = false;
  }

  get postponed(): boolean {
    return this.#postponed !== null;
  }

  /** The frame that comes first when reading goes on. */
  takePostponed(): PostponedFrame | null {
    const postponed = this.#postponed;
    this.#postponed = null;
    return postponed;
  }
}

/** Whether a method is to add something: a message, an exchange, a queue. Asking whether one is there adds nothing. */
function adds(bytes: Uint8Array, at: number, size: number): boolean {
  const id = methodId(bytes, at, size);
  if (id === METHOD_BASIC_PUBLISH) return true;
  if (id !== METHOD_QUEUE_DECLARE && id !== METHOD_EXCHANGE_DECLARE) return false;
  try {
    const method = decodeMethod(bytes, at, size);
    return "passive" in method && !method.passive;
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
    // Its channel's to refuse, or to pass over when it is closing.
    return false;
  }
}
