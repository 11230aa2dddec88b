// The log as it is written, over server-sent events, for a console that looks on.

import { eventStream } from "./event_stream.ts";
import type { LogLine, LogTap } from "../lib/log_tap.ts";
import { notFound } from "./problem.ts";
import type { Router } from "./router.ts";
import type { HttpServices } from "./services.ts";

/** Lines that wait for a reader. */
const WAITING_MAX = 1_000;

export function addLogStream(router: Router, { log }: HttpServices): void {
  router.add(
    "get",
    "/api/livelog",
    {
      summary: "The log as it is written (text/event-stream)",
      tag: "Broker",
      access: "administrator",
      statuses: [200],
    },
    ({ headers, exchange }) => {
      if (log === null) throw notFound();
      return eventStream({
        first: linesAfter(log, headers.get("last-event-id")),
        listen: (push) => log.listen(push),
        textOf: eventOf,
        waitingMax: WAITING_MAX,
      }, exchange);
    },
  );
}

function linesAfter({ last }: LogTap, lastId: string | null): LogLine[] {
  const seenMs = Number(lastId ?? 0);
  return last.filter(({ timeMs }) => timeMs > seenMs);
}

function eventOf({ timeMs, level, category, text }: LogLine): string {
  return `id: ${timeMs}\ndata: ${JSON.stringify([timeMs, level, category, text])}\n\n`;
}
