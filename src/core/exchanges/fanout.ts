// fanout: to all.

import type { Binding, Destination } from "../exchange.ts";
import type { Matcher } from "./matcher.ts";
import type { Routing } from "./routing.ts";

export class FanoutMatcher implements Matcher {
  readonly #bindings = new Set<Binding>();

  check(): void {}

  add(binding: Binding): void {
    this.#bindings.add(binding);
  }

  remove(binding: Binding): void {
    this.#bindings.delete(binding);
  }

  match(_routing: Routing, visit: (destination: Destination) => void): void {
    for (const { destination } of this.#bindings) visit(destination);
  }
}
