// The seam for HTTP: a server with hard bounds. It stands on node:http on both runtimes, because of the three ways there
// are (Bun.serve, Deno.serve, node:http) that one alone keeps all of them on both: an absolute deadline for headers and
// for the whole request, a cap on header bytes, a cap on connections. Bodies are read only when they are asked for.

import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
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
import { CLOSE_MS_MAX, type HttpHandler, serve } from "./http_exchange.ts";
import type { Address } from "./runtime.ts";

/** How often deadlines are looked at, milliseconds. */
const CHECK_MS = 1_000;
/** A path that the kernel takes for a Unix socket, bytes: 108 with the zero at its end. */
const SOCKET_PATH_BYTES_MAX = 107;

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

export const HTTP_SERVER_LIMITS: HttpServerLimits = {
  connectionsMax: HTTP_CONNECTIONS_MAX,
  headersMs: HTTP_HEADERS_MS_MAX,
  requestMs: HTTP_REQUEST_MS_MAX,
  stallMs: HTTP_STALL_MS_MAX,
};

/** Listens; port 0 picks a free one. Rejects with a ListenFault that names address and reason. */
export async function listenHttp(
  address: Address,
  handler: HttpHandler,
  limits: HttpServerLimits = HTTP_SERVER_LIMITS,
): Promise<HttpServer> {
  const { server, sockets } = serverFor(handler, limits, false);
  const host = await resolveHost(address.host);
  await listening(server, addressText(address.host, address.port), () => server.listen(address.port, host));
  const bound = server.address() as AddressInfo;
  return serverOf(server, sockets, { host: bound.address, port: bound.port }, () => server.closeIdleConnections());
}

/**
 * Listens on a Unix socket that only the user of this process may open. What a process that was killed has left there is
 * replaced: the directory is the caller's. Rejects with a ListenFault.
 */
export async function listenHttpSocket(
  path: string,
  handler: HttpHandler,
  limits: HttpServerLimits = HTTP_SERVER_LIMITS,
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
  return serverOf(server, sockets, { host: path, port: 0 }, () => server.closeIdleConnections());
}

function serverFor(
  handler: HttpHandler,
  limits: HttpServerLimits,
  viaSocket: boolean,
): { server: Server; sockets: Set<Socket> } {
  const server = createServer(serverOptions(limits));
  server.maxConnections = limits.connectionsMax;
  answerWith(server, handler, limits, viaSocket);
  return { server, sockets: socketsOf(server) };
}

/** The bounds that node:http keeps by itself. */
export function serverOptions(limits: HttpServerLimits): ServerOptions {
  return {
    maxHeaderSize: HTTP_HEADER_BYTES_MAX,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: Math.min(CHECK_MS, limits.headersMs),
    keepAliveTimeout: HTTP_IDLE_MS_MAX,
  };
}

/** Those that are open, as of now. */
export function socketsOf(server: NetServer): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  });
  return sockets;
}

export function answerWith(
  server: Server,
  handler: HttpHandler,
  { stallMs }: HttpServerLimits,
  viaSocket: boolean,
): void {
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse, continues: boolean) => {
    void serve(incoming, outgoing, handler, { stallMs, continues, viaSocket });
  };
  // No WebSocket yet: whoever asks for an upgrade is answered as if it had not.
  server.on("request", (incoming, outgoing) => answer(incoming, outgoing, false));
  server.on("checkContinue", (incoming, outgoing) => answer(incoming, outgoing, true));
}

/** Rejects with a ListenFault that begins with what `text` names. */
export async function listening(server: NetServer, text: string, listen: () => void): Promise<void> {
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

/** `closeIdle`: cuts off who asks for nothing. */
export function serverOf(
  server: NetServer,
  sockets: Set<Socket>,
  address: Address,
  closeIdle: () => void,
): HttpServer {
  return {
    address,
    get connectionCount() {
      return sockets.size;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closeIdle();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => timer = setTimeout(resolve, CLOSE_MS_MAX));
      await Promise.race([closed, late]);
      clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
}
