// AMQP 0-9-1 field tables with RabbitMQ's reading of the type letters: their shape, and how code makes them of plain
// values, turns them into such, compares them and asks for one field. The bytes are amqp_table_codec.ts's.

import { assert } from "../lib/assert.ts";
import { TABLE_DEPTH_MAX } from "../limits.ts";

/**
 * letter  on the wire              `value`
 * t       boolean octet            boolean
 * b B     int8, uint8              number
 * s u     int16, uint16            number
 * I i     int32, uint32            number
 * l L     int64, both signed       number when safe, else bigint
 * T       uint64, seconds          number when safe, else bigint
 * f d     float, double            number; the raw octets of a NaN that is not the usual one
 * D       scale octet, uint32      Decimal
 * S       long string              string when UTF-8, else the octets
 * x       long string              octets
 * A F     array, table             readonly Field[], FieldTable
 * V       nothing                  null
 */
export type FieldType =
  | "t"
  | "b"
  | "B"
  | "s"
  | "u"
  | "I"
  | "i"
  | "l"
  | "L"
  | "f"
  | "d"
  | "D"
  | "S"
  | "A"
  | "T"
  | "F"
  | "V"
  | "x";

/** value / 10^scale */
export interface Decimal {
  readonly scale: number;
  readonly value: number;
}

export type FieldValue =
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Decimal
  | readonly Field[]
  | FieldTable
  | null;

export interface Field {
  readonly type: FieldType;
  readonly value: FieldValue;
}

/** Order is kept, and means nothing. */
export type FieldTable = Map<string, Field>;

/** What `tableOf` takes: JSON, and bytes, bigints and dates. */
export type PlainValue =
  | boolean
  | number
  | bigint
  | string
  | null
  | Date
  | Uint8Array
  | readonly PlainValue[]
  | { readonly [name: string]: PlainValue | undefined };

/** What `toPlain` gives. */
export type JsonValue = boolean | number | string | null | JsonValue[] | { [name: string]: JsonValue };

/**
 * A table of plain values, typed as RabbitMQ's clients do: boolean t, safe integer and bigint l, other number d,
 * string S, null V, bytes x, date T (seconds), list A, object F. Undefined is left out.
 */
export function tableOf(plain: { readonly [name: string]: PlainValue | undefined }): FieldTable {
  return tableAt(plain, 1);
}

function tableAt(plain: { readonly [name: string]: PlainValue | undefined }, depth: number): FieldTable {
  assert(depth <= TABLE_DEPTH_MAX, `plain values are nested more than ${TABLE_DEPTH_MAX} deep`);
  const table: FieldTable = new Map();
  for (const [name, value] of Object.entries(plain)) {
    if (value !== undefined) table.set(name, fieldAt(value, depth));
  }
  return table;
}

function fieldAt(value: PlainValue, depth: number): Field {
  switch (typeof value) {
    case "boolean":
      return { type: "t", value };
    case "string":
      return { type: "S", value };
    case "number":
      return { type: Number.isSafeInteger(value) ? "l" : "d", value };
    case "bigint": {
      const isSafe = value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
      return { type: "l", value: isSafe ? Number(value) : value };
    }
  }
  if (value === null) return { type: "V", value };
  if (value instanceof Uint8Array) return { type: "x", value };
  if (value instanceof Date) return { type: "T", value: Math.floor(value.getTime() / 1000) };
  if (isList(value)) {
    assert(depth < TABLE_DEPTH_MAX, `plain values are nested more than ${TABLE_DEPTH_MAX} deep`);
    return { type: "A", value: value.map((item) => fieldAt(item, depth + 1)) };
  }
  return { type: "F", value: tableAt(value, depth + 1) };
}

function isList(value: PlainValue): value is readonly PlainValue[] {
  return Array.isArray(value);
}

/**
 * The table as JSON can hold it: bytes as base64, 64-bit integers beyond 2^53 as decimal strings, NaN and the
 * infinities as null, a decimal as a number, a timestamp as seconds.
 */
export function toPlain(table: FieldTable): { [name: string]: JsonValue } {
  return Object.fromEntries(Array.from(table, ([name, field]) => [name, plainOf(field)]));
}

function plainOf(field: Field): JsonValue {
  const { type, value } = field;
  switch (typeof value) {
    case "boolean":
    case "string":
      return value;
    case "number":
      return Number.isFinite(value) ? value : null;
    case "bigint":
      return value.toString();
  }
  if (value === null) return null;
  if (value instanceof Uint8Array) return type === "f" || type === "d" ? null : base64(value);
  if (value instanceof Map) return toPlain(value);
  if (isDecimal(value)) return value.value / 10 ** value.scale;
  return (value as readonly Field[]).map(plainOf);
}

function base64(bytes: Uint8Array): string {
  let latin1 = "";
  for (const octet of bytes) latin1 += String.fromCharCode(octet);
  return btoa(latin1);
}

/**
 * Whether two tables mean the same, as RabbitMQ compares the arguments of a repeated declare: integers by value whatever
 * their width, floats likewise, everything else by type and value. The order of fields means nothing, that of items does.
 */
export function tablesEqual(a: FieldTable, b: FieldTable): boolean {
  if (a.size !== b.size) return false;
  for (const [name, field] of a) {
    const other = b.get(name);
    if (other === undefined || !fieldsEqual(field, other)) return false;
  }
  return true;
}

/** See `tablesEqual`. */
export function fieldsEqual(a: Field, b: Field): boolean {
  return typeClass(a) === typeClass(b) && valuesEqual(a.value, b.value);
}

function typeClass(field: Field): string {
  if ("bBsuIilL".includes(field.type)) return "integer";
  return field.type === "f" ? "d" : field.type;
}

function valuesEqual(a: FieldValue, b: FieldValue): boolean {
  if (a instanceof Map) return b instanceof Map && tablesEqual(a, b);
  if (a instanceof Uint8Array) {
    return b instanceof Uint8Array && a.length === b.length && a.every((octet, i) => octet === b[i]);
  }
  if (a === null || typeof a !== "object") return a === b || Number.isNaN(a) && Number.isNaN(b);
  if (isDecimal(a)) return isDecimal(b) && a.scale === b.scale && a.value === b.value;
  const items = a as readonly Field[];
  const others = b as readonly Field[];
  return items.length === others.length && items.every((item, i) => fieldsEqual(item, others[i]!));
}

/** The value of a field of any integer type; undefined when there is none of this name or it is of another type. */
export function getInteger(table: FieldTable, name: string): number | bigint | undefined {
  const field = table.get(name);
  if (field === undefined || typeClass(field) !== "integer") return undefined;
  return field.value as number | bigint;
}

/** The text of a field of type S; undefined when there is none of this name or it is of another type or not UTF-8. */
export function getString(table: FieldTable, name: string): string | undefined {
  const field = table.get(name);
  return field?.type === "S" && typeof field.value === "string" ? field.value : undefined;
}

/** A decimal as the wire can hold it. */
export function isDecimal(value: FieldValue): value is Decimal {
  return value !== null && typeof value === "object" && "scale" in value &&
    isInteger(value.scale, 0, 0xFF) && isInteger(value.value, 0, 0xFFFFFFFF);
}

/** Whether `value` is an integer within these bounds, both included. */
export function isInteger(value: FieldValue, lowest: number, highest: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= lowest && value <= highest;
}
