// What comes into a queue, shown as it comes and taken from nobody, over server-sent events.

import { z } from "@hono/zod-openapi";
import { Refusal } from "../core/refusal.ts";
import { TAILS_MAX } from "../limits.ts";
import { copyOfMessage, type Message } from "../store/message.ts";
import { eventStream } from "./event_stream.ts";
import { messageJson } from "./message_json.ts";
import { notFound, Problem, problemOf } from "./problem.ts";
import { NOBODY } from "./queues.ts";
import type { Router } from "./router.ts";

/** Messages that wait for one reader, and what they may take, bytes; one always may. */
const WAITING_MAX = 1_000;
const WAITING_BYTES_MAX = 1024 * 1024;
const PAYLOAD_BYTES = 64 * 1024;
const PAYLOAD_BYTES_MAX = 1024 * 1024;

const tailQuery = z.object({
  encoding: z.enum(["auto", "base64"]).default("auto"),
  truncate: z.string().regex(/^\d{1,9}$/, "expected a whole number").transform(Number)
    .refine((bytes) => bytes <= PAYLOAD_BYTES_MAX, `at most ${PAYLOAD_BYTES_MAX}`)
    .default(PAYLOAD_BYTES).describe("bytes of a payload that are shown"),
});

interface Seen {
  readonly message: Message;
  readonly bodyBytes: number;
}

export function addTail(router: Router): void {
  let open = 0;
  router.add(
    "get",
    "/api/queues/{vhost}/{name}/tail",
    {
      summary: "What comes into a queue, as it comes, without taking it from anybody (text/event-stream)",
      tag: "Messages",
      query: tailQuery,
      statuses: [200],
    },
    ({ params, query, caller, exchange }) => {
      const vhost = caller.vhost(params.vhost);
      const queue = vhost.queues.get(params.name);
      if (queue === undefined) throw notFound();
      const { encoding, truncate } = query;
      const authorize = () => caller.authorize(vhost, "read", "queue", queue.name);
      authorize();
      // What belongs to a connection is its own affair.
      vhost.usableQueue(queue.name, NOBODY);
      if (open >= TAILS_MAX) throw new Problem(503, "too_many_tails", `${TAILS_MAX} queues are followed already`);
      return eventStream<Seen>({
        first: [],
        listen(push, end) {
          const stop = queue.observe({
            saw: (message) => push({ message: copyOfMessage(message, truncate), bodyBytes: message.bodyBytes }),
            ended: () => end(`${vhost.queueText(queue.name)} is deleted`),
          });
          open++;
          return () => {
            open--;
            stop();
          };
        },
        textOf: ({ message, bodyBytes }) => {
          return `data: ${JSON.stringify(messageJson(message, encoding, truncate, bodyBytes))}\n\n`;
        },
        waitingMax: WAITING_MAX,
        bytesOf: ({ message }) => message.route.length,
        bytesMax: WAITING_BYTES_MAX,
        refuses: () => refusalOf(authorize),
      }, exchange);
    },
  );
}

/** What an administrator takes away is gone at once, also for who looks on. */
function refusalOf(authorize: () => void): string | null {
  try {
    authorize();
    return null;
  } catch (error) {
    if (error instanceof Refusal) return problemOf(error)?.message ?? error.message;
    throw error;
  }
}
