// The route of a message as text, for what is rare: dead letters.

import type { Message } from "../store/message.ts";

/** Exchange and routing key. */
export function routeTexts(message: Message): [exchange: string, routingKey: string] {
  const { route, routeAt, routeBytes } = message;
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const exchangeEnd = routeAt + 1 + route[routeAt]!;
  const exchange = decoder.decode(route.subarray(routeAt + 1, exchangeEnd));
  return [exchange, decoder.decode(route.subarray(exchangeEnd + 1, routeAt + routeBytes))];
}
