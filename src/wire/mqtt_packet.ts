// MQTT 3.1, 3.1.1 and 5.0: packet types, reason codes, and the error that a packet which breaks the rules is.

export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;
export const AUTH = 15;

/** Protocol level: 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. */
export type MqttVersion = 3 | 4 | 5;
export type Qos = 0 | 1 | 2;

/** Largest remaining length that four octets hold. */
export const REMAINING_BYTES_MAX = 268_435_455;
/** Fixed header at most: type and flags, remaining length. */
export const FIXED_HEADER_BYTES_MAX = 5;

/** Reason codes of MQTT 5 (2.4). */
export const SUCCESS = 0x00;
export const NO_MATCHING_SUBSCRIBERS = 0x10;
export const NO_SUBSCRIPTION_EXISTED = 0x11;
export const UNSPECIFIED_ERROR = 0x80;
export const MALFORMED_PACKET = 0x81;
export const PROTOCOL_ERROR = 0x82;
export const IMPLEMENTATION_SPECIFIC_ERROR = 0x83;
export const UNSUPPORTED_PROTOCOL_VERSION = 0x84;
export const CLIENT_IDENTIFIER_NOT_VALID = 0x85;
export const BAD_USER_NAME_OR_PASSWORD = 0x86;
export const NOT_AUTHORIZED = 0x87;
export const SERVER_SHUTTING_DOWN = 0x8b;
export const BAD_AUTHENTICATION_METHOD = 0x8c;
export const KEEP_ALIVE_TIMEOUT = 0x8d;
export const SESSION_TAKEN_OVER = 0x8e;
export const TOPIC_FILTER_INVALID = 0x8f;
export const TOPIC_NAME_INVALID = 0x90;
export const PACKET_IDENTIFIER_NOT_FOUND = 0x92;
export const RECEIVE_MAXIMUM_EXCEEDED = 0x93;
export const TOPIC_ALIAS_INVALID = 0x94;
export const PACKET_TOO_LARGE = 0x95;
export const QUOTA_EXCEEDED = 0x97;
export const ADMINISTRATIVE_ACTION = 0x98;
export const PAYLOAD_FORMAT_INVALID = 0x99;

/** Return codes of CONNACK before MQTT 5 (3.1.1, 3.2.2.3). */
export const REFUSED_PROTOCOL_VERSION = 1;
export const REFUSED_IDENTIFIER = 2;
export const REFUSED_SERVER_UNAVAILABLE = 3;
export const REFUSED_BAD_CREDENTIALS = 4;
export const REFUSED_NOT_AUTHORIZED = 5;
/** SUBACK before MQTT 5. */
export const SUBSCRIPTION_FAILED = 0x80;

/** A packet that breaks the protocol: its connection ends with this reason code. */
export class MqttViolation extends Error {
  override readonly name = "MqttViolation";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

export function malformed(message: string): MqttViolation {
  return new MqttViolation(MALFORMED_PACKET, message);
}

export function protocolError(message: string): MqttViolation {
  return new MqttViolation(PROTOCOL_ERROR, message);
}
