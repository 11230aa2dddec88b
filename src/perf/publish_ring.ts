// Ready-made publishes, one behind the other, so that publishing is one copy: each message is basic.publish, content
// header and body frames; the body begins with a stamp where it has room for one, the rest is a pattern.

import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { writeBody } from "../wire/amqp_frame.ts";
import { writeBasicPublish } from "../wire/amqp_methods.ts";
import { type Properties, writeHeader } from "../wire/amqp_properties.ts";
import { STAMP_BYTES } from "./stamp.ts";

/** A ring holds at least so much, if one round of its routes is smaller. */
const RING_BYTES_MIN = 64 * 1024;

export interface Route {
  readonly exchange: string;
  readonly routingKey: string;
}

export interface MessageShape {
  readonly channel: number;
  /** Each message goes to the next of these. */
  readonly routes: readonly Route[];
  readonly bodyBytes: number;
  readonly properties: Properties;
  readonly frameBytesMax: number;
  readonly runMark: number;
}

export class PublishRing {
  /** Messages in it. */
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Where message i begins; one more entry for the end of the last. */
  readonly #starts: Float64Array;
  /** Where the clock of message i's stamp lies; empty when bodies have no room for it. */
  readonly #clocks: Float64Array;
  #next = 0;

  constructor(shape: MessageShape) {
    const out = new OutBuffer(new BufferPool());
    const starts: number[] = [0];
    const clocks: number[] = [];
    const body = new Uint8Array(shape.bodyBytes);
    for (let index = 0; index < body.length; index++) body[index] = index;
    const stamped = shape.bodyBytes >= STAMP_BYTES;
    if (stamped) new DataView(body.buffer).setUint32(0, shape.runMark);
    do {
      for (const { exchange, routingKey } of shape.routes) {
        writeBasicPublish(out, shape.channel, { exchange, routingKey, mandatory: false, immediate: false });
        writeHeader(out, shape.channel, shape.bodyBytes, shape.properties);
        if (stamped) clocks.push(out.length + 7 + 4);
        writeBody(out, shape.channel, body, 0, body.length, shape.frameBytesMax);
        starts.push(out.length);
      }
    } while (out.length + out.length / (starts.length - 1) <= RING_BYTES_MIN);
    this.#bytes = out.bytes.slice(out.start, out.end);
    this.#view = new DataView(this.#bytes.buffer);
    this.#starts = Float64Array.from(starts);
    this.#clocks = Float64Array.from(clocks);
    this.count = starts.length - 1;
  }

  /**
   * Appends at most `countMax` messages and `bytesMax` bytes, but one message anyhow, all stamped `clock`.
   * Returns how many. Hot.
   */
  write(out: OutBuffer, countMax: number, bytesMax: number, clock: number): number {
    let written = 0;
    while (written < countMax) {
      const first = this.#next;
      const startsAt = this.#starts[first]!;
      const end = Math.min(this.count, first + countMax - written);
      let next = first;
      while (next < end && (this.#starts[next + 1]! - startsAt <= bytesMax || written + next === first)) {
        if (this.#clocks.length > 0) this.#view.setUint32(this.#clocks[next]!, clock);
        next++;
      }
      if (next === first) break;
      const bytes = this.#starts[next]! - startsAt;
      out.append(this.#bytes, startsAt, bytes);
      bytesMax -= bytes;
      written += next - first;
      this.#next = next === this.count ? 0 : next;
    }
    return written;
  }
}
