// The ways in which a client says who it is (SASL): what stands in the response of connection.start-ok.

import { decodeTable } from "../wire/amqp_table_codec.ts";
import { getString } from "../wire/amqp_table.ts";
import { AmqpError } from "./errors.ts";

/** Offered to clients, as RabbitMQ does without plugins. */
export const MECHANISMS = "PLAIN AMQPLAIN";

export interface Credentials {
  readonly name: string;
  readonly password: string;
}

/**
 * Reads a response. One that makes no sense gives empty credentials, which nobody has; null: nobody comes in this way.
 * Throws an AmqpError for a mechanism that there is not.
 */
export function readCredentials(mechanism: string, response: Uint8Array): Credentials | null {
  switch (mechanism) {
    case "PLAIN":
      return readPlain(response);
    case "AMQPLAIN":
      return readAmqplain(response);
    case "EXTERNAL":
      // Its place: with a client's certificate it will be who that says.
      return null;
    default:
      throw new AmqpError(503, `unknown authentication mechanism '${mechanism}'`);
  }
}

export function refusedText(mechanism: string): string {
  return `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`;
}

/** Authorization identity (unused), name, password. */
function readPlain(response: Uint8Array): Credentials {
  const parts = new TextDecoder("utf-8", { ignoreBOM: true }).decode(response).split("\0");
  const [, name, password] = parts.length === 3 ? parts : [];
  return { name: name ?? "", password: password ?? "" };
}

/** A field table without its size. */
function readAmqplain(response: Uint8Array): Credentials {
  const bytes = new Uint8Array(4 + response.length);
  new DataView(bytes.buffer).setUint32(0, response.length);
  bytes.set(response, 4);
  const table = decodeTable(bytes, 0, bytes.length);
  return { name: getString(table, "LOGIN") ?? "", password: getString(table, "PASSWORD") ?? "" };
}
