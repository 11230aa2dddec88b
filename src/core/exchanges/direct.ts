// direct: the routing key is the binding's. And the default exchange, where it is the queue's name.

import type { Binding, Destination } from "../exchange.ts";
import type { AnyQueue } from "../any_queue.ts";
import { type Bucket, visitBucket, withBinding, withoutBinding } from "./bucket.ts";
import type { Matcher } from "./matcher.ts";
import type { Routing } from "./routing.ts";

export class DirectMatcher implements Matcher {
  readonly #byKey = new Map<string, Bucket>();

  check(): void {}

  add(binding: Binding): void {
    this.#byKey.set(binding.routingKey, withBinding(this.#byKey.get(binding.routingKey), binding));
  }

  remove(binding: Binding): void {
    const left = withoutBinding(this.#byKey.get(binding.routingKey), binding);
    if (left === undefined) this.#byKey.delete(binding.routingKey);
    else this.#byKey.set(binding.routingKey, left);
  }

  match({ keys }: Routing, visit: (destination: Destination) => void): void {
    for (const key of keys) {
      const bucket = this.#byKey.get(key);
      if (bucket !== undefined) visitBucket(bucket, visit);
    }
  }
}

export class DefaultMatcher implements Matcher {
  readonly #queues: ReadonlyMap<string, AnyQueue>;

  constructor(queues: ReadonlyMap<string, AnyQueue>) {
    this.#queues = queues;
  }

  check(): void {}

  add(): void {}

  remove(): void {}

  match({ keys }: Routing, visit: (destination: Destination) => void): void {
    for (const key of keys) {
      const queue = this.#queues.get(key);
      if (queue !== undefined) visit(queue);
    }
  }
}
