// What the arguments of a stream ask for, read and checked once, at declare, together with what policies add; texts are
// RabbitMQ's.

import type { Retention } from "../store/stream_store.ts";
import type { Arguments } from "./arguments.ts";
import { readDurationMs } from "./duration.ts";
import { ArgumentReader, lowerOf, numberOf, type PolicyDefinition, textOf } from "./queue_settings.ts";
import { Refusal } from "./refusal.ts";

/** RabbitMQ's largest segment, bytes. Ours are never as large: the argument can only make them smaller. */
const SEGMENT_BYTES_MAX = 3_000_000_000;
const FILTER_BYTES = { least: 16, most: 255 };

/** What only other queues can do: refused, never silently ignored. */
const REFUSED = [
  "x-expires",
  "x-message-ttl",
  "x-dead-letter-exchange",
  "x-dead-letter-routing-key",
  "x-dead-letter-strategy",
  "x-delivery-limit",
  "x-max-in-memory-length",
  "x-max-in-memory-bytes",
  "x-max-priority",
  "x-overflow",
  "x-queue-mode",
  "x-single-active-consumer",
  "x-quorum-initial-group-size",
  "x-queue-master-locator",
  "x-message-deduplication",
];

export class StreamSettings {
  readonly type = "stream";
  readonly retention: Retention;
  /** Of a full segment; null for the broker's own. */
  readonly segmentBytesMax: number | null;
  readonly consumerTimeoutMs: number | null;

  /** `text` names the queue in refusals: queue 'name' in vhost '/'. */
  constructor(args: Arguments, text: string, policy: PolicyDefinition = null) {
    const reader = new ArgumentReader(args, text);
    const maxAge = reader.text("x-max-age");
    const maxAgeMs = maxAge === null ? Infinity : readDurationMs(maxAge);
    if (maxAgeMs === null) reader.refuse("x-max-age", "invalid_max_age");
    const ofPolicy = readDurationMs(textOf(policy, "max-age") ?? "") ?? Infinity;
    const maxBytes = lowerOf(reader.count("x-max-length-bytes"), numberOf(policy, "max-length-bytes")) ?? Infinity;
    // RabbitMQ's streams have no limit by count; LavinMQ's have.
    const maxLength = lowerOf(reader.count("x-max-length"), numberOf(policy, "max-length")) ?? Infinity;
    this.retention = { maxAgeMs: Math.min(maxAgeMs!, ofPolicy), maxBytes, maxLength };
    this.segmentBytesMax = reader.count("x-stream-max-segment-size-bytes");
    if (this.segmentBytesMax !== null && this.segmentBytesMax > SEGMENT_BYTES_MAX) {
      throw new Refusal("precondition-failed", "Exceeded max value for x-stream-max-segment-size-bytes");
    }
    // Chunks and their Bloom filters are RabbitMQ's; ours looks at each message.
    const filterBytes = reader.count("x-stream-filter-size-bytes");
    if (filterBytes !== null && (filterBytes < FILTER_BYTES.least || filterBytes > FILTER_BYTES.most)) {
      throw new Refusal("precondition-failed", "Invalid value for x-stream-filter-size-bytes");
    }
    this.consumerTimeoutMs = lowerOf(reader.count("x-consumer-timeout"), numberOf(policy, "consumer-timeout"));
    const refused = REFUSED.find((name) => args.has(name));
    if (refused !== undefined) reader.refuseForType(refused, "stream");
  }
}
