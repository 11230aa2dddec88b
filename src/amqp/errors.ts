// Errors as AMQP names them: reply codes, which of them end a channel and which the connection, and the one place
// where what core/ refuses becomes a code.

import { Refusal, type RefusalReason } from "../core/refusal.ts";
import { isDiskFull } from "../lib/disk_full.ts";
import { ProtocolViolation } from "../wire/amqp_frame.ts";
import { fitShortString } from "../wire/amqp_values.ts";

/** AMQP 1.1: reply codes and their names. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [311, "CONTENT_TOO_LARGE"],
  [312, "NO_ROUTE"],
  [313, "NO_CONSUMERS"],
  [320, "CONNECTION_FORCED"],
  [402, "INVALID_PATH"],
  [403, "ACCESS_REFUSED"],
  [404, "NOT_FOUND"],
  [405, "RESOURCE_LOCKED"],
  [406, "PRECONDITION_FAILED"],
  [501, "FRAME_ERROR"],
  [502, "SYNTAX_ERROR"],
  [503, "COMMAND_INVALID"],
  [504, "CHANNEL_ERROR"],
  [505, "UNEXPECTED_FRAME"],
  [506, "RESOURCE_ERROR"],
  [530, "NOT_ALLOWED"],
  [540, "NOT_IMPLEMENTED"],
  [541, "INTERNAL_ERROR"],
]);

/** Soft errors of AMQP: they end the channel; all others end the connection. */
const CHANNEL_CODES: ReadonlySet<number> = new Set([311, 312, 313, 403, 404, 405, 406]);

const REFUSAL_CODES: Readonly<Record<RefusalReason, number>> = {
  "not-found": 404,
  "access-refused": 403,
  "precondition-failed": 406,
  "resource-locked": 405,
  "not-allowed": 530,
  "not-implemented": 540,
};

/** Ends a channel or a connection with a reply code. */
export class AmqpError extends Error {
  override readonly name = "AmqpError";
  readonly code: number;

  /** `text` without the code's name. */
  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }

  get endsChannelOnly(): boolean {
    return CHANNEL_CODES.has(this.code);
  }

  /** As it is sent: `NOT_FOUND - no queue 'x' in vhost '/'`, cut to a short string. */
  get replyText(): string {
    return fitShortString(`${NAMES.get(this.code) ?? this.code} - ${this.message}`);
  }
}

/** Whatever was thrown while a frame was handled, as an AMQP error. What is no refusal is a fault of ours: 541. */
export function toAmqpError(error: unknown): AmqpError {
  if (error instanceof AmqpError) return error;
  if (error instanceof Refusal) return new AmqpError(REFUSAL_CODES[error.reason], error.message);
  if (error instanceof ProtocolViolation) return new AmqpError(error.code, error.text);
  if (isDiskFull(error)) {
    return new AmqpError(506, `no space is left on the broker's disk (${(error as { code: string }).code})`);
  }
  return new AmqpError(541, "an internal error occurred; the broker's log tells more");
}

/** Class and method number of a method frame's payload; 0 for one that is too short to have them. */
export function methodId(bytes: Uint8Array, at: number, size: number): number {
  if (size < 4) return 0;
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}
