// For tests and benches of streams. Not part of the product.

import { Message } from "./message.ts";
import { bodyOf, messageOf, type TestHost } from "./queue_store_testing.ts";
import type { StreamCursor, StreamStart } from "./stream_cursor.ts";
import { type Retention, StreamStore, type StreamStoreOptions } from "./stream_store.ts";

export const NO_LIMITS: Retention = { maxAgeMs: Infinity, maxBytes: Infinity, maxLength: Infinity };
export const SMALL_SEGMENTS = { segmentBytesMin: 4096, segmentBytesMax: 4096 };

export function openStream(host: TestHost, options: Partial<StreamStoreOptions> = {}): StreamStore {
  const directory = host.files.kind === "memory" ? "" : host.queueDirectory;
  return StreamStore.open({ queueId: 7, directory, retention: NO_LIMITS, ...SMALL_SEGMENTS, ...options }, host);
}

/** Appends messages with these numbers as bodies, taken in at the time of the same number. */
export function fill(stream: StreamStore, from: number, to: number): void {
  for (let i = from; i < to; i++) stream.append(streamMessage(`message ${i}`, i));
}

export function streamMessage(body: string, timestampMs: number): Message {
  const message = messageOf(body);
  message.timestampMs = timestampMs;
  // Not persistent: a stream keeps it all the same.
  message.flags = 0;
  return message;
}

/** What a cursor finds from here to the end: offset and body. */
export function readOn(cursor: StreamCursor, count = Infinity): [number, string][] {
  const message = new Message();
  const found: [number, string][] = [];
  while (found.length < count && cursor.next(message)) found.push([message.position, bodyOf(message)]);
  return found;
}

/** What a new cursor finds there. */
export function readFrom(stream: StreamStore, start: StreamStart, count = Infinity): [number, string][] {
  const cursor = stream.cursor();
  cursor.seek(start);
  const found = readOn(cursor, count);
  cursor.close();
  return found;
}

export function expected(from: number, to: number): [number, string][] {
  return Array.from({ length: to - from }, (_, i) => [from + i, `message ${from + i}`]);
}
