// The bindings under one key: mostly a single one, which then needs no set of its own.

import type { Binding, Destination } from "../exchange.ts";

export type Bucket = Binding | Set<Binding>;

export function withBinding(bucket: Bucket | undefined, binding: Binding): Bucket {
  if (bucket === undefined) return binding;
  if (!(bucket instanceof Set)) return new Set([bucket, binding]);
  return bucket.add(binding);
}

/** Undefined when nothing is left. */
export function withoutBinding(bucket: Bucket | undefined, binding: Binding): Bucket | undefined {
  if (bucket instanceof Set) {
    bucket.delete(binding);
    return bucket.size > 0 ? bucket : undefined;
  }
  return bucket === binding ? undefined : bucket;
}

export function visitBucket(bucket: Bucket, visit: (destination: Destination) => void): void {
  if (!(bucket instanceof Set)) return visit(bucket.destination);
  for (const { destination } of bucket) visit(destination);
}
