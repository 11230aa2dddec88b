// Field tables of AMQP as the plain arguments that core/ understands.

import { type Arguments, type ArgumentValue, NO_ARGUMENTS } from "../core/arguments.ts";
import type { Decimal, Field, FieldTable, FieldValue } from "../wire/amqp_table.ts";

export function fromTable(table: FieldTable): Arguments {
  if (table.size === 0) return NO_ARGUMENTS;
  return new Map([...table].map(([key, field]) => [key, fromValue(field.value)]));
}

function fromValue(value: FieldValue): ArgumentValue {
  if (value === null || typeof value !== "object") return value;
  // Copied: what a decoder returns may lie in a buffer that is used again.
  if (value instanceof Uint8Array) return value.slice();
  if (value instanceof Map) return fromTable(value);
  if (Array.isArray(value)) return (value as Field[]).map((member) => fromValue(member.value));
  const decimal = value as Decimal;
  return decimal.value / 10 ** decimal.scale;
}
