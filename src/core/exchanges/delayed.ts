// x-delayed-message: another type's way to route, and a header of the message that says how long it is held back before.

import { type Arguments, NO_ARGUMENTS } from "../arguments.ts";
import { Delay, type DelayedMessages, readDelayMs } from "../delayed_messages.ts";
import type { Binding, Destination } from "../exchange.ts";
import { Refusal } from "../refusal.ts";
import type { Target } from "../target.ts";
import type { Matcher } from "./matcher.ts";
import type { Routing } from "./routing.ts";

export const DELAYED_TYPE = "x-delayed-message";

/** The type that an exchange routes by when the time has come. Texts are those of RabbitMQ's plugin. */
export function innerTypeOf(args: Arguments): string {
  const type = args.get("x-delayed-type");
  if (typeof type !== "string") refuse("'x-delayed-type' must be an existing exchange type");
  if (type === DELAYED_TYPE) refuse(`'${DELAYED_TYPE}' can't be used for 'x-delayed-type'`);
  return type;
}

export class DelayedMatcher implements Matcher {
  /** Given once the exchange is there. */
  messages: DelayedMessages | null = null;
  readonly #inner: Matcher;

  constructor(inner: Matcher) {
    this.#inner = inner;
  }

  check(routingKey: string, args: Arguments = NO_ARGUMENTS): void {
    this.#inner.check(routingKey, args);
  }

  add(binding: Binding): void {
    this.#inner.add(binding);
  }

  remove(binding: Binding): void {
    this.#inner.remove(binding);
  }

  match(routing: Routing, visit: (destination: Destination | Target) => void): void {
    const { messages } = this;
    const { headers } = routing;
    const delayMs = readDelayMs(headers);
    // What is released has a delay below 0.
    if (delayMs > 0 && messages !== null) visit(new Delay(messages, headers, delayMs, routing.keys));
    else this.#inner.match(routing, visit);
  }
}

function refuse(why: string): never {
  throw new Refusal("precondition-failed", `Invalid argument, ${why}`);
}
