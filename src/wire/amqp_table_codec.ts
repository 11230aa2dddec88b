// Field tables on the wire (AMQP 4.2.5.5); their shape is in amqp_table.ts. Fields keep their type, so that what was
// decoded encodes to the same bytes again. Two things are not kept: of several fields of one name the last wins (at
// the place of the first), and a boolean octet above 1 becomes 1.
//
//   table: long size, then fields: shortstr name, octet type, value
//   array: long size, then items:                  octet type, value

import { assert } from "../lib/assert.ts";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { TABLE_DEPTH_MAX, TABLE_ENTRIES_MAX } from "../limits.ts";
import { type Field, type FieldTable, type FieldType, type FieldValue, isDecimal, isInteger } from "./amqp_table.ts";
import {
  copyOf,
  decodeUtf8,
  malformed,
  putLong,
  putLongBytes,
  putLongString,
  putOctet,
  putShort,
  putShortString,
  ValueReader,
} from "./amqp_values.ts";

/** Decodes a table that is bytes[at..at+size) with its size before it. Throws ProtocolViolation 501. */
export function decodeTable(bytes: Uint8Array, at: number, size: number): FieldTable {
  const reader = new ValueReader(bytes, at, size);
  const table = readTable(reader);
  reader.finish();
  return table;
}

/** Reads a table with its size before it. Throws ProtocolViolation 501; nesting and entries have limits. */
export function readTable(reader: ValueReader): FieldTable {
  return new TableDecoder(reader).table(1);
}

/** One decoding of a table with all that is nested in it: `#entries` counts over all levels. */
class TableDecoder {
  readonly #reader: ValueReader;
  #entries = 0;

  constructor(reader: ValueReader) {
    this.#reader = reader;
  }

  table(depth: number): FieldTable {
    const reader = this.#reader;
    const end = this.#enter(depth);
    const table: FieldTable = new Map();
    while (reader.at < reader.end) {
      const name = reader.shortString();
      table.set(name, this.#field(depth));
    }
    reader.end = end;
    return table;
  }

  #array(depth: number): Field[] {
    const reader = this.#reader;
    const end = this.#enter(depth);
    const items: Field[] = [];
    while (reader.at < reader.end) items.push(this.#field(depth));
    reader.end = end;
    return items;
  }

  /** Reads the size of a table or array and makes its end the reader's; returns the end that was. */
  #enter(depth: number): number {
    if (depth > TABLE_DEPTH_MAX) throw malformed(`a field table is nested more than ${TABLE_DEPTH_MAX} deep`);
    const reader = this.#reader;
    const size = reader.long();
    const end = reader.end;
    if (size > end - reader.at) throw malformed(`a table of ${size} octets, ${end - reader.at} left`);
    reader.end = reader.at + size;
    return end;
  }

  #field(depth: number): Field {
    this.#entries += 1;
    if (this.#entries > TABLE_ENTRIES_MAX) throw malformed(`a field table has more than ${TABLE_ENTRIES_MAX} fields`);
    const reader = this.#reader;
    const letter = reader.octet();
    const type = String.fromCharCode(letter) as FieldType;
    return { type, value: this.#value(type, depth) };
  }

  #value(type: FieldType, depth: number): FieldValue {
    const reader = this.#reader;
    switch (type) {
      case "S": {
        const count = reader.long();
        const at = reader.take(count);
        return decodeUtf8(reader.bytes, at, count) ?? copyOf(reader.bytes, at, count);
      }
      case "t":
        return reader.octet() !== 0;
      case "b":
        return reader.octet() << 24 >> 24;
      case "B":
        return reader.octet();
      case "s":
        return reader.short() << 16 >> 16;
      case "u":
        return reader.short();
      case "I":
        return reader.long() | 0;
      case "i":
        return reader.long();
      case "l":
      case "L":
        return reader.int64();
      case "T":
        return reader.uint64();
      case "f":
      case "d":
        return this.#float(type === "f" ? 4 : 8);
      case "D":
        return { scale: reader.octet(), value: reader.long() };
      case "x":
        return reader.longBytes();
      case "V":
        return null;
      case "A":
        return this.#array(depth + 1);
      case "F":
        return this.table(depth + 1);
      default:
        throw malformed(`unknown field type ${(type as string).charCodeAt(0)}`);
    }
  }

  #float(count: 4 | 8): number | Uint8Array {
    const { bytes } = this.#reader;
    const at = this.#reader.take(count);
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, count);
    const value = count === 4 ? view.getFloat32(0) : view.getFloat64(0);
    if (!Number.isNaN(value)) return value;
    const usual = count === 4 ? view.getUint32(0) === 0x7FC00000 : view.getBigUint64(0) === 0x7FF8000000000000n;
    return usual ? NaN : copyOf(bytes, at, count);
  }
}

/** The bytes of a table with its size before it. Costs a buffer of its own: on hot paths `putTable`. */
export function encodeTable(table: FieldTable): Uint8Array {
  const out = new OutBuffer(new BufferPool());
  putTable(out, table);
  return out.bytes.slice(out.start, out.end);
}

/** Appends a table with its size before it. An AssertionFault on a value that its type cannot hold. */
export function putTable(out: OutBuffer, table: FieldTable, depth = 1): void {
  assert(depth <= TABLE_DEPTH_MAX, `a field table is nested more than ${TABLE_DEPTH_MAX} deep`);
  const mark = out.reserve(4) - out.start;
  for (const [name, field] of table) {
    putShortString(out, name);
    putField(out, field, depth);
  }
  patchSize(out, mark);
}

function putArray(out: OutBuffer, items: readonly Field[], depth: number): void {
  assert(depth <= TABLE_DEPTH_MAX, `a field array is nested more than ${TABLE_DEPTH_MAX} deep`);
  const mark = out.reserve(4) - out.start;
  for (const item of items) putField(out, item, depth);
  patchSize(out, mark);
}

function patchSize(out: OutBuffer, mark: number): void {
  const at = out.start + mark;
  out.view.setUint32(at, out.end - at - 4);
}

function putField(out: OutBuffer, field: Field, depth: number): void {
  const { type, value } = field;
  putOctet(out, type.charCodeAt(0));
  switch (type) {
    case "S":
    case "x":
      if (typeof value === "string") return putLongString(out, value);
      if (value instanceof Uint8Array) return putLongBytes(out, value);
      break;
    case "t":
      if (typeof value === "boolean") return putOctet(out, value ? 1 : 0);
      break;
    case "b":
      if (isInteger(value, -0x80, 0x7F)) return putOctet(out, value);
      break;
    case "B":
      if (isInteger(value, 0, 0xFF)) return putOctet(out, value);
      break;
    case "s":
      if (isInteger(value, -0x8000, 0x7FFF)) return putShort(out, value);
      break;
    case "u":
      if (isInteger(value, 0, 0xFFFF)) return putShort(out, value);
      break;
    case "I":
      if (isInteger(value, -0x80000000, 0x7FFFFFFF)) return putLong(out, value);
      break;
    case "i":
      if (isInteger(value, 0, 0xFFFFFFFF)) return putLong(out, value);
      break;
    case "l":
    case "L":
      if (isInt64(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value)) return putInt64(out, value);
      break;
    case "T":
      if (isInt64(value) && BigInt.asUintN(64, BigInt(value)) === BigInt(value)) return putInt64(out, value);
      break;
    case "f":
    case "d":
      if (typeof value === "number" || value instanceof Uint8Array) return putFloat(out, value, type === "f" ? 4 : 8);
      break;
    case "D":
      if (isDecimal(value)) {
        putOctet(out, value.scale);
        return putLong(out, value.value);
      }
      break;
    case "V":
      return;
    case "A":
      if (isArray(value)) return putArray(out, value, depth + 1);
      break;
    case "F":
      if (value instanceof Map) return putTable(out, value, depth + 1);
      break;
  }
  assert(false, `a field of type ${type} cannot hold ${String(value)}`);
}

function putInt64(out: OutBuffer, value: number | bigint): void {
  const at = out.reserve(8);
  out.view.setBigInt64(at, BigInt(value));
}

function putFloat(out: OutBuffer, value: number | Uint8Array, count: 4 | 8): void {
  if (typeof value !== "number") {
    assert(value.length === count, `a raw float has ${value.length} octets, ${count} expected`);
    return out.append(value);
  }
  const at = out.reserve(count);
  if (count === 4) out.view.setFloat32(at, value);
  else out.view.setFloat64(at, value);
}

function isInt64(value: FieldValue): value is number | bigint {
  return typeof value === "bigint" || Number.isSafeInteger(value);
}

function isArray(value: FieldValue): value is readonly Field[] {
  return Array.isArray(value);
}
