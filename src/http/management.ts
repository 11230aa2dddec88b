// The listeners for HTTP: the API, over TLS too where there is a certificate, and apart from it, on a port of its own and
// without a password, what Prometheus reads.

import type { HttpHandler } from "../runtime/http_exchange.ts";
import { type HttpServer, listenHttp, listenHttpSocket } from "../runtime/http_server.ts";
import type { Address } from "../runtime/runtime.ts";
import type { HttpServices } from "./services.ts";

/** What answers the API's requests, for all listeners. */
export function apiHandler(services: HttpServices): HttpHandler {
  return whenAsked(async () => (await import("./api.ts")).buildApi(services).handler);
}

/**
 * On a Unix socket. It is for comfort: that it cannot be had is said, and ends nothing.
 */
export async function listenOnSocket(
  path: string,
  handler: HttpHandler,
  { report }: HttpServices,
): Promise<HttpServer | null> {
  try {
    return await listenHttpSocket(path, handler);
  } catch (error) {
    report(`no local socket: ${(error as Error).message}`);
    return null;
  }
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
