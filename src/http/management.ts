// The listeners for HTTP: the API, and apart from it, on a port of its own and without a password, what Prometheus reads.

import { type HttpHandler, type HttpServer, listenHttp, listenHttpSocket } from "../runtime/http_server.ts";
import type { Address } from "../runtime/runtime.ts";
import type { HttpServices } from "./services.ts";

/**
 * On an address, and on a Unix socket where `socketPath` names one; that one is for comfort, and that it cannot be had ends
 * nothing. Rejects with a ListenFault.
 */
export async function listenForApi(
  address: Address,
  services: HttpServices,
  socketPath: string | null,
): Promise<HttpServer> {
  const handler = whenAsked(async () => (await import("./api.ts")).buildApi(services).handler);
  const server = await listenHttp(address, handler);
  if (socketPath === null) return server;
  let local: HttpServer;
  try {
    local = await listenHttpSocket(socketPath, handler);
  } catch (error) {
    services.report(`no local socket: ${(error as Error).message}`);
    return server;
  }
  return {
    address: server.address,
    get connectionCount() {
      return server.connectionCount + local.connectionCount;
    },
    close: async () => void await Promise.all([server.close(), local.close()]),
  };
}

/** Rejects with a ListenFault. */
export function listenForMetrics(address: Address, services: HttpServices): Promise<HttpServer> {
  return listenHttp(address, whenAsked(async () => (await import("./metrics_server.ts")).buildMetrics(services)));
}

/**
 * A handler that is made for the first request: routes and their schemas take a tenth of a second and some MiB, which a
 * start, and a broker that nobody looks at, need not pay.
 */
function whenAsked(make: () => Promise<HttpHandler>): HttpHandler {
  let handler: Promise<HttpHandler> | null = null;
  return async (exchange) => (await (handler ??= make()))(exchange);
}
