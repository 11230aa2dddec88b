// Who looks on at what comes into a queue, without taking anything. While nobody does, a queue has none of these, and its
// way of a message is the same as ever.

import type { Message } from "../store/message.ts";

export interface Observer {
  /** A message was taken in; what it refers to is valid only during the call. May not throw. */
  saw(message: Message): void;
  /** The queue is deleted. */
  ended(): void;
}

export class Observers {
  readonly #all = new Set<Observer>();

  get count(): number {
    return this.#all.size;
  }

  add(observer: Observer): void {
    this.#all.add(observer);
  }

  delete(observer: Observer): void {
    this.#all.delete(observer);
  }

  saw(message: Message): void {
    for (const observer of this.#all) observer.saw(message);
  }

  end(): void {
    for (const observer of this.#all) observer.ended();
    this.#all.clear();
  }
}
