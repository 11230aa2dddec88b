// The path of a request as routes see it. RabbitMQ takes what some tools send, and so do we: a slash at the end, and nothing
// where the name of the default exchange stands, which is empty.

import { getPath } from "hono/utils/url";

/** What stands for the default exchange in addresses. */
export const DEFAULT_EXCHANGE = "amq.default";

const EMPTY_EXCHANGE = /^(\/api\/(?:exchanges\/[^/]+|bindings\/[^/]+\/e))\/\//;

export function pathOf(request: Request): string {
  const path = getPath(request);
  if (!path.startsWith("/api/")) return path;
  const named = path.replace(EMPTY_EXCHANGE, `$1/${DEFAULT_EXCHANGE}/`);
  return named.endsWith("/") && named !== "/api/" ? named.slice(0, -1) : named;
}
