// What one client sends once it is connected: hands its packets to whom they concern, and answers them.

import {
  AckPacket,
  checkFlags,
  decodeDisconnect,
  decodeSubscribe,
  decodeUnsubscribe,
  PublishPacket,
  readAck,
  readPublish,
} from "../wire/mqtt_decode.ts";
import { writeAck, writePingresp } from "../wire/mqtt_encode.ts";
import {
  CONNECT,
  DISCONNECT,
  PACKET_IDENTIFIER_NOT_FOUND,
  PINGREQ,
  protocolError,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  RECEIVE_MAXIMUM_EXCEEDED,
  SUBSCRIBE,
  UNSPECIFIED_ERROR,
  UNSUBSCRIBE,
} from "../wire/mqtt_packet.ts";
import { Acks, type AcksHost } from "./acks.ts";
import type { MqttConnection } from "./connection.ts";
import { MqttError } from "./errors.ts";
import type { Outgoing } from "./outgoing.ts";
import { Publisher } from "./publisher.ts";
import type { Session } from "./session.ts";
import { subscribe, unsubscribe } from "./subscribing.ts";

/** Messages with QoS 1 and 2 that a client of MQTT 5 may have unacknowledged: what we announce. */
export const RECEIVE_MAXIMUM = 4096;

// What a packet says, for as long as it is handled: one packet is at a time.
const PUBLISHED = new PublishPacket();
const ACKNOWLEDGED = new AckPacket();

export class Incoming implements AcksHost {
  readonly #connection: MqttConnection;
  readonly #session: Session;
  readonly #outgoing: Outgoing;
  /** Made with the first PUBLISH. */
  #publisher: Publisher | null = null;
  #acks: Acks | null = null;
  #acksDue = false;

  constructor(connection: MqttConnection, session: Session, outgoing: Outgoing) {
    this.#connection = connection;
    this.#session = session;
    this.#outgoing = outgoing;
  }

  /** Throws what ends the connection. Hot. */
  packet(first: number, bytes: Uint8Array, at: number, size: number): void {
    const connection = this.#connection;
    const { version } = connection;
    const type = first >>> 4;
    switch (type) {
      case PUBLISH:
        readPublish(version, first, bytes, at, size, PUBLISHED);
        this.#checkReceiveMaximum();
        return (this.#publisher ??= this.#newPublisher()).publish(PUBLISHED);
      case PUBACK:
      case PUBREC:
      case PUBREL:
      case PUBCOMP:
        readAck(version, first, bytes, at, size, ACKNOWLEDGED);
        return this.#acknowledged(type, ACKNOWLEDGED.id, ACKNOWLEDGED.code);
    }
    checkFlags(first);
    switch (type) {
      case SUBSCRIBE:
        return subscribe(connection, this.#session, decodeSubscribe(version, bytes, at, size));
      case UNSUBSCRIBE:
        return unsubscribe(connection, this.#session, decodeUnsubscribe(version, bytes, at, size));
      case PINGREQ:
        if (size > 0) throw protocolError("a PINGREQ with octets too many");
        writePingresp(connection.conn.out);
        return connection.touch();
      case DISCONNECT:
        return connection.disconnected(decodeDisconnect(version, bytes, at, size));
      case CONNECT:
        throw protocolError("a second CONNECT");
      default:
        throw protocolError(`packet type ${type} from a client`);
    }
  }

  #newPublisher(): Publisher {
    const acks = this.#acks = new Acks(this.#connection.services.commit, this);
    return new Publisher(this.#connection, this.#session, acks);
  }

  #checkReceiveMaximum(): void {
    if (this.#connection.version < 5 || PUBLISHED.qos === 0) return;
    const session = this.#session;
    if (
      (this.#acks?.pubacksPending ?? 0) + session.receivedCount < RECEIVE_MAXIMUM ||
      session.hasReceived(PUBLISHED.id, PUBLISHED.dup)
    ) {
      return;
    }
    throw new MqttError(RECEIVE_MAXIMUM_EXCEEDED, `more than ${RECEIVE_MAXIMUM} messages unacknowledged`);
  }

  /** Hot. */
  #acknowledged(type: number, id: number, code: number): void {
    const outgoing = this.#outgoing;
    if (type === PUBACK) return void outgoing.settle(id);
    if (type === PUBCOMP) return outgoing.complete(id);
    if (type === PUBREL) return this.#answer(PUBCOMP, id, this.#session.release(id));
    if (code >= UNSPECIFIED_ERROR) return void outgoing.settle(id);
    this.#answer(PUBREL, id, outgoing.received(id));
  }

  /** Hot. */
  #answer(type: number, id: number, isKnown: boolean): void {
    const connection = this.#connection;
    writeAck(connection.conn.out, connection.version, type, id, isKnown ? 0 : PACKET_IDENTIFIER_NOT_FOUND);
    connection.touch();
  }

  // Acknowledgements of what the client publishes

  /** Hot. */
  acknowledge(type: number, id: number, code: number): void {
    const connection = this.#connection;
    if (connection.ended) return;
    writeAck(connection.conn.out, connection.version, type, id, code);
    if (connection.session !== null) this.#session.host.counters.confirm++;
    connection.touch();
  }

  /** Hot. */
  endOfTurn(): void {
    this.#acksDue = true;
    this.#connection.touch();
  }

  /** The turn ends: what needs no disk is acknowledged. Hot. */
  settleTurn(): void {
    if (!this.#acksDue) return;
    this.#acksDue = false;
    this.#acks!.settleTurn();
  }
}
