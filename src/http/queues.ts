// Queues: lists, one, declare, delete, purge, and what LavinMQ adds: pause, resume, restart.

import { z } from "@hono/zod-openapi";
import type { AnyQueue } from "../core/any_queue.ts";
import { Queue } from "../core/queue.ts";
import { Stream } from "../core/stream.ts";
import { jsonOfArguments } from "../core/json_arguments.ts";
import { effectivePolicyShape } from "../core/management/shapes.ts";
import type { Caller } from "./access.ts";
import { argumentsOf } from "./arguments.ts";
import { authorizeDeclare } from "./declare.ts";
import { bindingFields } from "./bindings.ts";
import { consumerFields, consumersOf } from "./consumers.ts";
import { declared } from "./durable.ts";
import { answerList, listQuery } from "./list.ts";
import { accessRefused, badRequest, notFound } from "./problem.ts";
import { Rates, ratesQuery } from "./rates.ts";
import type { Router } from "./router.ts";
import { argumentsSchema, bindingAnswer, flagQuery, listAnswer, queueAnswer, switchSchema } from "./schemas.ts";
import type { HttpServices } from "./services.ts";
import { type FieldPath, type Fields, shape, shapeOne } from "./shape.ts";
import { type InVhost, inVhosts } from "./vhost_items.ts";

const TAG = "Queues";

export interface QueueContext {
  readonly node: string;
  readonly rates: Rates;
}

type Item = InVhost<AnyQueue>;

/** In the order of RabbitMQ's lists. */
const queueFields: Fields<Item, QueueContext> = {
  name: ({ item }) => item.name,
  vhost: ({ vhost }) => vhost.name,
  arguments: ({ item }) => jsonOfArguments(item.args),
  auto_delete: ({ item }) => item.autoDelete,
  durable: ({ item }) => item.durable,
  exclusive: ({ item }) => item.owner !== null,
  type: ({ item }) => item.settings.type,
  node: (_, { node }) => node,
  state: ({ item }) => stateOf(item),
  policy: ({ item }) => effectivePolicyShape(item.policy).policy,
  operator_policy: ({ item }) => effectivePolicyShape(item.policy).operator_policy,
  effective_policy_definition: ({ item }) => effectivePolicyShape(item.policy).effective_policy_definition,
  consumers: ({ item }) => item.consumers.length,
  consumer_capacity: ({ item }) => capacityOf(item),
  consumer_utilisation: ({ item }) => capacityOf(item),
  exclusive_consumer_tag: ({ item }) => item.consumers.find(({ exclusive }) => exclusive)?.shown?.tag ?? null,
  single_active_consumer_tag: ({ item }) => singleActiveTag(item),
  messages: ({ item: { counters: { messages } } }) => messages.readyCount + messages.unackedCount,
  messages_details: ({ item }, { rates }) => rates.lengthOf(item.counters),
  messages_ready: ({ item: { counters: { messages } } }) => messages.readyCount,
  messages_ready_details: ({ item }, { rates }) => rates.of(item.counters, "messages_ready", rates.lengths),
  messages_unacknowledged: ({ item: { counters: { messages } } }) => messages.unackedCount,
  messages_unacknowledged_details: ({ item }, { rates }) => {
    return rates.of(item.counters, "messages_unacknowledged", rates.lengths);
  },
  message_bytes: ({ item }) => bytesOf(item).ready + bytesOf(item).unacknowledged,
  message_bytes_ready: ({ item }) => bytesOf(item).ready,
  message_bytes_unacknowledged: ({ item }) => bytesOf(item).unacknowledged,
  message_bytes_persistent: ({ item }) => item.durable ? bytesOf(item).ready + bytesOf(item).unacknowledged : 0,
  message_bytes_ram: () => 0,
  message_bytes_paged_out: ({ item }) => bytesOf(item).ready + bytesOf(item).unacknowledged,
  messages_persistent: ({ item }) =>
    item.durable ? item.counters.messages.readyCount + item.counters.messages.unackedCount : 0,
  messages_ram: () => 0,
  messages_ready_ram: () => 0,
  messages_unacknowledged_ram: () => 0,
  messages_paged_out: ({ item: { counters: { messages } } }) => messages.readyCount + messages.unackedCount,
  message_stats: ({ item }, { rates }) => rates.messageStats(item.counters),
  head_message_timestamp: () => null,
  memory: () => 0,
  reductions: () => 0,
  reductions_details: () => ({ rate: 0 }),
  storage_version: () => 2,
  delivery_limit: ({ item }) => item.settings.type === "quorum" ? deliveryLimitOf(item) : undefined,
  leader: ({ item }, { node }) => item.settings.type === "classic" ? undefined : node,
  members: ({ item }, { node }) => item.settings.type === "classic" ? undefined : [node],
  online: ({ item }, { node }) => item.settings.type === "classic" ? undefined : [node],
  readers: ({ item }, { node }) => item instanceof Stream ? { [node]: item.consumers.length } : undefined,
};

/** A queue by itself also says who consumes, and how it is bound. */
const oneQueueFields: Fields<Item, QueueContext> = {
  ...queueFields,
  consumer_details: (item, context) => {
    return [...consumersOf([item])].map((consumer) => shape(consumer, consumerFields, { node: context.node }));
  },
  owner_pid_details: ({ item }) => ownerOf(item),
  garbage_collection: () => ({
    fullsweep_after: 0,
    max_heap_size: 0,
    min_bin_vheap_size: 0,
    min_heap_size: 0,
    minor_gcs: 0,
  }),
  deliveries: () => [],
  incoming: () => [],
};

function keyOf(path: FieldPath, { rates }: QueueContext): ((item: Item) => unknown) | null {
  const key = rates.keyAt(path);
  return key === null ? null : ({ item }) => key.of(item.counters);
}

interface QueueCall {
  readonly params: { readonly vhost: string; readonly name: string };
  readonly caller: Caller;
}
type FindQueue = (call: QueueCall) => Item;

const declareBody = z.object({
  durable: switchSchema.default(false),
  auto_delete: switchSchema.default(false),
  arguments: argumentsSchema,
  node: z.string().optional(),
}).openapi("QueueDeclaration");

/** Names of the broker's own making. */
const RESERVED = "amq.";
/** Of what HTTP declares nothing is exclusive. */
export const NOBODY = {};

export function addQueues(router: Router, services: HttpServices): void {
  const { statistics, product } = services;
  const contextOf = (query: Partial<z.output<typeof ratesQuery>>): QueueContext => {
    return { node: product.node, rates: new Rates(statistics.sampler, query) };
  };
  const find: FindQueue = ({ params, caller }) => {
    const vhost = caller.vhost(params.vhost);
    const queue = vhost.queues.get(params.name);
    if (queue === undefined) throw notFound();
    return { vhost, item: queue };
  };
  const query = listQuery.extend(ratesQuery.shape);
  const answer = listAnswer(queueAnswer);
  for (
    const [path, summary] of [["/api/queues", "All queues"], [
      "/api/queues/detailed",
      "All queues, all fields",
    ]] as const
  ) {
    router.add("get", path, { summary, tag: TAG, query, answer }, ({ query, caller }) => {
      return answerList({
        items: inVhosts(caller.vhosts, ({ queues }) => queues.values()),
        fields: path === "/api/queues" ? queueFields : oneQueueFields,
        context: contextOf(query),
        nameOf: ({ item }) => item.name,
        groupOf: ({ vhost }) => vhost.name,
        keyOf,
      }, query);
    });
  }
  router.add("get", "/api/queues/{vhost}", { summary: "Queues of a virtual host", tag: TAG, query, answer }, (call) => {
    const vhost = call.caller.vhost(call.params.vhost);
    const items = [...vhost.queues.values()].map((item) => ({ vhost, item }));
    return answerList({
      items,
      fields: queueFields,
      context: contextOf(call.query),
      nameOf: ({ item }) => item.name,
      keyOf,
    }, call.query);
  });
  router.add(
    "get",
    "/api/queues/{vhost}/{name}",
    { summary: "One queue", tag: TAG, query: ratesQuery, answer: queueAnswer },
    (call) => shapeOne(find(call), oneQueueFields, contextOf(call.query), call.query),
  );
  router.add(
    "put",
    "/api/queues/{vhost}/{name}",
    { summary: "Declare a queue", tag: TAG, body: declareBody, statuses: [201, 204] },
    ({ params, body, caller }) => {
      const vhost = caller.vhostToChange(params.vhost);
      const before = vhost.queues.has(params.name);
      checkName(params.name);
      if (!before && params.name.startsWith(RESERVED)) throw accessRefused();
      const args = argumentsOf(body.arguments);
      authorizeDeclare(caller.session(vhost), "queue", params.name, before, args.get("x-dead-letter-exchange"));
      const declaration = {
        durable: body.durable,
        autoDelete: body.auto_delete,
        exclusive: false,
        args,
      };
      const { durable } = vhost.declareQueue(params.name, declaration, NOBODY);
      return declared(services, before, durable);
    },
  );
  const deleteQuery = z.object({ "if-unused": flagQuery, "if-empty": flagQuery });
  router.add(
    "delete",
    "/api/queues/{vhost}/{name}",
    { summary: "Delete a queue", tag: TAG, query: deleteQuery },
    async (call) => {
      const { vhost, item } = find(call);
      const { query, caller } = call;
      caller.authorize(vhost, "configure", "queue", item.name);
      const conditions = { ifUnused: query["if-unused"], ifEmpty: query["if-empty"] };
      // What belongs to a connection is its own affair.
      vhost.usableQueue(item.name, NOBODY);
      const { durable } = vhost.deleteQueue(item, conditions);
      return await declared(services, true, durable);
    },
  );
  router.add(
    "delete",
    "/api/queues/{vhost}/{name}/contents",
    { summary: "Purge a queue", tag: TAG },
    (call) => {
      const { vhost, item } = find(call);
      call.caller.authorize(vhost, "read", "queue", item.name);
      // What belongs to a connection is its own affair.
      vhost.usableQueue(item.name, NOBODY);
      item.purge();
      services.turn.schedule();
    },
  );
  router.add(
    "get",
    "/api/queues/{vhost}/{name}/bindings",
    { summary: "Bindings that lead to a queue", tag: TAG, query: listQuery, answer: listAnswer(bindingAnswer) },
    (call) => {
      const { vhost, item } = find(call);
      const byDefault = { source: null, destination: item, routingKey: item.name, args: new Map() };
      return answerList({
        items: [byDefault, ...item.boundFrom].map((binding) => ({ vhost, item: binding })),
        fields: bindingFields,
        context: null,
        nameOf: ({ item }) => item.source?.name ?? "",
      }, call.query);
    },
  );
  addSwitches(router, services, find);
}

function addSwitches(
  router: Router,
  services: HttpServices,
  find: FindQueue,
): void {
  const acts = {
    pause: "Hold a queue's messages back",
    resume: "Let a paused queue go on",
    restart: "Close a queue's files and open them anew, and let it go on",
  } as const;
  const act = async (call: QueueCall, verb: keyof typeof acts): Promise<Response> => {
    const { vhost, item } = find(call);
    call.caller.authorize(vhost, "configure", "queue", item.name);
    if (!(item instanceof Queue)) throw badRequest(`a queue of type ${item.settings.type} cannot be told to ${verb}`);
    if (verb === "restart") item.store.cool();
    return await declared(services, true, vhost.setPaused(item, verb === "pause"));
  };
  for (const verb of Object.keys(acts) as (keyof typeof acts)[]) {
    router.add(
      "put",
      `/api/queues/{vhost}/{name}/${verb}`,
      { summary: acts[verb], tag: TAG },
      (call) => act(call, verb),
    );
  }
  const body = z.object({ action: z.string().default("") }).openapi("QueueAction");
  router.add(
    "post",
    "/api/queues/{vhost}/{name}/actions",
    { summary: "Act on a queue: pause, resume, restart; sync and cancel_sync are done already", tag: TAG, body },
    (call) => {
      const { action } = call.body;
      find(call);
      // Of mirrored queues: there is nothing that could be behind.
      if (action === "sync" || action === "cancel_sync") return;
      if (!Object.hasOwn(acts, action)) throw badRequest(`unknown action '${action}'`);
      return act(call, action as keyof typeof acts);
    },
  );
}

export function checkName(name: string): void {
  if (new TextEncoder().encode(name).length > 255) throw badRequest("a name is at most 255 bytes long");
}

function stateOf(queue: AnyQueue): string {
  if (queue.gone) return "stopped";
  return queue instanceof Queue && queue.paused ? "paused" : "running";
}

/** Whether consumers could take more at once: the part of them that would. */
function capacityOf({ consumers }: AnyQueue): number {
  if (consumers.length === 0) return 0;
  const free = consumers.filter(({ shown }) =>
    shown === undefined || shown.prefetch === 0 || shown.unsettledCount < shown.prefetch
  );
  return free.length / consumers.length;
}

function bytesOf(queue: AnyQueue): { ready: number; unacknowledged: number } {
  if (queue instanceof Queue) return { ready: queue.store.readyBytes, unacknowledged: queue.store.unackedBytes };
  if (queue instanceof Stream) return { ready: queue.store.bytes, unacknowledged: 0 };
  return { ready: 0, unacknowledged: 0 };
}

function singleActiveTag(queue: AnyQueue): string | null {
  if (!(queue instanceof Queue) || !queue.settings.singleActiveConsumer) return null;
  return queue.activeConsumer?.shown?.tag ?? null;
}

function deliveryLimitOf(queue: AnyQueue): number | undefined {
  const limit = queue instanceof Queue ? queue.settings.deliveryLimit : null;
  return limit === null || !Number.isFinite(limit) ? undefined : limit;
}

function ownerOf({ owner }: AnyQueue): object | undefined {
  const live = (owner as { live?: { name: string; peerHost: string; peerPort: number } | null } | null)?.live;
  return live ? { name: live.name, peer_host: live.peerHost, peer_port: live.peerPort } : undefined;
}
