// What the tests of the codecs share: bytes by hand, an OutBuffer's content, the ways a stream is cut, one rule.

import assert from "node:assert/strict";
import fc from "fast-check";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { ProtocolViolation } from "./amqp_frame.ts";
import type { Field, FieldTable } from "./amqp_table.ts";

/** Bytes from "01 02 'text' 03": hexadecimal octets, and ASCII between apostrophes. */
export function octets(text: string): Uint8Array {
  const parts = text.match(/'[^']*'|[0-9A-Fa-f]{2}/g) ?? [];
  return Uint8Array.from(
    parts.flatMap((part) =>
      part.startsWith("'") ? Array.from(part.slice(1, -1), (char) => char.charCodeAt(0)) : [parseInt(part, 16)]
    ),
  );
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join(" ");
}

/** What `write` writes into a fresh buffer. */
export function written(write: (out: OutBuffer) => void): Uint8Array {
  const out = new OutBuffer(new BufferPool());
  write(out);
  return out.bytes.slice(out.start, out.end);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The violation that `run` must throw. */
export function violation(run: () => unknown): ProtocolViolation {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolViolation) return error;
    throw error;
  }
  return assert.fail("no violation was thrown");
}

/** Nothing but a ProtocolViolation may come out of `run`; true when it went well. */
export function passesOrViolates(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof ProtocolViolation) return false;
    throw error;
  }
}

/** Whole; one byte each; in pieces of the given sizes, again and again. */
export function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length]!);
    parts.push(bytes.slice(at, at + size));
    at += size;
  }
  return parts;
}

/** Text that fits into a short string. */
export const shortText: fc.Arbitrary<string> = fc.string({ unit: "binary", maxLength: 63 });

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(canonical);
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(canonical);

function canonical(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** A timestamp as it is decoded. */
export const timestamp: fc.Arbitrary<number | bigint> = uint64;

const { table } = fc.letrec<{ table: FieldTable; field: Field }>((tie) => ({
  table: fc.array(fc.tuple(shortText, tie("field")), { maxLength: 6 }).map((entries) => new Map(entries)),
  field: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    fc.boolean().map((value): Field => ({ type: "t", value })),
    fc.integer({ min: -128, max: 127 }).map((value): Field => ({ type: "b", value })),
    fc.integer({ min: 0, max: 255 }).map((value): Field => ({ type: "B", value })),
    fc.integer({ min: -32768, max: 32767 }).map((value): Field => ({ type: "s", value })),
    fc.integer({ min: 0, max: 65535 }).map((value): Field => ({ type: "u", value })),
    fc.integer().map((value): Field => ({ type: "I", value })),
    fc.integer({ min: 0, max: 0xFFFFFFFF }).map((value): Field => ({ type: "i", value })),
    fc.tuple(fc.constantFrom("l" as const, "L" as const), int64).map(([type, value]): Field => ({ type, value })),
    timestamp.map((value): Field => ({ type: "T", value })),
    fc.float().map((value): Field => ({ type: "f", value })),
    fc.double().map((value): Field => ({ type: "d", value })),
    fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 0xFFFFFFFF }))
      .map(([scale, value]): Field => ({ type: "D", value: { scale, value } })),
    fc.string({ unit: "binary" }).map((value): Field => ({ type: "S", value })),
    fc.uint8Array().map((value): Field => ({ type: "x", value })),
    fc.constant<Field>({ type: "V", value: null }),
    fc.array(tie("field"), { maxLength: 6 }).map((value): Field => ({ type: "A", value })),
    tie("table").map((value): Field => ({ type: "F", value })),
  ),
}));

/** Tables of all types, nested. */
export const fieldTable: fc.Arbitrary<FieldTable> = table;
