// One message on its way through exchanges: its routing keys, and what is decoded of it, once and only if asked for.

import { Message } from "../../store/message.ts";
import { findProperty, PROPERTY_TIMESTAMP } from "../../wire/amqp_properties.ts";
import type { FieldTable } from "../../wire/amqp_table.ts";
import { readLong } from "../../wire/amqp_values.ts";
import { readHeadersOrNone } from "../message_headers.ts";

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const NOTHING = new Message();

export class Routing {
  keys: readonly string[] = [];
  /** Nobody has asked for more than the keys, so that others with the same ones go the same way. */
  byKeysAlone = true;
  #message = NOTHING;
  #headers: FieldTable | null | undefined = undefined;

  begin(keys: readonly string[], message: Message): void {
    this.keys = keys;
    this.byKeysAlone = true;
    this.#message = message;
    this.#headers = undefined;
  }

  /** Lets go of the message. */
  end(): void {
    this.begin([], NOTHING);
  }

  get headers(): FieldTable | null {
    this.byKeysAlone = false;
    if (this.#headers === undefined) this.#headers = readHeadersOrNone(this.#message);
    return this.#headers;
  }

  /** A property that is a short string or the timestamp, as text; empty when there is none. */
  propertyText(flag: number): string {
    this.byKeysAlone = false;
    const { header, headerAt } = this.#message;
    const at = findProperty(header, headerAt, flag);
    if (at < 0) return "";
    if (flag === PROPERTY_TIMESTAMP) return `${readLong(header, at)}:${readLong(header, at + 4)}`;
    return DECODER.decode(header.subarray(at + 1, at + 1 + header[at]!));
  }
}
