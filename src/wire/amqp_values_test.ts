import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { BufferPool, OUT_BUFFER_BYTES, OutBuffer } from "../lib/out_buffer.ts";
import { FRAME_METHOD } from "./amqp_frame.ts";
import { hexOf, octets, violation, written } from "./amqp_testing.ts";
import {
  beginFrame,
  decodeUtf8,
  dropFrame,
  endFrame,
  fitShortString,
  putLonglong,
  putLongString,
  putOctet,
  putShortString,
  ValueReader,
} from "./amqp_values.ts";

function decoded(bytes: Uint8Array): string | null {
  return decodeUtf8(bytes, 0, bytes.length);
}

test("any text survives UTF-8, as the platform writes it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const bytes = new TextEncoder().encode(text);
      assert.equal(decoded(bytes), text);
      assert.deepEqual(written((out) => putLongString(out, text)).subarray(4), bytes);
    }),
  );
});

test("exactly what the platform's strict decoder refuses is no UTF-8", () => {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const lead = fc.constantFrom(0x41, 0x80, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF);
  const more = fc.constantFrom(0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0);
  fc.assert(
    fc.property(fc.array(fc.oneof(lead, more), { maxLength: 6 }), (list) => {
      const bytes = Uint8Array.from(list);
      let expected: string | null = null;
      try {
        expected = strict.decode(bytes);
      } catch {
        // Not UTF-8.
      }
      assert.equal(decoded(bytes), expected);
    }),
    { numRuns: 2000 },
  );
});

test("short strings hold 255 octets and not 256", () => {
  for (const text of ["x".repeat(255), "é".repeat(127) + "x"]) {
    const bytes = written((out) => putShortString(out, text));
    assert.equal(bytes.length, 256);
    assert.equal(new ValueReader(bytes, 0, 256).shortString(), text);
  }
  for (const text of ["x".repeat(256), "é".repeat(128)]) {
    assert.throws(() => written((out) => putShortString(out, text)), { name: "AssertionFault" });
  }
});

test("texts are shortened to whole characters that fit into a short string", () => {
  assert.equal(fitShortString("short"), "short");
  assert.equal(fitShortString("x".repeat(300)), "x".repeat(255));
  assert.equal(fitShortString("é".repeat(200)), "é".repeat(127));
  assert.equal(fitShortString("x" + "é".repeat(200)), "x" + "é".repeat(127));
  assert.equal(fitShortString("😀".repeat(100)), "😀".repeat(63));
});

test("64-bit integers are exact up to 2^53 and as bigints beyond", () => {
  for (const value of [0, 1, 0xFFFFFFFF, 0x100000000, Number.MAX_SAFE_INTEGER]) {
    const bytes = written((out) => putLonglong(out, value));
    assert.equal(new ValueReader(bytes, 0, 8).longlong(), value);
    assert.equal(new ValueReader(bytes, 0, 8).uint64(), value);
    assert.equal(new ValueReader(bytes, 0, 8).int64(), value);
  }
  const bytes = octets("FFDFFFFFFFFFFFFF");
  assert.equal(new ValueReader(bytes, 0, 8).uint64(), 0xFFDFFFFFFFFFFFFFn);
  assert.equal(new ValueReader(bytes, 0, 8).int64(), BigInt.asIntN(64, 0xFFDFFFFFFFFFFFFFn));
});

test("reading stays inside the run it was given, whatever lies behind", () => {
  const bytes = octets("00 05 'abcdefgh'");
  assert.equal(violation(() => new ValueReader(bytes, 1, 5).shortString()).code, 501);
  assert.equal(new ValueReader(bytes, 1, 6).shortString(), "abcde");
  assert.equal(violation(() => new ValueReader(bytes, 1, 2).long()).code, 501);
  assert.equal(violation(() => new ValueReader(bytes, 1, 1).finish()).code, 501);
});

test("a frame that is dropped leaves what stood before it", () => {
  const bytes = written((out) => {
    putOctet(out, 0x11);
    const mark = beginFrame(out, FRAME_METHOD, 7);
    putLongString(out, "half written");
    dropFrame(out, mark);
    putOctet(out, 0x22);
  });
  assert.equal(hexOf(bytes), "11 22");
});

test("a frame is closed where it began although the buffer has moved meanwhile", () => {
  const out = new OutBuffer(new BufferPool());
  out.append(new Uint8Array(OUT_BUFFER_BYTES - 20));
  out.consume(OUT_BUFFER_BYTES - 30);
  const before = out.length;
  const mark = beginFrame(out, FRAME_METHOD, 0x0102);
  putLongString(out, "x".repeat(100_000));
  endFrame(out, mark);
  const frame = out.bytes.subarray(out.start + before, out.end);
  assert.equal(hexOf(frame.subarray(0, 7)), "01 01 02 00 01 86 a4");
  assert.equal(frame.length, 100_004 + 8);
  assert.equal(frame[frame.length - 1], 0xCE);
});
