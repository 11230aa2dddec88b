// topic: the binding's key is a pattern of words; see topic_tree.ts.

import type { Binding, Destination } from "../exchange.ts";
import { TopicTree } from "../topic_tree.ts";
import { type Bucket, visitBucket, withBinding, withoutBinding } from "./bucket.ts";
import type { Matcher } from "./matcher.ts";
import type { Routing } from "./routing.ts";

export class TopicMatcher implements Matcher {
  readonly #tree = new TopicTree<Bucket>();

  check(): void {}

  add(binding: Binding): void {
    const { routingKey } = binding;
    this.#tree.set(routingKey, withBinding(this.#tree.get(routingKey), binding));
  }

  remove(binding: Binding): void {
    const { routingKey } = binding;
    const left = withoutBinding(this.#tree.get(routingKey), binding);
    if (left === undefined) this.#tree.delete(routingKey);
    else this.#tree.set(routingKey, left);
  }

  match({ keys }: Routing, visit: (destination: Destination) => void): void {
    for (const key of keys) this.#tree.match(key, (bucket) => visitBucket(bucket, visit));
  }
}
