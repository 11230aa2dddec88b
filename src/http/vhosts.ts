// Virtual hosts: what lies in them and goes through them.

import type { VirtualHost } from "../core/virtual_host.ts";
import { vhostShape } from "../core/management/shapes.ts";
import { answerList, listQuery } from "./list.ts";
import { Rates, ratesQuery } from "./rates.ts";
import type { Router } from "./router.ts";
import { z } from "@hono/zod-openapi";
import { created, noContent } from "./json.ts";
import { split } from "./users.ts";
import { listAnswer, switchSchema, vhostAnswer } from "./schemas.ts";
import type { HttpServices } from "./services.ts";
import { type Fields, shapeOne } from "./shape.ts";

const TAG = "Virtual hosts";
/** Where nobody has said otherwise. */
const CLASSIC = "classic";
const TRAFFIC = ["recv_oct", "send_oct"];

interface VhostContext {
  readonly rates: Rates;
  readonly services: HttpServices;
}

const vhostFields: Fields<VirtualHost, VhostContext> = {
  name: ({ name }) => name,
  description: (vhost) => vhostShape(vhost).description,
  tags: (vhost) => vhostShape(vhost).tags,
  metadata: (vhost) => ({ default_queue_type: CLASSIC, ...vhostShape(vhost).metadata }),
  default_queue_type: (vhost) => vhostShape(vhost).default_queue_type ?? CLASSIC,
  tracing: () => false,
  cluster_state: (_, { services }) => ({ [services.product.node]: "running" }),
  message_stats: (vhost, { rates, services }) => rates.messageStats(services.statistics.of(vhost.name).counters),
  ...lengthFields(),
  ...trafficFields(),
};

function lengthFields(): Fields<VirtualHost, VhostContext> {
  const fields: Record<string, (vhost: VirtualHost, context: VhostContext) => unknown> = {};
  for (const name of ["messages", "messages_ready", "messages_unacknowledged"]) {
    for (const field of [name, `${name}_details`]) {
      fields[field] = ({ name }, { rates, services }) => rates.lengthsOf(services.statistics.of(name).lengths)[field];
    }
  }
  return fields;
}

function trafficFields(): Fields<VirtualHost, VhostContext> {
  const fields: Record<string, (vhost: VirtualHost, context: VhostContext) => unknown> = {};
  for (const name of TRAFFIC) {
    for (const field of [name, `${name}_details`]) {
      fields[field] = (vhost, { rates, services }) => {
        return rates.all(services.statistics.of(vhost.name).traffic, TRAFFIC, rates.data)[field];
      };
    }
  }
  return fields;
}

const vhostBody = z.object({
  description: z.string().max(4096).optional(),
  tags: z.union([z.string(), z.array(z.string())]).optional().describe("a list, or a text with commas"),
  /** `undefined` is what RabbitMQ's console sends for none. */
  default_queue_type: z.enum(["classic", "quorum", "stream", "undefined"]).nullish(),
  tracing: switchSchema.optional().describe("without meaning: there is no tracing"),
}).openapi("VirtualHostRequest");

export function addVhosts(router: Router, services: HttpServices): void {
  const { statistics, management } = services;
  const contextOf = (query: ConstructorParameters<typeof Rates>[1]): VhostContext => {
    statistics.refresh();
    return { rates: new Rates(statistics.sampler, query), services };
  };
  router.add(
    "get",
    "/api/vhosts",
    {
      summary: "All virtual hosts",
      tag: TAG,
      query: listQuery.extend(ratesQuery.shape),
      answer: listAnswer(vhostAnswer),
    },
    ({ query, caller }) => {
      const nameOf = ({ name }: VirtualHost) => name;
      return answerList({ items: caller.knownVhosts, fields: vhostFields, context: contextOf(query), nameOf }, query);
    },
  );
  router.add(
    "get",
    "/api/vhosts/{name}",
    { summary: "One virtual host", tag: TAG, query: ratesQuery, answer: vhostAnswer },
    ({ params, query, caller }) => shapeOne(caller.knownVhost(params.name), vhostFields, contextOf(query), query),
  );
  router.add(
    "put",
    "/api/vhosts/{name}",
    {
      summary: "Make or change a virtual host; who makes it may do everything in it",
      tag: TAG,
      access: "administrator",
      body: vhostBody,
      statuses: [201, 204],
    },
    async ({ params, body, caller }) => {
      const { description, tags, default_queue_type: type } = body;
      const isNew = await management.putVhost(params.name, {
        ...(description === undefined ? {} : { description }),
        ...(tags === undefined ? {} : { tags: typeof tags === "string" ? split(tags) : tags }),
        ...(type === undefined ? {} : { defaultQueueType: type === "undefined" ? null : type }),
      }, caller.owner);
      return isNew ? created() : noContent();
    },
  );
  router.add(
    "delete",
    "/api/vhosts/{name}",
    { summary: "Delete a virtual host with all that is in it", tag: TAG, access: "administrator" },
    async ({ params }) => {
      await management.deleteVhost(params.name);
      statistics.registry.forget(params.name);
    },
  );
}
