// What happens, as it happens, over server-sent events. A reader that is slower than what happens misses some and is told how
// many; what waits for it is bounded.

import type { HttpExchange } from "../runtime/http_exchange.ts";

/** Through proxies a silent connection would be cut, milliseconds. */
export const KEEP_ALIVE_MS = 15_000;

export interface EventSource<T> {
  /** What has happened before and is still to be told. */
  readonly first: readonly T[];
  /** Tells of what happens from now on; `end` when there will be no more, with what is to be said about it. */
  listen(push: (item: T) => void, end: (text: string) => void): () => void;
  /** As an event, or several. */
  textOf(item: T): string;
  readonly waitingMax: number;
  /** What one costs while it waits, and what they may cost together. */
  readonly bytesOf?: (item: T) => number;
  readonly bytesMax?: number;
  /** Asked each time that something is about to be sent: why the reader may have no more; null while it may. */
  readonly refuses?: () => string | null;
}

export function eventStream<T>(source: EventSource<T>, exchange: HttpExchange): Response {
  const reader = new EventReader(source);
  exchange.onGone(() => reader.close());
  const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
  return new Response(reader.stream, { headers });
}

class EventReader<T> {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #source: EventSource<T>;
  readonly #stop: () => void;
  readonly #encoder = new TextEncoder();
  #waiting: T[];
  #bytes = 0;
  #missed = 0;
  #wake: (() => void) | null = null;
  #closed = false;
  /** There is no more: what is to be said about it. */
  #last: string | null = null;
  #begun = false;

  constructor(source: EventSource<T>) {
    this.#source = source;
    this.#waiting = source.first.slice(-source.waitingMax);
    this.#stop = source.listen((item) => this.#push(item), (text) => this.#end(text));
    this.stream = new ReadableStream<Uint8Array>({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.close(),
    }, { highWaterMark: 0 });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#stop();
    this.#wake?.();
  }

  #push(item: T): void {
    const { waitingMax, bytesOf, bytesMax = Infinity } = this.#source;
    const bytes = bytesOf?.(item) ?? 0;
    const fits = this.#waiting.length === 0 || (this.#waiting.length < waitingMax && this.#bytes + bytes <= bytesMax);
    if (fits) {
      this.#waiting.push(item);
      this.#bytes += bytes;
    } else {
      this.#missed++;
    }
    this.#wake?.();
  }

  #end(text: string): void {
    this.#last ??= text;
    this.#wake?.();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    // The first piece lets the reader know that it has begun.
    if (this.#begun && this.#idle) await this.#woken();
    this.#begun = true;
    if (this.#closed) return controller.close();
    const refusal = this.#source.refuses?.() ?? null;
    const text = refusal === null ? this.#takeText() : "";
    const last = refusal ?? this.#last;
    const end = last === null ? "" : `event: end\ndata: ${JSON.stringify(last)}\n\n`;
    controller.enqueue(this.#encoder.encode(text + end || ": still here\n\n"));
    if (last === null) return;
    this.close();
    controller.close();
  }

  get #idle(): boolean {
    return this.#waiting.length === 0 && this.#missed === 0 && this.#last === null && !this.#closed;
  }

  #takeText(): string {
    const items = this.#waiting.splice(0);
    const missed = this.#missed;
    this.#bytes = this.#missed = 0;
    const text = items.map((item) => this.#source.textOf(item)).join("");
    return missed > 0 ? `${text}event: missed\ndata: ${missed}\n\n` : text;
  }

  /** At the latest when it is time for a sign of life. */
  #woken(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, KEEP_ALIVE_MS);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}
