// Publishing and getting single messages, for people and for checks whether a broker is alive.

import { z } from "@hono/zod-openapi";
import type { MessageGetter } from "../core/any_queue.ts";
import type { Session } from "../core/identity/session.ts";
import { Refusal } from "../core/refusal.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { Message, MESSAGE_EXPIRES, MESSAGE_PERSISTENT } from "../store/message.ts";
import { type Properties, putProperties } from "../wire/amqp_properties.ts";
import { tableOf } from "../wire/amqp_table.ts";
import { putLonglong, putShortString } from "../wire/amqp_values.ts";
import { argumentsOf, plainOf } from "./arguments.ts";
import { exchangeName } from "./bindings.ts";
import { onDisk } from "./durable.ts";
import { messageJson } from "./message_json.ts";
import { accessRefused, badRequest, Problem } from "./problem.ts";
import { NOBODY } from "./queues.ts";
import type { Router } from "./router.ts";
import type { HttpServices } from "./services.ts";

const TAG = "Messages";
/** Messages of one answer. */
const GET_COUNT_MAX = 10_000;
/** And their bodies, bytes; the first one always fits. */
const GET_BYTES_MAX = 64 * 1024 * 1024;

const shortText = z.string().refine((text) => new TextEncoder().encode(text).length <= 255, "at most 255 bytes");
const number = z.union([z.number(), z.string().regex(/^\d{1,16}$/).transform(Number)]);
const octet = number.refine((value) => Number.isInteger(value) && value >= 0 && value <= 255, "from 0 to 255");

const messageProperties = z.looseObject({
  content_type: shortText.optional(),
  content_encoding: shortText.optional(),
  headers: z.record(z.string(), z.unknown()).optional(),
  delivery_mode: octet.optional(),
  priority: octet.optional(),
  correlation_id: shortText.optional(),
  reply_to: shortText.optional(),
  expiration: z.union([shortText, z.int().min(0).transform(String)]).optional(),
  message_id: shortText.optional(),
  timestamp: number.refine((value) => Number.isSafeInteger(value) && value >= 0, "seconds since 1970").optional(),
  type: shortText.optional(),
  user_id: shortText.optional(),
  app_id: shortText.optional(),
  cluster_id: shortText.optional(),
});
type MessageProperties = z.output<typeof messageProperties>;

/** An empty list is what some clients make of an empty object. */
const propertiesSchema = z.union([messageProperties, z.array(z.never()).transform((): MessageProperties => ({}))])
  .openapi({ type: "object", additionalProperties: true });

const publishBody = z.object({
  properties: propertiesSchema,
  routing_key: shortText,
  payload: z.string(),
  payload_encoding: z.enum(["string", "base64"]),
}).openapi("Publication");

/** As with RabbitMQ: what fits a u32. */
const EXPIRATION_MS_MAX = 0xffffffff;
const ALIVENESS_QUEUE = "aliveness-test";
const ACK_MODES = ["ack_requeue_true", "ack_requeue_false", "reject_requeue_true", "reject_requeue_false"] as const;
const getBody = z.object({
  count: z.union([z.int(), z.string().regex(/^\d{1,6}$/).transform(Number)]).refine((count) => count >= 0, "0 or more"),
  ackmode: z.enum(ACK_MODES),
  encoding: z.enum(["auto", "base64"]),
  truncate: z.union([z.int(), z.string().regex(/^\d{1,9}$/).transform(Number)]).optional(),
}).openapi("GetRequest");

const shownMessage = z.object({
  payload_bytes: z.number(),
  redelivered: z.boolean(),
  exchange: z.string(),
  routing_key: z.string(),
  properties: z.record(z.string(), z.unknown()),
  payload: z.string(),
  payload_encoding: z.enum(["string", "base64"]),
});
const messageAnswer = shownMessage.extend({ message_count: z.number() }).openapi("Message");

export function addMessages(router: Router, services: HttpServices): void {
  const { messageBytesMax } = services;
  router.add(
    "post",
    "/api/exchanges/{vhost}/{name}/publish",
    {
      summary: "Publish a message; answers whether a queue took it, when it is on disk",
      tag: TAG,
      body: publishBody,
      // As base64, with room for the rest.
      bodyBytesMax: Math.ceil(messageBytesMax * 1.4) + 1024 * 1024,
      answer: z.object({ routed: z.boolean() }),
    },
    async ({ params, body, caller }) => {
      const { user } = caller;
      const vhost = caller.vhostToChange(params.vhost);
      const exchange = exchangeName(params.name);
      if (!vhost.exchanges.has(exchange)) {
        throw badRequest(`404 NOT_FOUND - no exchange '${exchange}' in vhost '${vhost.name}'`);
      }
      const properties = propertiesOf(body.properties);
      if (properties.userId !== undefined && properties.userId !== user.name && !user.tags.has("impersonator")) {
        throw badRequest(`user_id property set to '${properties.userId}' but authenticated user was '${user.name}'`);
      }
      authorizePublish(caller.session(vhost), exchange, [body.routing_key, ...copiesOf(properties)]);
      const payload = payloadOf(body.payload, body.payload_encoding);
      if (payload.length > messageBytesMax) {
        throw badRequest(`message size ${payload.length} is larger than configured max size ${messageBytesMax}`);
      }
      return { routed: await publish(services, vhost, exchange, body.routing_key, properties, payload) };
    },
  );
  router.add(
    "post",
    "/api/queues/{vhost}/{name}/get",
    {
      summary: "Get messages, and put them back or not (ackmode)",
      tag: TAG,
      body: getBody,
      answer: z.array(messageAnswer),
    },
    ({ params, body, caller }) => {
      const vhost = caller.vhostToChange(params.vhost);
      authorizeGet(caller.session(vhost), params.name);
      if (!vhost.queues.has(params.name)) {
        throw new Problem(404, "not_found", `NOT_FOUND - no ${vhost.queueText(params.name)}`);
      }
      const queue = vhost.usableQueue(params.name, NOBODY);
      const { counters } = queue;
      const aside = services.statistics.registry.aside(vhost.name);
      const answers: object[] = [];
      const done: (() => void)[] = [];
      let bytes = 0;
      try {
        while (answers.length < Math.min(body.count, GET_COUNT_MAX)) {
          const { getter } = queue;
          const message = getter.get();
          if (message === null) {
            if (answers.length > 0) break;
            counters.getEmpty++;
            aside.getEmpty++;
            break;
          }
          done.push(settlement(getter, message, body.ackmode));
          bytes += message.bodyBytes;
          if (bytes > GET_BYTES_MAX && answers.length > 0) {
            // It stays where it was.
            done.pop();
            getter.requeue(message.position, message.bodyBytes);
            break;
          }
          for (const counted of [counters, aside]) {
            if (body.ackmode === "ack_requeue_false") counted.getNoAck++;
            else counted.get++;
            if (message.redelivered) counted.redeliver++;
          }
          const left = getter.store.readyCount;
          answers.push({ ...messageJson(message, body.encoding, body.truncate), message_count: left });
        }
      } finally {
        for (const settle of done) settle();
        services.turn.schedule();
      }
      return answers;
    },
  );
  router.add(
    "get",
    "/api/aliveness-test/{vhost}",
    {
      summary: "Declare a queue, publish to it and get from it",
      tag: "Health",
      answer: z.object({ status: z.string() }),
    },
    ({ params, caller }) => {
      const vhost = caller.vhost(params.vhost);
      const session = caller.session(vhost);
      session.authorize("configure", "queue", ALIVENESS_QUEUE);
      session.authorize("read", "queue", ALIVENESS_QUEUE);
      authorizePublish(session, "", [ALIVENESS_QUEUE]);
      return aliveness(services, vhost);
    },
  );
}

async function aliveness(services: HttpServices, vhost: VirtualHost): Promise<object> {
  const name = ALIVENESS_QUEUE;
  const declaration = { durable: false, autoDelete: false, exclusive: false, args: new Map() };
  if (!vhost.queues.has(name)) vhost.declareQueue(name, declaration, {});
  await publish(services, vhost, "", name, {}, new TextEncoder().encode("test_message"));
  const queue = vhost.queues.get(name);
  const message = queue?.getter.get() ?? null;
  if (queue === undefined || message === null) {
    throw new Problem(500, "aliveness_test", "the message did not come back");
  }
  queue.getter.settle(message.position, message.recordBytes, message.bodyBytes);
  services.turn.schedule();
  return { status: "ok" };
}

/** What becomes of a message that was shown. */
function settlement(getter: MessageGetter, message: Message, mode: typeof ACK_MODES[number]): () => void {
  const { position, recordBytes, bodyBytes } = message;
  switch (mode) {
    case "ack_requeue_true":
    case "reject_requeue_true":
      return () => getter.requeue(position, bodyBytes);
    case "ack_requeue_false":
      return () => getter.settle(position, recordBytes, bodyBytes);
    case "reject_requeue_false":
      return () => getter.reject(position, recordBytes, bodyBytes);
  }
}

function authorizePublish(session: Session, exchange: string, routingKeys: readonly string[]): void {
  session.authorize("write", "exchange", exchange);
  const target = session.vhost.exchanges.get(exchange);
  if (target === undefined) return;
  for (const routingKey of routingKeys) session.authorizeTopic("write", target, routingKey);
}

/** As a channel says it. */
function authorizeGet(session: Session, queue: string): void {
  try {
    session.authorize("read", "queue", queue);
  } catch (error) {
    if (error instanceof Refusal) throw accessRefused(`ACCESS_REFUSED - ${error.message}`);
    throw error;
  }
}

/** Publishes as a channel would; resolves when it is where it is to be, with whether any queue took it. */
async function publish(
  services: HttpServices,
  vhost: VirtualHost,
  exchange: string,
  routingKey: string,
  properties: Properties,
  body: Uint8Array,
): Promise<boolean> {
  if (services.alarms.active) {
    throw new Problem(503, "resource_alarm", `publishing is stopped: ${services.alarms.reason}`);
  }
  const copies = copiesOf(properties);
  properties.headers?.delete("BCC");
  const message = messageOf(exchange, routingKey, properties, body);
  message.timestampMs = Date.now();
  const { queues, remember } = vhost.route(exchange, [routingKey, ...copies], message);
  let refused = false;
  for (const queue of queues) if (!queue.publish(message)) refused = true;
  if (queues.length > 0 && !refused) remember?.();
  const counters = services.statistics.registry.aside(vhost.name);
  counters.publish++;
  if (queues.length === 0) counters.dropUnroutable++;
  const exchangeCounters = vhost.exchange(exchange).counters;
  exchangeCounters.publishIn++;
  exchangeCounters.publishOut += queues.length;
  services.turn.schedule();
  const persistent = (message.flags & MESSAGE_PERSISTENT) !== 0;
  if (queues.some((queue) => queue.durable && (persistent || queue.keepsAll))) await onDisk(services);
  return queues.length > 0 && !refused;
}

function messageOf(exchange: string, routingKey: string, properties: Properties, body: Uint8Array): Message {
  const route = new OutBuffer(new BufferPool());
  putShortString(route, exchange);
  putShortString(route, routingKey);
  const header = new OutBuffer(new BufferPool());
  putLonglong(header, body.length);
  putProperties(header, properties);
  const message = new Message();
  message.route = route.bytes.slice(route.start, route.end);
  message.routeBytes = message.route.length;
  message.header = header.bytes.slice(header.start, header.end);
  message.headerBytes = message.header.length;
  message.body = body;
  message.bodyBytes = body.length;
  message.flags = properties.deliveryMode === 2 ? MESSAGE_PERSISTENT : 0;
  if (properties.expiration !== undefined) message.flags |= MESSAGE_EXPIRES;
  return message;
}

function propertiesOf(given: MessageProperties): Properties {
  const { headers, expiration } = given;
  if (expiration !== undefined && !(/^\d{1,10}$/.test(expiration) && Number(expiration) <= EXPIRATION_MS_MAX)) {
    throw badRequest(`invalid expiration '${expiration}': expected milliseconds from 0 to ${EXPIRATION_MS_MAX}`);
  }
  // Checked as arguments are: what a field table cannot hold is refused before it is written.
  if (headers !== undefined) argumentsOf(headers);
  const properties: Record<string, unknown> = {
    contentType: given.content_type,
    contentEncoding: given.content_encoding,
    headers: headers === undefined ? undefined : tableOf(plainOf(headers) as Parameters<typeof tableOf>[0]),
    deliveryMode: given.delivery_mode,
    priority: given.priority,
    correlationId: given.correlation_id,
    replyTo: given.reply_to,
    expiration,
    messageId: given.message_id,
    timestamp: given.timestamp,
    type: given.type,
    userId: given.user_id,
    appId: given.app_id,
    clusterId: given.cluster_id,
  };
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as Properties;
}

/** CC and BCC. */
function copiesOf(properties: Properties): string[] {
  const { headers } = properties;
  if (headers === undefined) return [];
  const copies: string[] = [];
  for (const name of ["CC", "BCC"]) {
    const field = headers.get(name);
    if (field === undefined) continue;
    if (field.type !== "A") throw badRequest(`invalid header '${name}': expected a list of routing keys`);
    for (const { value } of field.value as readonly { value: unknown }[]) {
      if (typeof value !== "string") throw badRequest(`invalid header '${name}': expected a list of routing keys`);
      copies.push(value);
    }
  }
  return copies;
}

function payloadOf(payload: string, encoding: "string" | "base64"): Uint8Array {
  if (encoding === "string") return new TextEncoder().encode(payload);
  const compact = payload.replace(/\s+/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) throw badRequest("payload is not base64");
  return new Uint8Array(Buffer.from(compact, "base64"));
}
