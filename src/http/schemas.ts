// The shapes of what is asked and answered, for checking requests and for the OpenAPI document.

import { z } from "@hono/zod-openapi";
import type { Json } from "../core/policies/json.ts";
import type { Fields } from "./shape.ts";

/** Arguments of a declaration, as a JSON object. An empty list is what some clients make of an empty one. */
export const argumentsSchema = z.union([
  z.record(z.string(), z.unknown()),
  z.array(z.never()).transform(() => ({})),
]).default({}).openapi({ type: "object", additionalProperties: true });

/** A switch; older tools send them as text. */
export const switchSchema = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);

/** A switch of the query: `true`, or there without a value. */
export const flagQuery = z.string().optional().transform((text) => text !== undefined && text !== "false")
  .openapi({ type: "string", enum: ["true", "false"] });

const rate = z.looseObject({ rate: z.number() }).openapi("Rate");
const table = z.record(z.string(), z.unknown());

export const messageStats = z.looseObject({
  publish: z.number().optional(),
  publish_details: rate.optional(),
  deliver_get: z.number().optional(),
  deliver_get_details: rate.optional(),
  ack: z.number().optional(),
  ack_details: rate.optional(),
  redeliver: z.number().optional(),
}).openapi("MessageStats");

export const queueAnswer = z.looseObject({
  name: z.string(),
  vhost: z.string(),
  type: z.enum(["classic", "quorum", "stream"]),
  durable: z.boolean(),
  auto_delete: z.boolean(),
  exclusive: z.boolean(),
  arguments: table,
  state: z.string(),
  node: z.string(),
  consumers: z.number(),
  messages: z.number(),
  messages_ready: z.number(),
  messages_unacknowledged: z.number(),
  messages_details: rate,
  message_stats: messageStats.optional(),
  policy: z.string().nullable(),
  effective_policy_definition: table,
}).openapi("Queue");

export const exchangeAnswer = z.looseObject({
  name: z.string(),
  vhost: z.string(),
  type: z.string(),
  durable: z.boolean(),
  auto_delete: z.boolean(),
  internal: z.boolean(),
  arguments: table,
  message_stats: z.looseObject({ publish_in: z.number(), publish_out: z.number() }).optional(),
}).openapi("Exchange");

export const bindingAnswer = z.object({
  source: z.string(),
  vhost: z.string(),
  destination: z.string(),
  destination_type: z.enum(["queue", "exchange"]),
  routing_key: z.string(),
  arguments: table,
  properties_key: z.string(),
}).openapi("Binding");

export const consumerAnswer = z.looseObject({
  consumer_tag: z.string(),
  ack_required: z.boolean(),
  active: z.boolean(),
  exclusive: z.boolean(),
  prefetch_count: z.number(),
  arguments: table,
  queue: z.object({ name: z.string(), vhost: z.string() }),
  channel_details: z.looseObject({ name: z.string().optional() }),
}).openapi("Consumer");

export const channelAnswer = z.looseObject({
  name: z.string(),
  number: z.number(),
  vhost: z.string(),
  user: z.string(),
  state: z.string(),
  consumer_count: z.number(),
  prefetch_count: z.number(),
  messages_unacknowledged: z.number(),
  messages_unconfirmed: z.number(),
  confirm: z.boolean(),
  transactional: z.boolean(),
  message_stats: messageStats.optional(),
}).openapi("Channel");

export const connectionAnswer = z.looseObject({
  name: z.string(),
  protocol: z.string(),
  user: z.string(),
  vhost: z.string(),
  state: z.string(),
  peer_host: z.string(),
  peer_port: z.number(),
  host: z.string(),
  port: z.number(),
  channels: z.number(),
  connected_at: z.number(),
  client_properties: table,
  recv_oct: z.number(),
  send_oct: z.number(),
}).openapi("Connection");

export const vhostAnswer = z.looseObject({
  name: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  tracing: z.boolean(),
  messages: z.number(),
  messages_ready: z.number(),
  messages_unacknowledged: z.number(),
}).openapi("VirtualHost");

export const overviewAnswer = z.looseObject({
  management_version: z.string(),
  rabbitmq_version: z.string(),
  product_name: z.string(),
  product_version: z.string(),
  cluster_name: z.string(),
  node: z.string(),
  object_totals: z.record(z.string(), z.number()),
  queue_totals: z.looseObject({ messages: z.number() }),
  message_stats: messageStats,
  churn_rates: table.optional(),
  listeners: z.array(table).optional(),
}).openapi("Overview");

export const nodeAnswer = z.looseObject({
  name: z.string(),
  running: z.boolean(),
  uptime: z.number(),
  mem_used: z.number(),
  mem_limit: z.number(),
  mem_alarm: z.boolean(),
  disk_free: z.number(),
  disk_free_limit: z.number(),
  disk_free_alarm: z.boolean(),
  fd_used: z.number(),
  fd_total: z.number(),
  sockets_used: z.number(),
}).openapi("Node");

export const userAnswer = z.object({
  name: z.string(),
  password_hash: z.string(),
  hashing_algorithm: z.string(),
  tags: z.array(z.string()),
  limits: table,
}).openapi("User");

export const permissionAnswer = z.object({
  user: z.string(),
  vhost: z.string(),
  configure: z.string(),
  write: z.string(),
  read: z.string(),
}).openapi("Permission");

export const topicPermissionAnswer = z.object({
  user: z.string(),
  vhost: z.string(),
  exchange: z.string(),
  write: z.string(),
  read: z.string(),
}).openapi("TopicPermission");

export const policyAnswer = z.object({
  vhost: z.string(),
  name: z.string(),
  pattern: z.string(),
  "apply-to": z.string(),
  definition: table,
  priority: z.number(),
}).openapi("Policy");

export const parameterAnswer = z.object({
  vhost: z.string(),
  component: z.string(),
  name: z.string(),
  value: z.unknown(),
}).openapi("Parameter");

/** A limit that is set; below 0 is none. Whether it is a number is said with its name, by who knows that. */
export const limitBody = z.object({
  value: z.unknown().refine((value) => value !== undefined && value !== null, "expected a number")
    .transform((value) => value as Json).openapi({ type: "integer" }),
}).openapi("LimitRequest");

/** The fields of something that is shown as it is. */
export function plainFields<T extends object>(answer: z.ZodObject): Fields<T, null> {
  const names = Object.keys(answer.shape);
  return Object.fromEntries(names.map((name) => [name, (item: T) => (item as Record<string, unknown>)[name]]));
}

/** A list, or one page of it. */
export function listAnswer(item: z.ZodType): z.ZodType {
  const page = z.object({
    items: z.array(item),
    page: z.number(),
    page_count: z.number(),
    page_size: z.number(),
    item_count: z.number(),
    filtered_count: z.number(),
    total_count: z.number(),
  });
  return z.union([z.array(item), page]);
}

/** An answer of a health check. */
export const healthAnswer = z.looseObject({ status: z.enum(["ok", "failed"]), reason: z.string().optional() })
  .openapi("Health");
