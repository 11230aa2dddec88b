// The listeners for HTTP: the API, and apart from it, on a port of its own and without a password, what Prometheus reads.

import { type HttpServer, listenHttp } from "../runtime/http_server.ts";
import type { Address } from "../runtime/runtime.ts";
import { buildApi } from "./api.ts";
import { buildMetrics } from "./metrics_server.ts";
import type { HttpServices } from "./services.ts";

/** Rejects with a ListenFault. */
export function listenForApi(address: Address, services: HttpServices): Promise<HttpServer> {
  return listenHttp(address, buildApi(services).handler);
}

/** Rejects with a ListenFault. */
export function listenForMetrics(address: Address, services: HttpServices): Promise<HttpServer> {
  return listenHttp(address, buildMetrics(services));
}
