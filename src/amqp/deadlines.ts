// How long a connection may keep us waiting: until it is open, between two signs of life, until it has closed.
// All times are monotonic, milliseconds.

/** A peer that does not answer connection.close in time is cut off. */
const CLOSE_MS_MAX = 5_000;

export type Verdict =
  | "fine"
  /** The peer did not get to connection.open. */
  | "not-opened"
  /** AMQP 4.2.7: two intervals without a byte, and the peer is taken for dead. */
  | "silent"
  /** The peer has not answered connection.close. */
  | "not-closed"
  /** We have said nothing for half an interval: a heartbeat is due. */
  | "heartbeat-due";

export class Deadlines {
  /** Set for every chunk; the clock is read by `judge` alone. */
  heard = false;
  readonly #acceptedMs: number;
  readonly #handshakeMs: number;
  #heardMs: number;
  #spokeMs: number;
  #closingMs = -1;
  /** The agreed interval, 0 for none; -1 until the connection is open. */
  #heartbeatMs = -1;

  /** `handshakeMs`: from now to the open connection. */
  constructor(nowMs: number, handshakeMs: number) {
    this.#handshakeMs = handshakeMs;
    this.#acceptedMs = this.#heardMs = this.#spokeMs = nowMs;
  }

  opened(heartbeatMs: number): void {
    this.#heartbeatMs = heartbeatMs;
  }

  spoke(nowMs: number): void {
    this.#spokeMs = nowMs;
  }

  closing(nowMs: number): void {
    this.#closingMs = nowMs;
  }

  /** Now and then. */
  judge(nowMs: number): Verdict {
    if (this.heard) {
      this.heard = false;
      this.#heardMs = nowMs;
    }
    if (this.#closingMs >= 0) return nowMs - this.#closingMs > CLOSE_MS_MAX ? "not-closed" : "fine";
    if (this.#heartbeatMs < 0) return nowMs - this.#acceptedMs > this.#handshakeMs ? "not-opened" : "fine";
    if (this.#heartbeatMs === 0) return "fine";
    if (nowMs - this.#heardMs > 2 * this.#heartbeatMs) return "silent";
    return nowMs - this.#spokeMs >= this.#heartbeatMs / 2 ? "heartbeat-due" : "fine";
  }
}
