// HTTPS, with the bounds of http_server.ts. On Deno node:https keeps all of them. On Bun it tells of a connection only when
// its handshake is done, so that whoever never ends one could hold sockets without end, and it takes no new certificate: there
// a connection comes to a plain TCP listener, is wrapped by node:tls and handed to node:http, which then keeps no deadlines;
// `HttpsDeadlines` does.

import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import process from "node:process";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { TLS_HANDSHAKE_MS_MAX } from "../limits.ts";
import { addressText, resolveHost } from "./address.ts";
import type { HttpHandler } from "./http_exchange.ts";
import {
  answerWith,
  HTTP_SERVER_LIMITS,
  type HttpServer,
  type HttpServerLimits,
  listening,
  serverOf,
  serverOptions,
  socketsOf,
} from "./http_server.ts";
import { HttpsDeadlines } from "./https_deadlines.ts";
import type { Address } from "./runtime.ts";
import type { TlsIdentity } from "./tls_identity.ts";

export interface HttpsServer extends HttpServer {
  /** Connections from now on are shown this one; those that are open go on. */
  renew(identity: TlsIdentity): void;
}

export interface HttpsServerLimits extends HttpServerLimits {
  readonly handshakeMs: number;
}

const LIMITS: HttpsServerLimits = { ...HTTP_SERVER_LIMITS, handshakeMs: TLS_HANDSHAKE_MS_MAX };

/** Listens; port 0 picks a free one. Rejects with a ListenFault that names address and reason. */
export async function listenHttps(
  address: Address,
  identity: TlsIdentity,
  handler: HttpHandler,
  limits: HttpsServerLimits = LIMITS,
): Promise<HttpsServer> {
  const host = await resolveHost(address.host);
  const text = addressText(address.host, address.port);
  const place = { host, port: address.port, text };
  const listen = process.versions.bun === undefined ? listenWhole : listenInParts;
  return await listen(place, identity, handler, limits);
}

interface Place extends Address {
  /** As it was given. */
  readonly text: string;
}

function secretsOf({ certificate, key, files }: TlsIdentity): {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
} {
  return { cert: certificate, key, minVersion: `TLSv${files.versionMin}` };
}

async function listenWhole(
  { host, port, text }: Place,
  identity: TlsIdentity,
  handler: HttpHandler,
  limits: HttpsServerLimits,
): Promise<HttpsServer> {
  const server = createHttpsServer({
    ...serverOptions(limits),
    ...secretsOf(identity),
    handshakeTimeout: limits.handshakeMs,
  });
  server.maxConnections = limits.connectionsMax;
  const sockets = socketsOf(server);
  server.on("secureConnection", (socket) => socket.on("error", () => socket.destroy()));
  answerWith(server as Server, handler, limits, false);
  await listening(server, text, () => server.listen(port, host));
  const bound = server.address() as AddressInfo;
  const address = { host: bound.address, port: bound.port };
  const whole = serverOf(server, sockets, address, () => server.closeIdleConnections());
  return Object.assign(whole, { renew: (next: TlsIdentity) => server.setSecureContext(secretsOf(next)) });
}

async function listenInParts(
  { host, port, text }: Place,
  identity: TlsIdentity,
  handler: HttpHandler,
  limits: HttpsServerLimits,
): Promise<HttpsServer> {
  let context: SecureContext = createSecureContext(secretsOf(identity));
  const http = createHttpServer(serverOptions(limits));
  const deadlines = new HttpsDeadlines(http, limits);
  answerWith(http, handler, limits, false);
  const tcp = createTcpServer((socket) => wrap(socket, context, deadlines, http));
  tcp.maxConnections = limits.connectionsMax;
  const sockets = socketsOf(tcp);
  await listening(tcp, text, () => tcp.listen(port, host));
  const bound = tcp.address() as AddressInfo;
  const address = { host: bound.address, port: bound.port };
  const whole = serverOf(tcp, sockets, address, () => deadlines.closeIdle());
  return Object.assign(whole, { renew: (next: TlsIdentity) => void (context = createSecureContext(secretsOf(next))) });
}

function wrap(socket: Socket, secureContext: SecureContext, deadlines: HttpsDeadlines, http: Server): void {
  const secure = new TLSSocket(socket, { isServer: true, secureContext });
  deadlines.watch(secure, socket);
  secure.on("error", () => socket.destroy());
  secure.on("close", () => socket.destroy());
  secure.once("secure", () => {
    http.emit("connection", secure);
    deadlines.secured(secure);
  });
}
