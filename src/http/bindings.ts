// Bindings: lists, one by its properties key, bind, unbind.

import { createHash } from "node:crypto";
import { z } from "@hono/zod-openapi";
import { type Arguments, NO_ARGUMENTS } from "../core/arguments.ts";
import { canonicalText } from "../core/canonical.ts";
import type { Destination, Exchange } from "../core/exchange.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import type { Session } from "../core/identity/session.ts";
import { jsonOfArguments } from "../core/json_arguments.ts";
import type { Caller } from "./access.ts";
import { argumentsOf } from "./arguments.ts";
import { onDisk } from "./durable.ts";
import { answerList, listQuery } from "./list.ts";
import { DEFAULT_EXCHANGE } from "./path.ts";
import { badRequest, notFound, Problem } from "./problem.ts";
import type { Router } from "./router.ts";
import { argumentsSchema, bindingAnswer, listAnswer } from "./schemas.ts";
import type { HttpServices } from "./services.ts";
import { type Fields, shape } from "./shape.ts";
import { type InVhost, inVhosts } from "./vhost_items.ts";

const TAG = "Bindings";

/** A binding, or what every queue has without one: the default exchange leads to it by its name. */
export interface ShownBinding {
  readonly source: Exchange | null;
  readonly destination: Destination;
  readonly routingKey: string;
  readonly args: Arguments;
}

export const bindingFields: Fields<InVhost<ShownBinding>, null> = {
  source: ({ item }) => item.source?.name ?? "",
  vhost: ({ vhost }) => vhost.name,
  destination: ({ item }) => item.destination.name,
  destination_type: ({ item }) => item.destination.kind,
  routing_key: ({ item }) => item.routingKey,
  arguments: ({ item }) => jsonOfArguments(item.args),
  properties_key: ({ item }) => propertiesKey(item.routingKey, item.args),
};

/** What names a binding among those between two: RabbitMQ's form, with a digest of ours where there are arguments. */
export function propertiesKey(routingKey: string, args: Arguments): string {
  const key = quoted(routingKey);
  if (args.size === 0) return key === "" ? "~" : key;
  return `${key}~${createHash("sha256").update(canonicalText(args)).digest("base64url").slice(0, 22)}`;
}

/** As in a form, and with `~` escaped, since it separates. */
function quoted(text: string): string {
  return encodeURIComponent(text)
    .replaceAll("%20", "+")
    .replaceAll(/[!'()*~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function* bindingsOf(vhost: VirtualHost): IterableIterator<ShownBinding> {
  for (const queue of vhost.queues.values()) {
    yield { source: null, destination: queue, routingKey: queue.name, args: NO_ARGUMENTS };
  }
  for (const exchange of vhost.exchanges.values()) yield* exchange.bindings();
}

const KINDS = { q: "queue", e: "exchange" } as const;
type Letter = keyof typeof KINDS;

const bindBody = z.object({ routing_key: z.string().default(""), arguments: argumentsSchema }).openapi(
  "BindingRequest",
);

export function addBindings(router: Router, services: HttpServices): void {
  const answer = listAnswer(bindingAnswer);
  const nameOf = ({ item }: InVhost<ShownBinding>) => item.source?.name ?? "";
  const groupOf = ({ vhost }: InVhost<ShownBinding>) => vhost.name;
  router.add(
    "get",
    "/api/bindings",
    { summary: "All bindings", tag: TAG, query: listQuery, answer },
    ({ query, caller }) => {
      const items = inVhosts(caller.vhosts, bindingsOf);
      return answerList({ items, fields: bindingFields, context: null, nameOf, groupOf }, query);
    },
  );
  router.add(
    "get",
    "/api/bindings/{vhost}",
    { summary: "Bindings of a virtual host", tag: TAG, query: listQuery, answer },
    ({ params, query, caller }) => {
      const vhost = caller.vhost(params.vhost);
      const items = [...bindingsOf(vhost)].map((item) => ({ vhost, item }));
      return answerList({ items, fields: bindingFields, context: null, nameOf }, query);
    },
  );
  for (const letter of Object.keys(KINDS) as Letter[]) addBetween(router, services, letter);
}

/** The bindings between an exchange and a queue (q), or an exchange (e). */
function addBetween(router: Router, services: HttpServices, letter: Letter): void {
  const kind = KINDS[letter];
  type Ends = { vhost: string; source: string; destination: string };
  type EndsCall = { readonly params: Ends; readonly caller: Caller };
  const ends = ({ params, caller }: EndsCall, vhost = caller.vhost(params.vhost)) => {
    const name = kind === "queue" ? params.destination : exchangeName(params.destination);
    const destinations: ReadonlyMap<string, Destination> = kind === "queue" ? vhost.queues : vhost.exchanges;
    const source = vhost.exchanges.get(exchangeName(params.source));
    return { vhost, source, destination: destinations.get(name) };
  };
  const missing = (what: string, name: string, vhost: VirtualHost): Problem => {
    return new Problem(404, "not_found", `no ${what} '${name}' in vhost '${vhost.name}'`);
  };
  const between = (call: EndsCall): InVhost<ShownBinding>[] => {
    const { vhost, source, destination } = ends(call);
    if (source === undefined || destination === undefined) return [];
    if (source.name === "") {
      if (destination.kind !== "queue") return [];
      return [{ vhost, item: { source: null, destination, routingKey: destination.name, args: NO_ARGUMENTS } }];
    }
    return [...destination.boundFrom].filter((binding) => binding.source === source).map((item) => ({ vhost, item }));
  };
  const find = (call: EndsCall & { readonly params: { readonly props: string } }): InVhost<ShownBinding> => {
    const { props } = call.params;
    const found = between(call).find(({ item }) => propertiesKey(item.routingKey, item.args) === props);
    if (found === undefined) throw notFound();
    return found;
  };
  const path = `/api/bindings/{vhost}/e/{source}/${letter}/{destination}` as const;
  const both = `an exchange and ${kind === "queue" ? "a queue" : "an exchange"}`;
  router.add(
    "get",
    path,
    { summary: `Bindings between ${both}`, tag: TAG, query: listQuery, answer: listAnswer(bindingAnswer) },
    (call) => {
      const nameOf = ({ item }: InVhost<ShownBinding>) => item.routingKey;
      return answerList({ items: between(call), fields: bindingFields, context: null, nameOf }, call.query);
    },
  );
  router.add(
    "post",
    path,
    { summary: `Bind ${both}`, tag: TAG, body: bindBody, statuses: [201] },
    async (call) => {
      const { params, body, caller } = call;
      const { vhost, source, destination } = ends(call, caller.vhostToChange(params.vhost));
      if (source === undefined) throw missing("exchange", params.source, vhost);
      if (destination === undefined) throw missing(kind, params.destination, vhost);
      const args = argumentsOf(body.arguments);
      if (new TextEncoder().encode(body.routing_key).length > 255) {
        throw badRequest("a routing key is at most 255 bytes long");
      }
      authorizeBinding(caller.session(vhost), source, destination, body.routing_key);
      if (vhost.bind(source.name, destination, body.routing_key, args)) await onDisk(services);
      const key = propertiesKey(body.routing_key, args);
      const location = `${encodeURIComponent(params.destination)}/${encodeURIComponent(key)}`;
      return new Response(null, { status: 201, headers: { location } });
    },
  );
  router.add(
    "get",
    `${path}/{props}`,
    { summary: `One binding between ${both}`, tag: TAG, answer: bindingAnswer },
    (call) => shape(find(call), bindingFields, null),
  );
  router.add(
    "delete",
    `${path}/{props}`,
    { summary: `Unbind ${both}`, tag: TAG },
    async (call) => {
      const { vhost, item } = find(call);
      if (item.source !== null) {
        authorizeBinding(call.caller.session(vhost), item.source, item.destination, item.routingKey);
      }
      const durable = vhost.unbind(item.source?.name ?? "", item.destination, item.routingKey, item.args);
      if (durable) await onDisk(services);
    },
  );
}

/** As over AMQP: whoever binds writes to the destination, and reads from the source what has such a routing key. */
function authorizeBinding(session: Session, source: Exchange, destination: Destination, routingKey: string): void {
  session.authorize("write", destination.kind, destination.name);
  if (source.name === "") return;
  session.authorize("read", "exchange", source.name);
  session.authorizeTopic("read", source, routingKey);
}

/** As RabbitMQ's tools name the exchange without a name. */
export function exchangeName(name: string): string {
  return name === DEFAULT_EXCHANGE ? "" : name;
}
