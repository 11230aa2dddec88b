// The corpus: inputs worth keeping, one file each, in corpus/NAME of a target. `.hex` files hold hexadecimal digits and
// comments that begin with `#`; `.txt` files are taken as they are.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FuzzTarget } from "./fuzz_target.ts";

const FOLDER = fileURLToPath(new URL("corpus", import.meta.url));

export interface CorpusEntry {
  readonly file: string;
  readonly input: Uint8Array;
}

/** All entries of a target, in the order of their names. */
export function readCorpus({ name }: Pick<FuzzTarget, "name">): readonly CorpusEntry[] {
  const folder = join(FOLDER, name);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).sort().map((file) => ({ file, input: readEntry(join(folder, file)) }));
}

/** One file of a corpus, wherever it lies. */
export function readEntry(path: string): Uint8Array {
  const bytes = readFileSync(path);
  return path.endsWith(".hex") ? fromHex(bytes.toString("utf8")) : new Uint8Array(bytes);
}

/** Keeps an input with a note on what it is; returns the file's path. A text target's note is left out. */
export function keep({ name, form }: FuzzTarget, entryName: string, input: Uint8Array, note: string): string {
  const folder = join(FOLDER, name);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${entryName}.${form === "hex" ? "hex" : "txt"}`);
  writeFileSync(path, form === "hex" ? `${note.replace(/^/gm, "# ")}\n${toHex(input)}\n` : input);
  return path;
}

export function toHex(bytes: Uint8Array): string {
  const octets = Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0"));
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += 32) lines.push(octets.slice(at, at + 32).join(" "));
  return lines.join("\n");
}

export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/#.*$/gm, "").replace(/\s+/g, "");
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new Error("expected hexadecimal octets and comments after '#'");
  return Uint8Array.from(digits.match(/../g) ?? [], (octet) => parseInt(octet, 16));
}
