// Messages that `tail` shows: a line each.

import type { Row } from "./api.ts";
import type { Call } from "./commands.ts";
import { tableText } from "./text.ts";

/** With the API's names. */
export interface Seen {
  readonly exchange: string;
  readonly routing_key: string;
  readonly properties: Row;
  readonly payload: string;
  readonly payload_encoding: "string" | "base64";
}

const COLUMNS = ["exchange", "routing_key", "properties", "payload"];

export async function writeHead(call: Call): Promise<void> {
  if (!call.json) await call.writeTable(COLUMNS, []);
}

export async function writeSeen(call: Call, seen: Seen): Promise<void> {
  const { exchange, routing_key, properties, payload } = seen;
  const cells = [exchange, routing_key, properties, payload];
  const line = call.json ? `${JSON.stringify(seen)}\n` : tableText([], [cells], { header: false, aligned: false });
  await call.write(line);
}
