// A message as the API shows it.

import { routeTexts } from "../core/message_route.ts";
import type { Message } from "../store/message.ts";
import { decodeHeader, type Properties } from "../wire/amqp_properties.ts";
import { toPlain } from "../wire/amqp_table.ts";

/** `bodyBytes`: how long the whole body is, where the message has a part of it. */
export function messageJson(
  message: Message,
  encoding: "auto" | "base64",
  truncate = Infinity,
  bodyBytes = message.bodyBytes,
): { readonly exchange: string; readonly [field: string]: unknown } {
  const [exchange, routingKey] = routeTexts(message);
  const { header, headerAt, headerBytes, body, bodyAt } = message;
  const bytes = body.subarray(bodyAt, bodyAt + Math.min(message.bodyBytes, truncate));
  return {
    payload_bytes: bodyBytes,
    redelivered: message.redelivered,
    exchange,
    routing_key: routingKey,
    properties: propertiesJson(decodeHeader(header, headerAt, headerBytes)),
    ...encoded(bytes, encoding, bodyBytes > bytes.length),
  };
}

function encoded(bytes: Uint8Array, encoding: "auto" | "base64", isCut: boolean): object {
  const base64 = () => ({ payload: Buffer.from(bytes).toString("base64"), payload_encoding: "base64" });
  if (encoding === "base64") return base64();
  try {
    // What is cut may end in the middle of a character.
    const payload = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: isCut });
    return { payload, payload_encoding: "string" };
  } catch {
    return base64();
  }
}

function propertiesJson(properties: Properties): Record<string, unknown> {
  const { headers, timestamp } = properties;
  const json: Record<string, unknown> = {
    type: properties.type,
    timestamp: typeof timestamp === "bigint" ? timestamp.toString() : timestamp,
    message_id: properties.messageId,
    expiration: properties.expiration,
    reply_to: properties.replyTo,
    correlation_id: properties.correlationId,
    priority: properties.priority,
    delivery_mode: properties.deliveryMode,
    headers: headers === undefined ? undefined : toPlain(headers),
    content_encoding: properties.contentEncoding,
    content_type: properties.contentType,
    user_id: properties.userId,
    app_id: properties.appId,
    cluster_id: properties.clusterId,
  };
  return json;
}
