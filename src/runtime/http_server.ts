// The seam for HTTP: a server with hard bounds. It stands on node:http on both runtimes, because of the three ways there
// are (Bun.serve, Deno.serve, node:http) that one alone keeps all of them on both: an absolute deadline for headers and
// for the whole request, a cap on header bytes, a cap on connections. Bodies are read only when they are asked for.

import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import process from "node:process";
import {
  HTTP_CONNECTIONS_MAX,
  HTTP_HEADER_BYTES_MAX,
  HTTP_HEADERS_MS_MAX,
  HTTP_IDLE_MS_MAX,
  HTTP_REQUEST_MS_MAX,
  HTTP_STALL_MS_MAX,
} from "../limits.ts";
import { addressReason, addressText, resolveHost } from "./address.ts";
import { ListenFault } from "./fault.ts";
import type { Address } from "./runtime.ts";

/** How often deadlines are looked at, milliseconds. */
const CHECK_MS = 1_000;
/** How long requests that are being answered may take to end when the server closes. */
const CLOSE_MS_MAX = 1_000;
/** A path that the kernel takes for a Unix socket, bytes: 108 with the zero at its end. */
const SOCKET_PATH_BYTES_MAX = 107;
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

export interface HttpServer {
  /** What was really bound. */
  readonly address: Address;
  /** Open connections. */
  readonly connectionCount: number;
  /** Accepts no more; answers under way may end, for a moment, then all connections are cut. */
  close(): Promise<void>;
}

export interface HttpServerLimits {
  readonly connectionsMax: number;
  readonly headersMs: number;
  readonly requestMs: number;
  readonly stallMs: number;
}

const LIMITS: HttpServerLimits = {
  connectionsMax: HTTP_CONNECTIONS_MAX,
  headersMs: HTTP_HEADERS_MS_MAX,
  requestMs: HTTP_REQUEST_MS_MAX,
  stallMs: HTTP_STALL_MS_MAX,
};

/** Listens; port 0 picks a free one. Rejects with a ListenFault that names address and reason. */
export async function listenHttp(
  address: Address,
  handler: HttpHandler,
  limits: HttpServerLimits = LIMITS,
): Promise<HttpServer> {
  const { server, sockets } = serverFor(handler, limits, false);
  const host = await resolveHost(address.host);
  await listening(server, addressText(address.host, address.port), () => server.listen(address.port, host));
  const bound = server.address() as AddressInfo;
  return serverOf(server, sockets, { host: bound.address, port: bound.port });
}

/**
 * Listens on a Unix socket that only the user of this process may open. What a process that was killed has left there is
 * replaced: the directory is the caller's. Rejects with a ListenFault.
 */
export async function listenHttpSocket(
  path: string,
  handler: HttpHandler,
  limits: HttpServerLimits = LIMITS,
): Promise<HttpServer> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw new ListenFault(`cannot listen on ${path}: a socket's path has at most ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  const { server, sockets } = serverFor(handler, limits, true);
  await listening(server, path, () => {
    rmSync(path, { force: true });
    // From its first moment on, not only when its mode is changed.
    const before = process.umask(0o177);
    try {
      server.listen(path);
    } finally {
      process.umask(before);
    }
  });
  chmodSync(path, 0o600);
  return serverOf(server, sockets, { host: path, port: 0 });
}

function serverFor(
  handler: HttpHandler,
  limits: HttpServerLimits,
  viaSocket: boolean,
): { server: Server; sockets: Set<Socket> } {
  const server = createServer({
    maxHeaderSize: HTTP_HEADER_BYTES_MAX,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: Math.min(CHECK_MS, limits.headersMs),
    keepAliveTimeout: HTTP_IDLE_MS_MAX,
  });
  server.maxConnections = limits.connectionsMax;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  });
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse, continues: boolean) => {
    void serve(incoming, outgoing, handler, { stallMs: limits.stallMs, continues, viaSocket });
  };
  // No WebSocket yet: whoever asks for an upgrade is answered as if it had not.
  server.on("request", (incoming, outgoing) => answer(incoming, outgoing, false));
  server.on("checkContinue", (incoming, outgoing) => answer(incoming, outgoing, true));
  return { server, sockets };
}

async function listening(server: Server, text: string, listen: () => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown) => {
      reject(new ListenFault(`cannot listen on ${text}: ${addressReason(error)}`, { cause: error }));
    };
    server.once("error", fail);
    server.once("listening", () => resolve());
    try {
      listen();
    } catch (error) {
      fail(error);
    }
  });
  server.on("error", () => {});
}

function serverOf(server: Server, sockets: Set<Socket>, address: Address): HttpServer {
  return {
    address,
    get connectionCount() {
      return sockets.size;
    },
    close: () => closeServer(server, sockets),
  };
}

async function closeServer(server: Server, sockets: Set<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, CLOSE_MS_MAX));
  await Promise.race([closed, late]);
  clearTimeout(timer);
  server.closeAllConnections();
  for (const socket of sockets) socket.destroy();
}

async function serve(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: HttpHandler,
  how: { readonly stallMs: number; readonly continues: boolean; readonly viaSocket: boolean },
): Promise<void> {
  try {
    if (!METHODS.includes(incoming.method ?? "")) return refuseMethod(incoming, outgoing);
    const exchange = new Exchange(incoming, outgoing, how);
    const response = await handler(exchange);
    await send(exchange, response, how.stallMs);
  } catch {
    incoming.socket.destroy();
  }
}

function refuseMethod(incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.writeHead(405, { connection: "close" }).end();
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
    const length = incoming.headers["content-length"];
    this.bodyRead = incoming.headers["transfer-encoding"] === undefined && (length === undefined || length === "0");
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
