// The way of a message through exchanges: from one to those bound to it, to the alternate one where nothing matched, and
// to queues, each once.

import { steadyMs } from "../../lib/clock.ts";
import type { Message } from "../../store/message.ts";
import type { FieldTable } from "../../wire/amqp_table.ts";
import type { Deduplication } from "../deduplication.ts";
import type { Destination, Exchange } from "../exchange.ts";
import type { Target } from "../target.ts";
import { Routing } from "./routing.ts";

/** Where a message goes. */
export interface Route {
  readonly queues: readonly Target[];
  /** It follows from exchange and keys alone, so it holds for others like it until `VirtualHost.revision` changes. */
  readonly cacheable: boolean;
  /**
   * Null, except for a message that no other may repeat: to be called when all queues have taken it. A message that one
   * of them refused, or that has no queue, may come again.
   */
  readonly remember: (() => void) | null;
}

/** A deduplicating exchange that the message came through, and by which key it is known there. */
type Passed = readonly [deduplication: Deduplication, key: string];

export class Router {
  readonly #exchanges: ReadonlyMap<string, Exchange>;
  readonly #routing = new Routing();
  readonly #found = new Set<Target>();
  /** A list that grows while it is walked: a chain of exchanges may be longer than the stack is deep. */
  #entered: Exchange[] = [];
  #number = 0;
  #hasMatched = false;

  constructor(exchanges: ReadonlyMap<string, Exchange>) {
    this.#exchanges = exchanges;
  }

  /** `isReleased`: `start` has held it back until now, so it knows it already. */
  route(start: Exchange, keys: readonly string[], message: Message, isReleased = false): Route {
    const routing = this.#routing;
    routing.begin(keys, message);
    this.#number++;
    this.#found.clear();
    this.#entered = [];
    this.#enter(start);
    let passed: Passed[] | null = null;
    for (const exchange of this.#entered) {
      const deduplication = isReleased && exchange === start ? null : exchange.deduplication;
      const key = deduplication?.keyOf(routing.headers) ?? null;
      if (key !== null) {
        if (deduplication!.isKnown(key, steadyMs())) continue;
        (passed ??= []).push([deduplication!, key]);
      }
      this.#hasMatched = false;
      exchange.matcher.match(routing, this.#follow);
      if (this.#hasMatched || exchange.alternate === null) continue;
      const alternate = this.#exchanges.get(exchange.alternate);
      if (alternate !== undefined) this.#enter(alternate);
    }
    const route: Route = {
      queues: [...this.#found],
      cacheable: routing.byKeysAlone,
      remember: passed === null ? null : remembering(passed, routing.headers),
    };
    routing.end();
    return route;
  }

  readonly #follow = (destination: Destination | Target): void => {
    this.#hasMatched = true;
    if (destination.kind === "exchange") this.#enter(destination);
    else this.#found.add(destination);
  };

  #enter(exchange: Exchange): void {
    if (exchange.seenRouting === this.#number) return;
    exchange.seenRouting = this.#number;
    this.#entered.push(exchange);
  }
}

function remembering(passed: readonly Passed[], headers: FieldTable | null): () => void {
  return () => {
    for (const [deduplication, key] of passed) deduplication.remember(key, headers, steadyMs());
  };
}
