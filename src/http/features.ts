// What tools ask to find out what a broker can: feature flags, deprecated features, how one logs in; and small helpers.

import { z } from "@hono/zod-openapi";
import { hashPassword } from "../core/identity/password_hash.ts";
import type { BasicAuthenticator } from "./authenticator.ts";
import { badRequest, notFound } from "./problem.ts";
import type { Router } from "./router.ts";
import type { HttpServices } from "./services.ts";

const TAG = "Broker";
/** What clients look for before they use it, and is there. */
const FLAGS: readonly (readonly [name: string, description: string])[] = [
  ["classic_queue_type_delivery_support", "Deliveries of classic queues"],
  ["direct_exchange_routing_v2", "Routing by direct exchanges without a scan"],
  ["quorum_queue", "Queues of type quorum are accepted"],
  ["stream_queue", "Queues of type stream"],
  ["stream_filtering", "Filters of streams"],
  ["user_limits", "Limits of users"],
  ["virtual_host_metadata", "Descriptions and tags of virtual hosts"],
];

export function addFeatures(router: Router, services: HttpServices, authenticator: BasicAuthenticator): void {
  const { product, statistics } = services;
  const loose = z.array(z.looseObject({}));
  router.add("get", "/api/feature-flags", { summary: "Feature flags", tag: TAG, answer: loose }, () => {
    return FLAGS.map(([name, desc]) => ({
      name,
      desc,
      doc_url: "",
      state: "enabled",
      stability: "stable",
      provided_by: product.name,
    }));
  });
  router.add(
    "put",
    "/api/feature-flags/{name}/enable",
    { summary: "Enable a feature flag: all are", tag: TAG, access: "administrator" },
    ({ params }) => {
      if (FLAGS.every(([name]) => name !== params.name)) throw badRequest("unsupported");
    },
  );
  for (const path of ["/api/deprecated-features", "/api/deprecated-features/used"] as const) {
    router.add("get", path, { summary: "Deprecated features: none", tag: TAG, answer: loose }, () => []);
  }
  router.add(
    "get",
    "/api/auth",
    { summary: "How one logs in", tag: TAG, access: "none", answer: z.object({ oauth_enabled: z.boolean() }) },
    () => ({ oauth_enabled: false }),
  );
  router.add(
    "get",
    "/api/auth/attempts/{node}",
    { summary: "Attempts to log in over HTTP", tag: TAG, access: "monitoring", answer: loose },
    ({ params }) => {
      if (params.node !== product.node) throw notFound();
      const { attempts, failed } = authenticator.attempts;
      const counts = {
        auth_attempts: attempts,
        auth_attempts_failed: failed,
        auth_attempts_succeeded: attempts - failed,
      };
      return [{ protocol: "http", ...counts }];
    },
  );
  router.add(
    "get",
    "/api/auth/attempts/{node}/source",
    { summary: "The same by where they come from: not counted", tag: TAG, access: "monitoring", answer: loose },
    ({ params }) => {
      if (params.node !== product.node) throw notFound();
      return [];
    },
  );
  const hash = z.object({ ok: z.string() });
  router.add(
    "get",
    "/api/auth/hash_password/{password}",
    { summary: "A password as definitions hold it", tag: TAG, access: "administrator", answer: hash },
    ({ params }) => ({ ok: hashPassword(params.password).hash }),
  );
  router.add(
    "put",
    "/api/auth/hash_password",
    {
      summary: "A password as definitions hold it, without it standing in an address",
      tag: TAG,
      access: "administrator",
      body: z.object({ password: z.string().min(1) }).openapi("Password"),
      answer: z.object({ password_hash: z.string() }),
    },
    ({ body }) => ({ password_hash: hashPassword(body.password).hash }),
  );
  router.add(
    "post",
    "/api/rebalance/queues",
    { summary: "Spread queues over nodes: there is one", tag: TAG, access: "administrator" },
    () => undefined,
  );
  const reset = () => {
    statistics.sampler.reset();
  };
  router.add(
    "delete",
    "/api/reset",
    { summary: "Forget all samples; counters stay", tag: TAG, access: "administrator" },
    reset,
  );
  router.add(
    "delete",
    "/api/reset/{node}",
    { summary: "Forget a node's samples", tag: TAG, access: "administrator" },
    ({ params }) => {
      if (params.node !== product.node) throw notFound();
      reset();
    },
  );
}
