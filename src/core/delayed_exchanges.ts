// The exchanges of a virtual host that hold messages back: each one's store, from its declaration to its deletion.

import type { Message } from "../store/message.ts";
import type { MessageStore } from "../store/message_store.ts";
import { type Arguments, NO_ARGUMENTS } from "./arguments.ts";
import { DelayedMessages, type DelayedServices } from "./delayed_messages.ts";
import type { Exchange } from "./exchange.ts";
import { DelayedMatcher } from "./exchanges/delayed.ts";
import type { Route } from "./exchanges/router.ts";

export interface DelayedExchangesServices extends Pick<DelayedServices, "timers" | "commit"> {
  openStore(id: number, durable: boolean, args: Arguments): MessageStore;
  destroyStore(store: MessageStore, durable: boolean): void;
  nextQueueId(): number;
  /** Something that an operator must know. */
  report?(text: string): void;
  /** Where a message of this exchange goes when its time has come. */
  routeReleased(exchange: Exchange, keys: readonly string[], message: Message): Route;
}

export class DelayedExchanges {
  readonly #services: DelayedExchangesServices;
  readonly #exchanges = new Set<Exchange>();

  constructor(services: DelayedExchangesServices) {
    this.#services = services;
  }

  /** An exchange is declared, or found in the definitions log with the id under which its messages lie. */
  add(exchange: Exchange, storeId: number | null): void {
    const { matcher, durable } = exchange;
    if (!(matcher instanceof DelayedMatcher)) return;
    const services = this.#services;
    const id = storeId ?? services.nextQueueId();
    const { timers, commit } = services;
    matcher.messages = exchange.delayed = new DelayedMessages(
      id,
      durable,
      services.openStore(id, durable, NO_ARGUMENTS),
      {
        timers,
        commit,
        route: (message, keys) => services.routeReleased(exchange, keys, message),
        report: (text) => services.report?.(text),
      },
    );
    this.#exchanges.add(exchange);
  }

  /** It is deleted, and what it holds goes with it. */
  remove(exchange: Exchange): void {
    const { delayed } = exchange;
    if (delayed === null || !this.#exchanges.delete(exchange)) return;
    delayed.close();
    this.#services.destroyStore(delayed.store, delayed.durable);
  }

  /** See `VirtualHost.cool`. */
  cool(): void {
    for (const { delayed } of this.#exchanges) delayed!.cool();
  }

  close(): void {
    for (const { delayed } of this.#exchanges) {
      delayed!.close();
      delayed!.store.close();
    }
  }
}
