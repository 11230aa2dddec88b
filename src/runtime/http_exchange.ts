// One request over HTTP and its answer, whatever listener it came to: what is read of it only when it is asked for, and how
// an answer is sent to a peer that reads slowly, or not at all.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Address } from "./runtime.ts";

/** How long a peer that still sends may take to read its answer, and requests that are being answered when all ends. */
export const CLOSE_MS_MAX = 1_000;
/** Others (TRACE, CONNECT) are not even a `Request`. */
const METHODS: readonly string[] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"];

/** One request. The body is not part of `request`: it is read with `readBody`. */
export interface HttpExchange {
  readonly request: Request;
  readonly remote: Address;
  readonly local: Address;
  /** It came over a Unix socket, which only the user who runs the broker can open. */
  readonly viaSocket: boolean;
  /** The whole body; null when it is longer than `bytesMax`, of which no more is read then. */
  readBody(bytesMax: number): Promise<Uint8Array | null>;
  /** The peer has gone before it was answered in full. */
  readonly gone: boolean;
  onGone(act: () => void): void;
}

/** Answers a request. Rejecting is a fault of the caller's: the connection is cut. */
export type HttpHandler = (exchange: HttpExchange) => Promise<Response>;

/** Resolves when the answer is on its way. */
export async function serve(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: HttpHandler,
  how: { readonly stallMs: number; readonly continues: boolean; readonly viaSocket: boolean },
): Promise<void> {
  try {
    if (!METHODS.includes(incoming.method ?? "")) return refuse(incoming, outgoing, 405);
    // Bun's node:http asks for a host only where it listens itself (RFC 9112, 3.2).
    if (incoming.httpVersion === "1.1" && incoming.headers.host === undefined) return refuse(incoming, outgoing, 400);
    const exchange = new Exchange(incoming, outgoing, how);
    const response = await handler(exchange);
    await send(exchange, response, how.stallMs);
  } catch {
    incoming.socket.destroy();
  }
}

function refuse(incoming: IncomingMessage, outgoing: ServerResponse, status: number): void {
  outgoing.writeHead(status, { connection: "close" }).end();
  outgoing.on("close", () => incoming.socket.destroy());
}

class Exchange implements HttpExchange {
  readonly request: Request;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly viaSocket: boolean;
  gone = false;
  /** The body, if there is one, has been read to its end. */
  bodyRead: boolean;
  #continues: boolean;
  readonly #onGone: (() => void)[] = [];

  constructor(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    { continues, viaSocket }: { readonly continues: boolean; readonly viaSocket: boolean },
  ) {
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.viaSocket = viaSocket;
    this.#continues = continues;
    this.bodyRead = !hasBody(incoming);
    this.request = new Request(urlOf(incoming), { method: incoming.method ?? "GET", headers: headersOf(incoming) });
    outgoing.on("close", () => {
      this.gone = true;
      for (const act of this.#onGone.splice(0)) act();
    });
  }

  get remote(): Address {
    const { remoteAddress, remotePort } = this.incoming.socket;
    return { host: remoteAddress ?? "", port: remotePort ?? 0 };
  }

  get local(): Address {
    const { localAddress, localPort } = this.incoming.socket;
    return { host: localAddress ?? "", port: localPort ?? 0 };
  }

  onGone(act: () => void): void {
    if (this.gone) act();
    else this.#onGone.push(act);
  }

  async readBody(bytesMax: number): Promise<Uint8Array | null> {
    if (this.bodyRead) return new Uint8Array(0);
    const length = Number(this.incoming.headers["content-length"] ?? 0);
    if (length > bytesMax) return null;
    if (this.#continues) this.outgoing.writeContinue();
    this.#continues = false;
    const parts: Uint8Array[] = [];
    let count = 0;
    for await (const part of this.incoming) {
      const bytes = part as Uint8Array;
      count += bytes.length;
      if (count > bytesMax) return null;
      parts.push(bytes);
    }
    this.bodyRead = true;
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }
}

export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

/** The host that a client names is its own business and decides nothing here. */
function urlOf(incoming: IncomingMessage): string {
  const target = incoming.url ?? "/";
  return target.startsWith("/") ? `http://localhost${target}` : "http://localhost/";
}

function headersOf(incoming: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value === undefined) continue;
    try {
      headers.set(name, Array.isArray(value) ? value.join(", ") : value);
    } catch {
      // Bytes that no header may have mean nothing to us.
    }
  }
  return headers;
}

async function send(exchange: Exchange, response: Response, stallMs: number): Promise<void> {
  const { outgoing, incoming } = exchange;
  if (exchange.gone) {
    await response.body?.cancel().catch(() => {});
    return;
  }
  outgoing.statusCode = response.status;
  response.headers.forEach((value, name) => void outgoing.setHeader(name, value));
  // What was not read is not read any more: the next request could not be found behind it.
  if (!exchange.bodyRead) outgoing.setHeader("connection", "close");
  if (response.body === null || incoming.method === "HEAD") {
    await response.body?.cancel().catch(() => {});
    outgoing.end();
  } else {
    await sendBody(exchange, response.body.getReader(), stallMs);
  }
  if (!exchange.bodyRead) closeUnread(exchange);
}

/** Waits for a peer that reads slowly; one that does not read at all is cut off. */
async function sendBody(
  exchange: Exchange,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  stallMs: number,
): Promise<void> {
  const { outgoing } = exchange;
  exchange.onGone(() => void reader.cancel().catch(() => {}));
  for (;;) {
    const { done, value } = await reader.read();
    if (done || exchange.gone) break;
    if (outgoing.write(value)) continue;
    const drained = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), stallMs);
      const end = (result: boolean) => {
        clearTimeout(timer);
        resolve(result);
      };
      outgoing.once("drain", () => end(true));
      exchange.onGone(() => end(false));
    });
    if (!drained) {
      await reader.cancel().catch(() => {});
      exchange.incoming.socket.destroy();
      return;
    }
  }
  outgoing.end();
}

/** The answer is on its way; a peer that still sends gets a moment to read it. */
function closeUnread({ outgoing, incoming }: Exchange): void {
  const cut = setTimeout(() => incoming.socket.destroy(), CLOSE_MS_MAX);
  cut.unref();
  outgoing.on("close", () => clearTimeout(cut));
}
