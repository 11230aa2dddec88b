// What MQTT keeps of a message in the flags of its record, beside AMQP's own (store/message.ts).

import { type Message, MESSAGE_PERSISTENT, MESSAGE_PROTOCOL } from "../store/message.ts";
import type { Qos } from "../wire/mqtt_packet.ts";

/** Published by MQTT: its routing key is a topic name, its header one of ours. */
export const MESSAGE_MQTT = MESSAGE_PROTOCOL;
/** With MESSAGE_PERSISTENT: QoS 2. */
export const MESSAGE_QOS_2 = 0x08;
/** Published with the retain flag. */
export const MESSAGE_RETAIN = 0x10;
/** Sent because of a new subscription: the retain flag is set whatever the subscription says. */
export const MESSAGE_RETAINED = 0x20;
/** Payload format indicator 1. */
export const MESSAGE_UTF8 = 0x40;
/** With MESSAGE_PERSISTENT: QoS 0 all the same. Of retained messages, which survive restarts whatever their QoS. */
export const MESSAGE_QOS_0 = 0x80;

/** The QoS a message was published with; AMQP's persistent ones count as QoS 1. Hot. */
export function qosOf({ flags }: Message): Qos {
  if ((flags & (MESSAGE_PERSISTENT | MESSAGE_QOS_0)) !== MESSAGE_PERSISTENT) return 0;
  return (flags & MESSAGE_QOS_2) === 0 ? 1 : 2;
}
