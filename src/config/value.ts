// The kinds of values that options have. Each takes the text of a file, variable or flag, or the value itself (from a
// program that embeds the broker), and says in words what it expects.

import { z } from "zod";

export interface ValueKind<T> {
  readonly schema: z.ZodType<T>;
  /** Ends the sentence "expected ...". */
  readonly expects: string;
  /** Whether the flag stands alone, without a value. */
  readonly isSwitch: boolean;
}

const TRUE_WORDS: readonly string[] = ["true", "yes", "on", "1"];
const FALSE_WORDS: readonly string[] = ["false", "no", "off", "0"];
const BYTE_UNITS: Readonly<Record<string, number>> = {
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
};

/** A whole number from `min` to `max`, both included. */
export function integer(min: number, max: number): ValueKind<number> {
  const schema = z.preprocess(integerOfText, z.int().min(min).max(max));
  return { schema, expects: `a whole number from ${min} to ${max}`, isSwitch: false };
}

/** A size in bytes, with or without a unit (KiB, MiB, GiB, and in thousands kB, MB, GB). */
export function byteSize(min: number, max: number, check: "any" | "power of two" = "any"): ValueKind<number> {
  const isAllowed = (bytes: number) => check === "any" || Number.isInteger(Math.log2(bytes));
  const schema = z.preprocess(bytesOfText, z.int().min(min).max(max).refine(isAllowed));
  const what = check === "any" ? "a size" : "a power of two";
  return { schema, expects: `${what} from ${bytesAsText(min)} to ${bytesAsText(max)}`, isSwitch: false };
}

/** A part of something, above 0 and at most 1, or a size of 2 bytes or more; 0 for none. */
export function partOrSize(whole: string, max: number): ValueKind<number> {
  const size = z.preprocess(bytesOfText, z.int().min(0).max(max));
  const part = z.preprocess(decimalOfText, z.number().min(0).max(1));
  return { schema: z.union([part, size]), expects: `a part of ${whole} (0.6) or a size`, isSwitch: false };
}

export function boolean(): ValueKind<boolean> {
  return { schema: z.preprocess(booleanOfText, z.boolean()), expects: "true or false", isSwitch: true };
}

export function oneOf<const Choice extends string>(...choices: readonly Choice[]): ValueKind<Choice> {
  return { schema: z.enum(choices), expects: `one of ${choices.join(", ")}`, isSwitch: false };
}

/** Any text but none at all. `what` says what it is. */
export function text(what: string): ValueKind<string> {
  // deno-lint-ignore no-control-regex
  return { schema: z.string().min(1).regex(/^[^\x00-\x1f\x7f]*$/), expects: what, isSwitch: false };
}

/** Any text, where none at all means nothing. */
export function textOrNone(what: string): ValueKind<string> {
  return { ...text(what), schema: z.union([z.literal(""), text(what).schema]) };
}

/** "8 MiB" for a number that is a whole count of a unit, else the plain number. */
export function bytesAsText(bytes: number): string {
  for (const [unit, name] of [[1024 ** 3, "GiB"], [1024 ** 2, "MiB"], [1024, "KiB"]] as const) {
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit} ${name}`;
  }
  return `${bytes}`;
}

function integerOfText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  // "-0" is 0 as well.
  return /^[+-]?\d{1,15}$/.test(value) ? Number(value) || 0 : undefined;
}

function decimalOfText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  return /^\d{1,15}(\.\d{1,15})?$/.test(value) ? Number(value) : undefined;
}

function bytesOfText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const parts = /^(\d{1,16})(?: ?([kmg]i?b))?$/i.exec(value);
  if (parts === null) return undefined;
  return Number(parts[1]) * (parts[2] === undefined ? 1 : BYTE_UNITS[parts[2].toLowerCase()]!);
}

function booleanOfText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const word = value.toLowerCase();
  if (TRUE_WORDS.includes(word)) return true;
  return FALSE_WORDS.includes(word) ? false : undefined;
}
