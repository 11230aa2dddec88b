// What one connection sends to its client: deliveries within the client's limits, after whatever an earlier connection of
// the session has left without acknowledgement.

import type { Consumer } from "../core/consumer.ts";
import type { Queue } from "../core/queue.ts";
import { Message } from "../store/message.ts";
import { StoreFault } from "../store/store_event.ts";
import { PUBREL, type Qos } from "../wire/mqtt_packet.ts";
import { writeAck } from "../wire/mqtt_encode.ts";
import type { MqttConnection } from "./connection.ts";
import { type Recipient, writeDelivery } from "./delivery.ts";
import { EXPECTS_PUBACK, EXPECTS_PUBCOMP, EXPECTS_PUBREC, FREE, InFlight, type Sent } from "./in_flight.ts";
import { qosOf } from "./message_flags.ts";
import type { Session } from "./session.ts";
import type { Matched } from "./subscriptions.ts";

/** Of a message that came to a session's queue by a binding that is no subscription. */
const UNSUBSCRIBED: Matched = { qos: 1, retainAsPublished: false, ids: null };
const DOLLAR = 0x24;
/** What is sent again, for as long as it is written. */
const AGAIN = new Message();

export class Outgoing {
  readonly recipient: Recipient;
  readonly #connection: MqttConnection;
  readonly #session: Session;
  /** Unacknowledged messages of QoS 1 and 2 that the client takes [MQTT-3.3.4-9]. */
  readonly #receiveMaximum: number;
  /** Of those, sent on this connection. */
  #outstanding = 0;
  /** The next one of an earlier connection to be sent again, and their end. */
  #resendAt = 0;
  #resendEnd = 0;

  constructor(connection: MqttConnection, session: Session, recipient: Recipient, receiveMaximum: number) {
    this.#connection = connection;
    this.#session = session;
    this.recipient = recipient;
    this.#receiveMaximum = receiveMaximum;
  }

  /** Whether the client takes one more message that it has to acknowledge. Hot. */
  hasCredit(): boolean {
    if (this.#outstanding >= this.#receiveMaximum || this.#resendAt < this.#resendEnd) return false;
    const { inFlight } = this.#session;
    return inFlight === null || inFlight.hasRoom;
  }

  /** A message for a subscription with QoS 0. Hot. */
  deliverDirect(message: Message): void {
    const matched = this.#session.subscriptions.match(message);
    // With a better subscription besides, it comes by the queue of that one.
    if (matched === null || matched.qos > 0) return;
    this.#session.host.counters.deliverNoAck++;
    this.send(message, matched);
  }

  /** Hands over a message with QoS 0. Hot. */
  send(message: Message, matched: Matched): void {
    const connection = this.#connection;
    const { traffic, clock } = connection.services;
    if (writeDelivery(connection.conn.out, this.recipient, message, matched, 0, 0, false, clock.nowMs)) {
      traffic.publishSent++;
      traffic.publishBytesSent += message.bodyBytes;
      connection.touch();
    } else {
      traffic.publishDropped++;
    }
  }

  /** A message of a queue; `matched` is null where the session's subscriptions say. Hot. */
  deliver(queue: Queue, message: Message, shared: Matched | null): void {
    const matched = shared ?? this.#matched(message);
    const { position, recordBytes, bodyBytes } = message;
    if (matched === null) return queue.settle(position, recordBytes, bodyBytes);
    const { counters } = this.#session.host;
    if (message.redelivered) {
      counters.redeliver++;
      queue.counters.redeliver++;
    }
    const published = qosOf(message);
    const qos = Math.min(published, matched.qos) as Qos;
    if (qos === 0) {
      counters.deliverNoAck++;
      queue.counters.deliverNoAck++;
      this.send(message, matched);
      return queue.settle(position, recordBytes, bodyBytes);
    }
    const inFlight = this.#session.inFlight ??= new InFlight();
    const tag = inFlight.next;
    const id = inFlight.add(qos, queue, position, recordBytes, bodyBytes);
    const dup = message.redelivered && shared === null;
    counters.deliver++;
    queue.counters.deliver++;
    if (this.#write(message, matched, qos, id, dup)) {
      this.#outstanding++;
      return;
    }
    inFlight.remove(tag);
    queue.settle(position, recordBytes, bodyBytes);
  }

  #matched(message: Message): Matched | null {
    const matched = this.#session.subscriptions.match(message);
    if (matched !== null) return matched;
    const { route, routeAt } = message;
    return route[routeAt + 2 + route[routeAt]!] === DOLLAR ? null : UNSUBSCRIBED;
  }

  #write(message: Message, matched: Matched, qos: Qos, id: number, dup: boolean): boolean {
    const connection = this.#connection;
    const { traffic, clock } = connection.services;
    if (!writeDelivery(connection.conn.out, this.recipient, message, matched, qos, id, dup, clock.nowMs)) {
      traffic.publishDropped++;
      return false;
    }
    traffic.publishSent++;
    traffic.publishBytesSent += message.bodyBytes;
    connection.touch();
    return true;
  }

  // Acknowledgements

  /** PUBACK, or PUBREC with an error: the message is done with. False when no such identifier is in flight. Hot. */
  settle(id: number): boolean {
    const { inFlight } = this.#session;
    const tag = inFlight === null ? -1 : inFlight.find(id);
    if (tag < 0) return false;
    const state = inFlight!.stateOf(tag);
    if (state === EXPECTS_PUBCOMP) return false;
    this.#settle(inFlight!.sentAt(tag));
    this.#free(tag);
    return true;
  }

  /** Hot. */
  #settle({ queue, position, recordBytes, bodyBytes }: Sent): void {
    this.#session.host.counters.ack++;
    queue.counters.ack++;
    queue.settle(position, recordBytes, bodyBytes);
  }

  /** PUBREC: the client has the message, PUBREL follows. False when no such identifier is in flight. */
  received(id: number): boolean {
    const { inFlight } = this.#session;
    const tag = inFlight === null ? -1 : inFlight.find(id);
    if (tag < 0) return false;
    const state = inFlight!.stateOf(tag);
    if (state === EXPECTS_PUBACK) return false;
    if (state === EXPECTS_PUBREC) {
      this.#settle(inFlight!.sentAt(tag));
      inFlight!.received(tag);
    }
    return true;
  }

  /** PUBCOMP. */
  complete(id: number): void {
    const { inFlight } = this.#session;
    const tag = inFlight === null ? -1 : inFlight.find(id);
    if (tag >= 0 && inFlight!.stateOf(tag) === EXPECTS_PUBCOMP) this.#free(tag);
  }

  /** Hot. */
  #free(tag: number): void {
    const wasFull = !this.hasCredit();
    this.#session.inFlight!.remove(tag);
    if (this.#outstanding > 0) this.#outstanding--;
    if (this.#resendAt < this.#resendEnd) this.goOn();
    else if (wasFull) this.#session.wake();
  }

  // Resending

  /** The session goes on with this connection: sends again what is not acknowledged, in its order [MQTT-4.4.0-1]. */
  resume(): void {
    const { inFlight } = this.#session;
    if (inFlight !== null) {
      this.#resendAt = inFlight.first;
      this.#resendEnd = inFlight.next;
    }
    this.goOn();
  }

  /** Goes on resending as far as the client takes it; then its queues have their turn. */
  goOn(): void {
    const { inFlight } = this.#session;
    while (this.#resendAt < this.#resendEnd) {
      if (this.#outstanding >= this.#receiveMaximum || !this.#connection.writable()) return;
      this.#resend(inFlight!, this.#resendAt++);
    }
    this.#session.wake();
  }

  #resend(inFlight: InFlight, tag: number): void {
    if (tag < inFlight.first) return;
    const state = inFlight.stateOf(tag);
    if (state === FREE) return;
    const id = inFlight.idOf(tag);
    if (state === EXPECTS_PUBCOMP) {
      writeAck(this.#connection.conn.out, this.recipient.version, PUBREL, id, 0);
      return this.#connection.touch();
    }
    const { queue, position, recordBytes, bodyBytes } = inFlight.sentAt(tag);
    const message = AGAIN;
    if (!queue.gone && this.#read(queue, position, message)) {
      const matched = this.#session.matchedOf(queue) ?? this.#matched(message) ?? UNSUBSCRIBED;
      const qos: Qos = state === EXPECTS_PUBACK ? 1 : 2;
      if (this.#write(message, matched, qos, id, true)) {
        this.#outstanding++;
        return;
      }
    }
    inFlight.remove(tag);
    queue.settle(position, recordBytes, bodyBytes);
  }

  #read(queue: Queue, position: number, message: Message): boolean {
    try {
      queue.store.read(position, message);
      return true;
    } catch (fault) {
      if (fault instanceof StoreFault) return false;
      throw fault;
    }
  }
}

/** The session's side of a queue whose messages wait for the client: its own, or one that it shares with others. */
export class QueueConsumer implements Consumer {
  readonly exclusive = false;
  readonly noAck = false;
  readonly priority = 0;
  readonly queue: Queue;
  /** Of a shared subscription: what it asked for. */
  readonly matched: Matched | null;
  readonly #session: Session;

  constructor(session: Session, queue: Queue, matched: Matched | null) {
    this.#session = session;
    this.queue = queue;
    this.matched = matched;
  }

  /** Hot. */
  ready(): boolean {
    const { connection } = this.#session;
    return connection !== null && connection.outgoing!.hasCredit() && connection.writable();
  }

  /** Hot. */
  deliver(message: Message): void {
    this.#session.connection!.outgoing!.deliver(this.queue, message, this.matched);
  }

  cancelled(): void {
    this.#session.queueGone(this.queue);
  }
}

/** The session's side of its queue for QoS 0. */
export class DirectConsumer implements Consumer {
  readonly exclusive = true;
  readonly noAck = true;
  readonly priority = 0;
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Hot. */
  ready(): boolean {
    const { connection } = this.#session;
    if (connection === null) return false;
    if (connection.writable()) return true;
    connection.services.traffic.publishDropped++;
    return false;
  }

  /** Hot. */
  deliver(message: Message): void {
    this.#session.connection!.outgoing!.deliverDirect(message);
  }

  cancelled(): void {
    this.#session.queueGone(null);
  }
}
