// Values of arguments and headers as text that is the same exactly when they are: for keys of maps, and for hashing.

import type { Field, FieldValue } from "../wire/amqp_table.ts";
import type { ArgumentValue } from "./arguments.ts";

type Value = ArgumentValue | FieldValue | Field;

/** Numbers by value whatever their width, tables without regard to order. */
export function canonicalText(value: Value): string {
  switch (typeof value) {
    case "string":
      return `s${value.length}:${value}`;
    case "boolean":
      return value ? "t" : "f";
    case "bigint":
      return `i${value};`;
    case "number":
      return numberText(value);
  }
  if (value === null) return "v";
  if (value instanceof Uint8Array) return `x${value.length}:${Array.from(value).join()}`;
  if (value instanceof Map) {
    const members = [...value as ReadonlyMap<string, Value>].sort(([a], [b]) => a < b ? -1 : 1);
    return `{${members.map(([key, member]) => canonicalText(key) + canonicalText(member)).join("")}}`;
  }
  if (Array.isArray(value)) return `[${(value as readonly Value[]).map(canonicalText).join("")}]`;
  if ("scale" in value) return numberText(value.value / 10 ** value.scale);
  return canonicalText((value as Field).value);
}

function numberText(value: number): string {
  return Number.isInteger(value) ? `i${BigInt(value)};` : `d${value};`;
}
