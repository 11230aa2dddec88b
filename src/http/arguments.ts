// Arguments as clients send them: JSON objects, bounded.

import { type Arguments, type ArgumentValue, NO_ARGUMENTS } from "../core/arguments.ts";
import { TABLE_DEPTH_MAX, TABLE_ENTRIES_MAX } from "../limits.ts";
import type { PlainValue } from "../wire/amqp_table.ts";
import { badRequest } from "./problem.ts";

/** As a client's JSON has them. Refuses what a field table could not hold. */
export function argumentsOf(json: Readonly<Record<string, unknown>>): Arguments {
  const entries = Object.entries(json);
  if (entries.length === 0) return NO_ARGUMENTS;
  return tableOf(entries, 1);
}

function tableOf(entries: readonly [string, unknown][], depth: number): Arguments {
  if (depth > TABLE_DEPTH_MAX) throw badRequest(`arguments are nested more than ${TABLE_DEPTH_MAX} deep`);
  if (entries.length > TABLE_ENTRIES_MAX) throw badRequest(`more than ${TABLE_ENTRIES_MAX} arguments`);
  return new Map(entries.map(([name, value]) => {
    if (new TextEncoder().encode(name).length > 255) {
      throw badRequest("the name of an argument is longer than 255 bytes");
    }
    return [name, valueOf(value, depth)];
  }));
}

function valueOf(value: unknown, depth: number): ArgumentValue {
  if (Array.isArray(value)) {
    if (depth >= TABLE_DEPTH_MAX) throw badRequest(`arguments are nested more than ${TABLE_DEPTH_MAX} deep`);
    return value.map((item) => valueOf(item, depth + 1));
  }
  if (typeof value === "object" && value !== null) return tableOf(Object.entries(value), depth + 1);
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw badRequest(`the number ${value} is too large to be exact`);
  }
  return value as string | number | boolean | null;
}

/** What `tableOf` of wire/ takes. */
export function plainOf(value: unknown): PlainValue {
  return value as PlainValue;
}
