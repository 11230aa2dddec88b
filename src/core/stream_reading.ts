// What a consumer of a stream asks for: where to begin, which messages, and whether the broker remembers how far it
// came. Texts of refusals are RabbitMQ's.

import { steadyMs } from "../lib/clock.ts";
import type { StreamStart } from "../store/stream_cursor.ts";
import type { Field, FieldTable } from "../wire/amqp_table.ts";
import type { ConsumeRequest, QueueType } from "./any_queue.ts";
import { readDurationMs } from "./duration.ts";
import { moduleOf } from "./queue_settings.ts";
import { Refusal } from "./refusal.ts";
import { readFlag, StreamFilter } from "./stream_filter.ts";

/** Beginning of the tags that the broker makes: nobody comes back with one of these. */
const GENERATED_TAG = "amq.ctag-";
const STREAM_ARGUMENTS = ["x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered"];
const QUEUE_ARGUMENTS = ["x-priority"];
const INTEGER_TYPES = "bBsuIilL";
const NEXT: StreamStart = { kind: "next" };

export interface StreamReading {
  /** Null: where it left off, or what comes next. */
  readonly start: StreamStart | null;
  readonly filter: StreamFilter | null;
  /** The name under which the broker remembers how far it came; null when it does not. */
  readonly tracked: string | null;
}

/** `text` names the queue in refusals: queue 'name' in vhost '/'. */
export function readReading(
  { tag, prefetch, prefetchIsShared, args }: ConsumeRequest,
  noAck: boolean,
  text: string,
): StreamReading {
  if (prefetch === 0) {
    throw new Refusal("precondition-failed", `consumer prefetch count is not set for stream ${text}`);
  }
  if (noAck) throw new Refusal("not-implemented", `automatic acknowledgement not supported by stream ${text}`);
  if (prefetchIsShared) throw new Refusal("not-implemented", `${text} does not support global qos`);
  const offset = args.get("x-stream-offset");
  const start = offset === undefined ? null : readStart(offset, text);
  const filter = StreamFilter.of(args, text);
  const tracks = args.has("x-stream-automatic-offset-tracking")
    ? readFlag(args, "x-stream-automatic-offset-tracking", text)
    : start === null && !tag.startsWith(GENERATED_TAG);
  return { start, filter, tracked: tracks ? tag : null };
}

/** Where a consumer begins that came up to `trackedOffset` before, null when nothing is known of it. */
export function startOf({ start }: StreamReading, trackedOffset: number | null): StreamStart {
  return trackedOffset === null ? start ?? NEXT : { kind: "offset", offset: trackedOffset };
}

/** RabbitMQ's offset specifications, and negative ones, which count back from the end. */
function readStart({ type, value }: Field, text: string): StreamStart {
  if (value === "first" || value === "last" || value === "next") return { kind: value };
  if (type === "T") return { kind: "timestamp", timestampMs: Number(value) * 1000 };
  if (INTEGER_TYPES.includes(type)) return { kind: "offset", offset: Number(value) };
  const durationMs = typeof value === "string" ? readDurationMs(value) : null;
  if (durationMs !== null) return { kind: "timestamp", timestampMs: steadyMs() - durationMs };
  const term = typeof value === "string" ? `{longstr,<<"${value}">>}` : "{invalid_offset_arg,undefined}";
  throw new Refusal(
    "precondition-failed",
    `invalid arg 'x-stream-offset' for ${text}: {invalid_stream_offset_arg,${term}}`,
  );
}

/** Refuses arguments of consumers that queues of this type do not have. */
export function checkConsumerArguments(args: FieldTable, type: QueueType, text: string): void {
  if (args.size === 0) return;
  const refused = (type === "stream" ? QUEUE_ARGUMENTS : STREAM_ARGUMENTS).find((name) => args.has(name));
  if (refused === undefined) return;
  throw new Refusal("precondition-failed", `invalid arg '${refused}' for ${text} of queue type ${moduleOf(type)}`);
}
