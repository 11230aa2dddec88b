// Things of virtual hosts: each together with the one that it is in.

import type { VirtualHost } from "../core/virtual_host.ts";
import { notFound } from "./problem.ts";

export interface InVhost<T> {
  readonly vhost: VirtualHost;
  readonly item: T;
}

export function vhostOf(vhosts: ReadonlyMap<string, VirtualHost>, name: string): VirtualHost {
  const vhost = vhosts.get(name);
  if (vhost === undefined) throw notFound();
  return vhost;
}

export function* inVhosts<T>(
  vhosts: ReadonlyMap<string, VirtualHost>,
  itemsOf: (vhost: VirtualHost) => Iterable<T>,
): IterableIterator<InVhost<T>> {
  for (const vhost of vhosts.values()) {
    for (const item of itemsOf(vhost)) yield { vhost, item };
  }
}
