// The log as it is written, over server-sent events, for a console that looks on.

import type { LogLine, LogTap } from "../lib/log_tap.ts";
import { notFound } from "./problem.ts";
import type { Router } from "./router.ts";
import type { HttpServices } from "./services.ts";

/** Lines that wait for a reader; one that is slower misses some and is told so. */
const WAITING_MAX = 1_000;
/** Through proxies a silent connection would be cut, milliseconds. */
const KEEP_ALIVE_MS = 15_000;

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
      const body = eventsOf(log, headers.get("last-event-id"), (end) => exchange.onGone(end));
      return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
    },
  );
}

function eventsOf(log: LogTap, lastId: string | null, onGone: (end: () => void) => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const seenMs = Number(lastId ?? 0);
  const waiting: LogLine[] = log.last.filter(({ timeMs }) => timeMs > seenMs).slice(-WAITING_MAX);
  let missed = 0;
  let wake: (() => void) | null = null;
  let ended = false;
  const stop = log.listen((line) => {
    if (waiting.length < WAITING_MAX) waiting.push(line);
    else missed++;
    wake?.();
  });
  const end = () => {
    ended = true;
    stop();
    wake?.();
  };
  onGone(end);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (waiting.length === 0 && missed === 0 && !ended) await woken((resolve) => wake = resolve);
      wake = null;
      if (ended) return controller.close();
      const lines = waiting.splice(0);
      let text = lines.map(eventOf).join("");
      if (missed > 0) text += `event: missed\ndata: ${missed}\n\n`;
      missed = 0;
      controller.enqueue(encoder.encode(text === "" ? ": still here\n\n" : text));
    },
    cancel: end,
  }, { highWaterMark: 0 });
}

/** Resolves when woken, at the latest when it is time for a sign of life. */
function woken(arm: (resolve: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, KEEP_ALIVE_MS);
    timer.unref();
    arm(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function eventOf({ timeMs, level, category, text }: LogLine): string {
  return `id: ${timeMs}\ndata: ${JSON.stringify([timeMs, level, category, text])}\n\n`;
}
