// The name of the broker among others: its node's until somebody gives it another, which is a global parameter as with
// RabbitMQ, so that definitions files hold it.

import { z } from "@hono/zod-openapi";
import { noContent } from "./json.ts";
import type { Router } from "./router.ts";
import type { HttpServices } from "./services.ts";

const PARAMETER = "cluster_name";

export function clusterName({ management, product }: Pick<HttpServices, "management" | "product">): string {
  const given = management.getGlobalParameter(PARAMETER);
  return typeof given === "string" ? given : product.node;
}

export function addClusterName(router: Router, services: HttpServices): void {
  const path = "/api/cluster-name";
  const name = z.object({ name: z.string() });
  router.add("get", path, { summary: "The broker's name", tag: "Broker", answer: name }, () => {
    return { name: clusterName(services) };
  });
  router.add(
    "put",
    path,
    { summary: "Name the broker", tag: "Broker", access: "administrator", body: name.openapi("ClusterName") },
    async ({ body }) => {
      await services.management.putGlobalParameter(PARAMETER, body.name);
      return noContent();
    },
  );
}
