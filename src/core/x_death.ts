// The header x-death: where and why a message died, as RabbitMQ writes it. An array of tables, the newest first; one
// per queue and reason, which counts.

import type { Field, FieldTable } from "../wire/amqp_table.ts";

/** Why a message leaves a queue otherwise than by being consumed. */
export type DeathReason = "rejected" | "expired" | "maxlen" | "delivery_limit";

export interface Death {
  readonly reason: DeathReason;
  readonly queue: string;
  /** The exchange and the keys that it was published to. */
  readonly exchange: string;
  readonly routingKeys: readonly string[];
  /** Its own time to live, which does not go with it. */
  readonly expiration: string | undefined;
  readonly timeMs: number;
}

const HEADER = "x-death";

/** Adds a death to the headers of a message. */
export function addDeath(headers: FieldTable, death: Death): void {
  const deaths = deathsOf(headers);
  const index = deaths.findIndex((entry) =>
    textOf(entry, "queue") === death.queue && textOf(entry, "reason") === death.reason
  );
  const found = index < 0 ? null : deaths.splice(index, 1)[0]!;
  deaths.unshift(found === null ? entryOf(death) : countedAgain(found));
  headers.set(HEADER, { type: "A", value: deaths.map((value): Field => ({ type: "F", value })) });
  if (!headers.has("x-first-death-reason")) setNames(headers, "first", death);
  setNames(headers, "last", death);
}

/**
 * Whether a message with these headers was in the queue before and has not been rejected since: it would go round for
 * ever without anybody having had a hand in it.
 */
export function isCycle(headers: FieldTable, queue: string): boolean {
  for (const entry of deathsOf(headers)) {
    if (textOf(entry, "reason") === "rejected") return false;
    if (textOf(entry, "queue") === queue) return true;
  }
  return false;
}

/** What a client has put there and is no table of ours is passed over. */
function deathsOf(headers: FieldTable): FieldTable[] {
  const value = headers.get(HEADER)?.value;
  if (!Array.isArray(value)) return [];
  return (value as readonly Field[]).map((item) => item.value).filter((item): item is FieldTable => {
    return item instanceof Map;
  });
}

function entryOf(death: Death): FieldTable {
  const entry: FieldTable = new Map<string, Field>([
    ["count", { type: "l", value: 1 }],
    ["reason", { type: "S", value: death.reason }],
    ["queue", { type: "S", value: death.queue }],
    ["time", { type: "T", value: Math.floor(death.timeMs / 1000) }],
    ["exchange", { type: "S", value: death.exchange }],
    ["routing-keys", { type: "A", value: death.routingKeys.map((value): Field => ({ type: "S", value })) }],
  ]);
  if (death.expiration !== undefined) entry.set("original-expiration", { type: "S", value: death.expiration });
  return entry;
}

function countedAgain(entry: FieldTable): FieldTable {
  const count = entry.get("count")?.value;
  return new Map(entry).set("count", { type: "l", value: typeof count === "number" ? count + 1 : 1 });
}

function setNames(headers: FieldTable, which: "first" | "last", death: Death): void {
  headers.set(`x-${which}-death-reason`, { type: "S", value: death.reason });
  headers.set(`x-${which}-death-queue`, { type: "S", value: death.queue });
  headers.set(`x-${which}-death-exchange`, { type: "S", value: death.exchange });
}

function textOf(table: FieldTable, name: string): string | undefined {
  const value = table.get(name)?.value;
  return typeof value === "string" ? value : undefined;
}
