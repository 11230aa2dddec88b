// mqtt:// URIs: where a client connects to and as whom. Secrets in them are never printed.

import { redactUri } from "./amqp_uri.ts";

const PORT_DEFAULT = 1883;

export interface MqttUri {
  readonly host: string;
  readonly port: number;
  /** Null: the client gives none. */
  readonly user: string | null;
  readonly password: string | null;
}

/** A URI that cannot be used. The message never holds the secrets in it. */
export class MqttUriFault extends Error {
  override readonly name = "MqttUriFault";
}

/** `mqtt://user:password@host:port`, each part percent-encoded and, but for the scheme, optional. */
export function parseMqttUri(text: string): MqttUri {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new MqttUriFault(`not a URI: ${redactUri(text)}`);
  }
  if (url.protocol !== "mqtt:") {
    throw new MqttUriFault(`mqtt:// expected, found ${url.protocol}// in ${redactUri(text)}`);
  }
  try {
    return {
      host: decodeURIComponent(url.hostname.replace(/^\[(.*)\]$/, "$1")) || "localhost",
      port: url.port === "" ? PORT_DEFAULT : Number(url.port),
      user: url.username === "" ? null : decodeURIComponent(url.username),
      password: url.password === "" ? null : decodeURIComponent(url.password),
    };
  } catch {
    throw new MqttUriFault(`not percent-encoded correctly: ${redactUri(text)}`);
  }
}
