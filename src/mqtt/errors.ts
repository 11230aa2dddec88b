// How a connection ends when something goes wrong: whatever was thrown, as a reason code of MQTT 5, and what the versions
// before it have for that.

import { Refusal, type RefusalReason } from "../core/refusal.ts";
import { isDiskFull } from "../lib/disk_full.ts";
import {
  BAD_USER_NAME_OR_PASSWORD,
  CLIENT_IDENTIFIER_NOT_VALID,
  IMPLEMENTATION_SPECIFIC_ERROR,
  MqttViolation,
  NOT_AUTHORIZED,
  QUOTA_EXCEEDED,
  REFUSED_BAD_CREDENTIALS,
  REFUSED_IDENTIFIER,
  REFUSED_NOT_AUTHORIZED,
  REFUSED_PROTOCOL_VERSION,
  REFUSED_SERVER_UNAVAILABLE,
  UNSPECIFIED_ERROR,
  UNSUPPORTED_PROTOCOL_VERSION,
} from "../wire/mqtt_packet.ts";

/** Ends a connection with a reason code. */
export class MqttError extends Error {
  override readonly name = "MqttError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const REFUSAL_CODES: Readonly<Record<RefusalReason, number>> = {
  "not-found": IMPLEMENTATION_SPECIFIC_ERROR,
  "access-refused": NOT_AUTHORIZED,
  "precondition-failed": IMPLEMENTATION_SPECIFIC_ERROR,
  "resource-locked": NOT_AUTHORIZED,
  "not-allowed": NOT_AUTHORIZED,
  "not-implemented": IMPLEMENTATION_SPECIFIC_ERROR,
};

/** What is no refusal and no violation is a fault of ours: 0x80. */
export function toMqttError(error: unknown): MqttError {
  if (error instanceof MqttError) return error;
  if (error instanceof MqttViolation) return new MqttError(error.code, error.message);
  if (error instanceof Refusal) return new MqttError(REFUSAL_CODES[error.reason], error.message);
  if (isDiskFull(error)) return new MqttError(QUOTA_EXCEEDED, "no space is left for messages on the broker's disk");
  return new MqttError(UNSPECIFIED_ERROR, "an internal error occurred; the broker's log tells more");
}

/** The return code of CONNACK before MQTT 5; null when the connection just ends. */
export function returnCodeOf(code: number): number | null {
  switch (code) {
    case UNSUPPORTED_PROTOCOL_VERSION:
      return REFUSED_PROTOCOL_VERSION;
    case CLIENT_IDENTIFIER_NOT_VALID:
      return REFUSED_IDENTIFIER;
    case BAD_USER_NAME_OR_PASSWORD:
      return REFUSED_BAD_CREDENTIALS;
    case NOT_AUTHORIZED:
      return REFUSED_NOT_AUTHORIZED;
    case QUOTA_EXCEEDED:
    case IMPLEMENTATION_SPECIFIC_ERROR:
    case UNSPECIFIED_ERROR:
      return REFUSED_SERVER_UNAVAILABLE;
    default:
      return null;
  }
}
