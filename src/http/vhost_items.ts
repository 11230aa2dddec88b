// Things of virtual hosts: each together with the one that it is in.

import type { VirtualHost } from "../core/virtual_host.ts";
export interface InVhost<T> {
  readonly vhost: VirtualHost;
  readonly item: T;
}

export function* inVhosts<T>(
  vhosts: Iterable<VirtualHost>,
  itemsOf: (vhost: VirtualHost) => Iterable<T>,
): IterableIterator<InVhost<T>> {
  for (const vhost of vhosts) {
    for (const item of itemsOf(vhost)) yield { vhost, item };
  }
}
