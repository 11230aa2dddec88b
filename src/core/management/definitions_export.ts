// A realm as a definitions file that RabbitMQ and its tools read.

import type { AnyQueue } from "../any_queue.ts";
import { DIRECT_QUEUE_TYPE } from "../direct_queue.ts";
import { RABBITMQ_VERSION } from "../../version.ts";
import { jsonOfArguments } from "../json_arguments.ts";
import type { Json, JsonObject } from "../policies/json.ts";
import type { Realm } from "../realm.ts";
import type { VirtualHost } from "../virtual_host.ts";
import { parametersOf } from "./component_parameters.ts";
import {
  type ParameterShape,
  type PermissionShape,
  type PolicyShape,
  policyShape,
  type TopicPermissionShape,
  type UserShape,
  userShape,
  type VhostShape,
  vhostShape,
} from "./shapes.ts";

export interface QueueDefinition {
  readonly name: string;
  readonly vhost: string;
  readonly type: string;
  readonly durable: boolean;
  readonly auto_delete: boolean;
  readonly arguments: JsonObject;
}

export interface ExchangeDefinition {
  readonly name: string;
  readonly vhost: string;
  readonly type: string;
  readonly durable: boolean;
  readonly auto_delete: boolean;
  readonly internal: boolean;
  readonly arguments: JsonObject;
}

export interface BindingDefinition {
  readonly source: string;
  readonly vhost: string;
  readonly destination: string;
  readonly destination_type: "queue" | "exchange";
  readonly routing_key: string;
  readonly arguments: JsonObject;
}

/** Of one virtual host, its entries do not name it, and those of the whole broker are not there. */
export interface WholeDefinitions {
  readonly rabbit_version: string;
  readonly rabbitmq_version: string;
  readonly product_name: string;
  readonly product_version: string;
  readonly users?: readonly UserShape[];
  readonly vhosts?: readonly VhostShape[];
  readonly permissions?: readonly PermissionShape[];
  readonly topic_permissions?: readonly TopicPermissionShape[];
  readonly global_parameters?: readonly { readonly name: string; readonly value: Json }[];
  readonly parameters: readonly Scoped<ParameterShape>[];
  readonly policies: readonly Scoped<PolicyShape>[];
  readonly queues: readonly Scoped<QueueDefinition>[];
  readonly exchanges: readonly Scoped<ExchangeDefinition>[];
  readonly bindings: readonly Scoped<BindingDefinition>[];
}

type Scoped<T> = Omit<T, "vhost"> & { readonly vhost?: string };

export function exportDefinitions(
  realm: Realm,
  product: { readonly name: string; readonly version: string },
  vhostName: string | null,
): WholeDefinitions {
  const vhosts = vhostName === null ? [...realm.vhosts.values()] : [realm.vhost(vhostName)];
  const strip = <T extends { readonly vhost: string }>(entries: T[]): Scoped<T>[] => {
    return vhostName === null ? entries : entries.map(({ vhost: _, ...rest }) => rest);
  };
  const head = {
    rabbit_version: RABBITMQ_VERSION,
    rabbitmq_version: RABBITMQ_VERSION,
    product_name: product.name,
    product_version: product.version,
  };
  const ofBroker = {
    users: realm.users.list().map(userShape),
    vhosts: vhosts.map(vhostShape),
    permissions: realm.permissions.list(),
    topic_permissions: realm.permissions.listTopics(),
    global_parameters: realm.globalParameters.list(),
  };
  return {
    ...head,
    ...(vhostName === null ? ofBroker : {}),
    parameters: strip(vhosts.flatMap((vhost) => parametersOf(vhost))),
    policies: strip(
      vhosts.flatMap((vhost) => vhost.policies.list("policy").map((one) => policyShape(vhost.name, one))),
    ),
    queues: strip(vhosts.flatMap((vhost) => queuesOf(vhost))),
    exchanges: strip(vhosts.flatMap((vhost) => exchangesOf(vhost))),
    bindings: strip(vhosts.flatMap((vhost) => bindingsOf(vhost))),
  };
}

/** Exclusive ones go with their connections, and those that keep nothing are their protocol's own to make. */
function isExported(queue: AnyQueue): boolean {
  return queue.owner === null && queue.settings.type !== DIRECT_QUEUE_TYPE;
}

function queuesOf({ name: vhost, queues }: VirtualHost): QueueDefinition[] {
  const kept = [...queues.values()].filter(isExported);
  return kept.map(({ name, settings, durable, autoDelete, args }) => {
    return { name, vhost, type: settings.type, durable, auto_delete: autoDelete, arguments: jsonOfArguments(args) };
  });
}

function exchangesOf({ name: vhost, exchanges }: VirtualHost): ExchangeDefinition[] {
  const declared = [...exchanges.values()].filter(({ name }) => name !== "" && !name.startsWith("amq."));
  return declared.map(({ name, type, durable, autoDelete, internal, args }) => {
    return { name, vhost, type, durable, auto_delete: autoDelete, internal, arguments: jsonOfArguments(args) };
  });
}

function bindingsOf({ name: vhost, exchanges }: VirtualHost): BindingDefinition[] {
  const all = [...exchanges.values()].flatMap((exchange) => [...exchange.bindings()]);
  const kept = all.filter(({ destination }) => destination.kind === "exchange" || isExported(destination));
  return kept.map(({ source, destination, routingKey, args }) => ({
    source: source.name,
    vhost,
    destination: destination.name,
    destination_type: destination.kind,
    routing_key: routingKey,
    arguments: jsonOfArguments(args),
  }));
}
