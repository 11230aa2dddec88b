// The form of a definitions file, RabbitMQ's of 3.8 to 4.x: one schema for whole files and for those of one virtual host,
// whose entries do not name it. What is not known is passed over, as RabbitMQ does.

import { z } from "zod";
import { HASHING_ALGORITHMS } from "../identity/password_hash.ts";
import type { Json, JsonObject } from "../policies/json.ts";
import { Refusal } from "../refusal.ts";

/** Entries of one kind in one file. */
const ENTRIES_MAX = 1_000_000;

const name = z.string();
const vhost = z.string().optional();
const json = z.custom<Json>((value) => value !== undefined, "expected a value");
const object = z.custom<JsonObject>((value) => typeof value === "object" && value !== null && !Array.isArray(value), {
  error: "expected an object",
});
/** Erlang writes an empty object as an empty list now and then. */
const table = z.union([object, z.array(z.never()).transform((): JsonObject => ({}))]).default({});
/** A list, or in older files a text with commas. */
const tags = z.union([z.array(z.string()), z.string().transform(splitTags)]);

const user = z.object({
  name,
  password: z.string().optional(),
  password_hash: z.string().optional(),
  hashing_algorithm: z.enum(HASHING_ALGORITHMS).optional(),
  tags: tags.default([]),
  limits: table,
});
const virtualHost = z.object({
  name,
  description: z.string().optional(),
  tags: tags.optional(),
  default_queue_type: z.string().nullish(),
  metadata: z.object({
    description: z.string().optional(),
    tags: tags.optional(),
    default_queue_type: z.string().nullish(),
  }).optional(),
  limits: table,
});
const permission = z.object({ user: name, vhost: name, configure: z.string(), write: z.string(), read: z.string() });
const topicPermission = z.object({ user: name, vhost: name, exchange: name, write: z.string(), read: z.string() });
const parameter = z.object({ vhost, component: name, name, value: json });
const globalParameter = z.object({ name, value: json });
const policy = z.object({
  vhost,
  name,
  pattern: z.unknown(),
  definition: z.unknown(),
  priority: z.unknown().optional(),
  "apply-to": z.unknown().optional(),
});
const queue = z.object({
  vhost,
  name,
  type: z.string().optional(),
  durable: z.boolean().default(true),
  auto_delete: z.boolean().default(false),
  arguments: table,
});
const exchange = z.object({
  vhost,
  name,
  type: z.string(),
  durable: z.boolean().default(true),
  auto_delete: z.boolean().default(false),
  internal: z.boolean().default(false),
  arguments: table,
});
const binding = z.object({
  vhost,
  source: name,
  destination: name,
  destination_type: z.enum(["queue", "exchange"]),
  routing_key: z.string().default(""),
  arguments: table,
});

const definitionsFile = z.object({
  rabbit_version: z.string().optional(),
  rabbitmq_version: z.string().optional(),
  users: listOf(user),
  vhosts: listOf(virtualHost),
  permissions: listOf(permission),
  topic_permissions: listOf(topicPermission),
  parameters: listOf(parameter),
  global_parameters: listOf(globalParameter),
  policies: listOf(policy),
  exchanges: listOf(exchange),
  queues: listOf(queue),
  bindings: listOf(binding),
});

export type DefinitionsFile = z.infer<typeof definitionsFile>;
export type UserEntry = z.infer<typeof user>;
export type VhostEntry = z.infer<typeof virtualHost>;
export type QueueEntry = z.infer<typeof queue>;
export type ExchangeEntry = z.infer<typeof exchange>;
export type BindingEntry = z.infer<typeof binding>;

/** Refuses what has another form, saying where: `queues[3].name`. */
export function readDefinitionsFile(value: unknown): DefinitionsFile {
  const result = definitionsFile.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  const where = path.reduce<string>((text, part) => {
    return typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
  throw new Refusal("precondition-failed", `definitions: ${where === "" ? "the file" : where}: ${message}`);
}

export function splitTags(text: string): string[] {
  return text.split(",").map((tag) => tag.trim()).filter((tag) => tag !== "");
}

function listOf<T extends z.ZodType>(entry: T) {
  return z.array(entry).max(ENTRIES_MAX).default([]);
}
