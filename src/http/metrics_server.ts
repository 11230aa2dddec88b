// Metrics by themselves: for a scraper on a port that only it can reach.

import type { HttpHandler } from "../runtime/http_exchange.ts";
import { BasicAuthenticator } from "./authenticator.ts";
import { addMetrics } from "./metrics_routes.ts";
import { Router } from "./router.ts";
import type { HttpServices } from "./services.ts";

export function buildMetrics(services: HttpServices): HttpHandler {
  const router = new Router(new BasicAuthenticator(services.management), services.report);
  addMetrics(router, services, "none");
  router.close();
  return (exchange) => router.answer(exchange);
}
