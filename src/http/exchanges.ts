// Exchanges: lists, one, declare, delete, and what is bound to them.

import { z } from "@hono/zod-openapi";
import type { Exchange } from "../core/exchange.ts";
import { jsonOfArguments } from "../core/json_arguments.ts";
import { effectivePolicyShape } from "../core/management/shapes.ts";
import type { Caller } from "./access.ts";
import { argumentsOf } from "./arguments.ts";
import { bindingFields, exchangeName, type ShownBinding } from "./bindings.ts";
import { authorizeDeclare } from "./declare.ts";
import { declared } from "./durable.ts";
import { answerList, listQuery } from "./list.ts";
import { badRequest, notFound } from "./problem.ts";
import { checkName } from "./queues.ts";
import { Rates, ratesQuery, valuesOf } from "./rates.ts";
import type { Router } from "./router.ts";
import { argumentsSchema, bindingAnswer, exchangeAnswer, flagQuery, listAnswer, switchSchema } from "./schemas.ts";
import type { HttpServices } from "./services.ts";
import { type Fields, shapeOne } from "./shape.ts";
import { type InVhost, inVhosts } from "./vhost_items.ts";

const TAG = "Exchanges";
const COUNTED = ["publish_in", "publish_out"];

type Item = InVhost<Exchange>;

const exchangeFields: Fields<Item, Rates> = {
  name: ({ item }) => item.name,
  vhost: ({ vhost }) => vhost.name,
  type: ({ item }) => item.type,
  durable: ({ item }) => item.durable,
  auto_delete: ({ item }) => item.autoDelete,
  internal: ({ item }) => item.internal,
  arguments: ({ item }) => jsonOfArguments(item.args),
  policy: ({ item }) => effectivePolicyShape(item.policy).policy ?? undefined,
  user_who_performed_action: () => "rmq-internal",
  message_stats: ({ item }, rates) => {
    return valuesOf(item.counters).get("publish_in") === 0
      ? undefined
      : rates.all(item.counters, COUNTED, rates.messages);
  },
};

const oneExchangeFields: Fields<Item, Rates> = {
  ...exchangeFields,
  incoming: () => [],
  outgoing: () => [],
};

const declareBody = z.object({
  type: z.string().default("direct"),
  durable: switchSchema.default(false),
  auto_delete: switchSchema.default(false),
  internal: switchSchema.default(false),
  arguments: argumentsSchema,
  /** LavinMQ's: the type is that of an exchange of type x-delayed-message. */
  delayed: switchSchema.default(false),
}).openapi("ExchangeDeclaration");

export function addExchanges(router: Router, services: HttpServices): void {
  const { statistics } = services;
  type ExchangeCall = { readonly params: { readonly vhost: string; readonly name: string }; readonly caller: Caller };
  const find = ({ params, caller }: ExchangeCall): Item => {
    const vhost = caller.vhost(params.vhost);
    const exchange = vhost.exchanges.get(exchangeName(params.name));
    if (exchange === undefined) throw notFound();
    return { vhost, item: exchange };
  };
  const query = listQuery.extend(ratesQuery.shape);
  const answer = listAnswer(exchangeAnswer);
  const nameOf = ({ item }: Item) => item.name;
  router.add(
    "get",
    "/api/exchanges",
    { summary: "All exchanges", tag: TAG, query, answer },
    ({ query, caller }) =>
      answerList({
        items: inVhosts(caller.vhosts, ({ exchanges }) => exchanges.values()),
        fields: exchangeFields,
        context: new Rates(statistics.sampler, query),
        nameOf,
        groupOf: ({ vhost }) => vhost.name,
      }, query),
  );
  router.add(
    "get",
    "/api/exchanges/{vhost}",
    { summary: "Exchanges of a virtual host", tag: TAG, query, answer },
    ({ params, query, caller }) => {
      const vhost = caller.vhost(params.vhost);
      const items = [...vhost.exchanges.values()].map((item) => ({ vhost, item }));
      const context = new Rates(statistics.sampler, query);
      return answerList({ items, fields: exchangeFields, context, nameOf }, query);
    },
  );
  router.add(
    "get",
    "/api/exchanges/{vhost}/{name}",
    { summary: "One exchange", tag: TAG, query: ratesQuery, answer: exchangeAnswer },
    (call) => shapeOne(find(call), oneExchangeFields, new Rates(statistics.sampler, call.query), call.query),
  );
  router.add(
    "put",
    "/api/exchanges/{vhost}/{name}",
    { summary: "Declare an exchange", tag: TAG, body: declareBody, statuses: [201, 204] },
    ({ params, body, caller }) => {
      const vhost = caller.vhostToChange(params.vhost);
      const name = exchangeName(params.name);
      checkName(name);
      if (name === "") throw badRequest("the default exchange is there already");
      const args = new Map(argumentsOf(body.arguments));
      if (body.delayed) args.set("x-delayed-type", body.type);
      const before = vhost.exchanges.has(name);
      authorizeDeclare(caller.session(vhost), "exchange", name, before, args.get("alternate-exchange"));
      const durable = vhost.declareExchange(name, {
        type: body.delayed ? "x-delayed-message" : body.type,
        durable: body.durable,
        autoDelete: body.auto_delete,
        internal: body.internal,
        args,
      });
      return declared(services, before, durable);
    },
  );
  router.add(
    "delete",
    "/api/exchanges/{vhost}/{name}",
    { summary: "Delete an exchange", tag: TAG, query: z.object({ "if-unused": flagQuery }) },
    (call) => {
      const { vhost, item } = find(call);
      // Those that nobody may delete are refused for that.
      if (item.name !== "") call.caller.authorize(vhost, "configure", "exchange", item.name);
      return declared(services, true, vhost.deleteExchange(item.name, call.query["if-unused"]));
    },
  );
  for (const end of ["source", "destination"] as const) {
    router.add(
      "get",
      `/api/exchanges/{vhost}/{name}/bindings/${end}`,
      { summary: `Bindings with an exchange as ${end}`, tag: TAG, query: listQuery, answer: listAnswer(bindingAnswer) },
      (call) => {
        const { vhost, item } = find(call);
        const items = [...bindingsAt(item, end, vhost.queues)].map((binding) => ({ vhost, item: binding }));
        const nameOf = (binding: InVhost<ShownBinding>) => binding.item.destination.name;
        return answerList({ items, fields: bindingFields, context: null, nameOf }, call.query);
      },
    );
  }
}

function* bindingsAt(
  exchange: Exchange,
  end: "source" | "destination",
  queues: ReadonlyMap<string, ShownBinding["destination"]>,
): IterableIterator<ShownBinding> {
  if (end === "destination") return yield* exchange.boundFrom;
  if (exchange.name !== "") return yield* exchange.bindings();
  for (const queue of queues.values()) {
    yield { source: null, destination: queue, routingKey: queue.name, args: new Map() };
  }
}
