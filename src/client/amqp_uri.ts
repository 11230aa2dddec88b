// amqp:// URIs: where a client connects to, as whom, and to which virtual host. Secrets in them are never printed.

const PORT_DEFAULT = 5672;

export interface AmqpUri {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly virtualHost: string;
  /** What the URI asks for, seconds, 0 for none; null when it says nothing. */
  readonly heartbeatS: number | null;
  /** Largest frame, bytes; null when the URI says nothing. */
  readonly frameBytesMax: number | null;
  /** Null when the URI says nothing. */
  readonly channelMax: number | null;
}

/** A URI that cannot be used. The message never holds the secrets in it. */
export class AmqpUriFault extends Error {
  override readonly name = "AmqpUriFault";
}

/**
 * `amqp://user:password@host:port/vhost?heartbeat=S&frame_max=BYTES&channel_max=N`, each part percent-encoded and, but
 * for the scheme, optional: guest, guest, localhost, 5672, "/". An empty path is "/" too.
 */
export function parseAmqpUri(text: string): AmqpUri {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new AmqpUriFault(`not a URI: ${redactUri(text)}`);
  }
  if (url.protocol !== "amqp:") {
    throw new AmqpUriFault(`amqp:// expected, found ${url.protocol}// in ${redactUri(text)}`);
  }
  const part = (encoded: string, name: string) => decodePart(encoded, name, text);
  const path = url.pathname.startsWith("/") ? url.pathname.slice(1) : url.pathname;
  return {
    host: part(url.hostname.replace(/^\[(.*)\]$/, "$1"), "host") || "localhost",
    port: url.port === "" ? PORT_DEFAULT : Number(url.port),
    user: url.username === "" ? "guest" : part(url.username, "user"),
    password: url.username === "" && url.password === "" ? "guest" : part(url.password, "password"),
    virtualHost: path === "" ? "/" : part(path, "virtual host"),
    heartbeatS: integerOf(url, "heartbeat", 0, 0xFFFF, text),
    frameBytesMax: integerOf(url, "frame_max", 4096, 0xFFFF_FFFF, text),
    channelMax: integerOf(url, "channel_max", 1, 0xFFFF, text),
  };
}

/** The URI with its password as `***`; takes malformed ones too, and then rather hides too much. */
export function redactUri(text: string): string {
  return text.replace(
    /^([^/]*\/\/)?([^:@]*)(:?).*@/s,
    (_, scheme = "", user, colon) => `${scheme}${user}${colon && ":***"}@`,
  );
}

function decodePart(encoded: string, name: string, uri: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new AmqpUriFault(`${name} is not percent-encoded correctly in ${redactUri(uri)}`);
  }
}

function integerOf(url: URL, name: string, lowest: number, highest: number, uri: string): number | null {
  const text = url.searchParams.get(name);
  if (text === null) return null;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < lowest || value > highest) {
    throw new AmqpUriFault(`${name} must be from ${lowest} to ${highest} in ${redactUri(uri)}`);
  }
  return value;
}
