// How an exchange type finds where a message goes. One implementation per type; the exchange keeps the bindings.

import type { Arguments } from "../arguments.ts";
import type { Binding, Destination } from "../exchange.ts";
import type { Target } from "../target.ts";
import type { Routing } from "./routing.ts";

export interface Matcher {
  /** Refuses a binding that means nothing to this type. */
  check(routingKey: string, args: Arguments): void;
  add(binding: Binding): void;
  remove(binding: Binding): void;
  /** Calls `visit` for each match; one destination may come several times. */
  match(routing: Routing, visit: (destination: Destination | Target) => void): void;
}
