// Mutations of octets that know nothing of what they mean: what is not a structure's own generator does.

import { EDGES, type FuzzRandom } from "./random.ts";

/** No mutated input gets longer, octets. */
const LENGTH_MAX = 8192;

type Mutation = (bytes: Uint8Array, random: FuzzRandom, others: readonly Uint8Array[]) => Uint8Array;

/** One to four mutations; `others` are inputs of the same kind to take pieces from. */
export function mutate(bytes: Uint8Array, random: FuzzRandom, others: readonly Uint8Array[] = []): Uint8Array {
  let mutated = bytes;
  for (let count = random.oneIn(3) ? random.between(2, 4) : 1; count > 0; count--) {
    mutated = random.pick(MUTATIONS)(mutated, random, others);
  }
  return mutated.length > LENGTH_MAX ? mutated.subarray(0, LENGTH_MAX) : mutated;
}

const MUTATIONS: readonly Mutation[] = [
  flip,
  flip,
  setOctet,
  setOctet,
  setEdge,
  setEdge,
  setEdge,
  addToField,
  truncate,
  remove,
  repeat,
  insert,
  splice,
  swap,
];

function flip(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  return changed(bytes, (copy) => {
    copy[random.below(copy.length)]! ^= 1 << random.below(8);
  });
}

function setOctet(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  return changed(bytes, (copy) => {
    copy[random.below(copy.length)] = random.oneIn(2) ? random.below(256) : random.pick([0, 1, 0x7f, 0x80, 0xce, 0xff]);
  });
}

/** A big-endian field of 1, 2, 4 or 8 octets becomes a value at which things go wrong. */
function setEdge(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  return changed(bytes, (copy) => {
    const width = Math.min(copy.length, random.pick([1, 2, 4, 4, 8]));
    putBig(copy, random.below(copy.length - width + 1), width, random.pick(EDGES));
  });
}

/** A big-endian field becomes a little larger or smaller. */
function addToField(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  return changed(bytes, (copy) => {
    const width = Math.min(copy.length, random.pick([1, 2, 4]));
    const at = random.below(copy.length - width + 1);
    let value = 0n;
    for (let i = 0; i < width; i++) value = value << 8n | BigInt(copy[at + i]!);
    putBig(copy, at, width, value + BigInt(random.between(-3, 3)));
  });
}

function truncate(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  return bytes.slice(0, random.below(bytes.length + 1));
}

function remove(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  const [from, to] = range(bytes, random);
  return joined(bytes.subarray(0, from), bytes.subarray(to));
}

function repeat(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  const [from, to] = range(bytes, random);
  const times = random.oneIn(4) ? random.between(2, 64) : 2;
  const parts = [bytes.subarray(0, from)];
  for (let i = 0, length = 0; i < times && length < LENGTH_MAX; i++, length += to - from) {
    parts.push(bytes.subarray(from, to));
  }
  return joined(...parts, bytes.subarray(to));
}

function insert(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  const at = random.below(bytes.length + 1);
  return joined(bytes.subarray(0, at), random.bytes(random.between(1, 9)), bytes.subarray(at));
}

function splice(bytes: Uint8Array, random: FuzzRandom, others: readonly Uint8Array[]): Uint8Array {
  const other = others.length === 0 ? bytes : random.pick(others);
  const [from, to] = range(other, random);
  const at = random.below(bytes.length + 1);
  const rest = random.oneIn(2) ? at : Math.min(bytes.length, at + to - from);
  return joined(bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(rest));
}

function swap(bytes: Uint8Array, random: FuzzRandom): Uint8Array {
  const [from, to] = range(bytes, random);
  const middle = from + random.below(to - from + 1);
  return joined(
    bytes.subarray(0, from),
    bytes.subarray(middle, to),
    bytes.subarray(from, middle),
    bytes.subarray(to),
  );
}

/** Of at most 64 octets mostly: what is repeated and moved should be a field, not half the input. */
function range(bytes: Uint8Array, random: FuzzRandom): [from: number, to: number] {
  const from = random.below(bytes.length + 1);
  const most = Math.min(bytes.length - from, random.oneIn(4) ? bytes.length : 64);
  return [from, from + random.below(most + 1)];
}

function changed(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = bytes.slice();
  if (copy.length > 0) change(copy);
  return copy;
}

/** Writes the low octets of `value`. */
export function putBig(bytes: Uint8Array, at: number, width: number, value: bigint): void {
  for (let i = width - 1; i >= 0; i--) {
    bytes[at + i] = Number(BigInt.asUintN(8, value));
    value >>= 8n;
  }
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
