// The whole HTTP API: every route, behind the headers that every answer has.

import type { Context } from "hono";
import { VERSION } from "../version.ts";
import type { HttpHandler } from "../runtime/http_exchange.ts";
import { BasicAuthenticator } from "./authenticator.ts";
import { addBindings } from "./bindings.ts";
import { addConnections } from "./connections.ts";
import { addConsumers } from "./consumers.ts";
import { addDocument } from "./document.ts";
import { addExchanges } from "./exchanges.ts";
import { addFeatures } from "./features.ts";
import { addHealth } from "./health.ts";
import { addLogStream } from "./log_stream.ts";
import { addMessages } from "./messages.ts";
import { addMetrics } from "./metrics_routes.ts";
import { addOverview, productName } from "./overview.ts";
import { addQueues } from "./queues.ts";
import { type HttpEnv, Router } from "./router.ts";
import type { HttpServices } from "./services.ts";
import { addDefinitions } from "./definitions.ts";
import { addPolicies } from "./policies.ts";
import { addTail } from "./tail.ts";
import { addUsers } from "./users.ts";
import { addVhosts } from "./vhosts.ts";

/** Nothing from elsewhere, no script that is not a file of ours, no frame around it. */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

export function buildApi(services: HttpServices): { readonly handler: HttpHandler; readonly router: Router } {
  const authenticator = new BasicAuthenticator(services.management);
  const router = new Router(authenticator, services.report);
  router.app.use("*", async (context: Context<HttpEnv>, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!context.res.headers.has(name)) context.res.headers.set(name, value);
    }
  });
  addOverview(router, services);
  addQueues(router, services);
  addExchanges(router, services);
  addBindings(router, services);
  addConsumers(router, services);
  addConnections(router, services);
  addVhosts(router, services);
  addUsers(router, services);
  addPolicies(router, services);
  addDefinitions(router, services);
  addMessages(router, services);
  addTail(router);
  addHealth(router, services);
  addFeatures(router, services, authenticator);
  addLogStream(router, services);
  addMetrics(router, services, "monitoring");
  addDocument(router, {
    title: `${productName(services.product.name)} HTTP API`,
    version: VERSION,
    description: "RabbitMQ's HTTP API, as far as it is served here.",
  });
  router.close();
  return { router, handler: (exchange) => router.answer(exchange) };
}
