// Arguments of the command line that are more than a name: JSON, passwords, files; and standard input.

import { readFileSync } from "node:fs";
import process from "node:process";
import { InvalidArgumentError } from "commander";
import { CtlFault, usageFault } from "./fault.ts";
import { quoted } from "./text.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** `what` names it in what is said when it is none: "the definition". */
export function jsonOf(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw usageFault(`${what} is not JSON: ${quoted(text.slice(0, 100))}`);
  }
}

export function jsonObjectOf(text: string, what: string): JsonObject {
  const value = jsonOf(text, what);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw usageFault(`${what} is not a JSON object: ${quoted(text.slice(0, 100))}`);
}

/** For an option of commander's. */
export function jsonOption(what: string): (text: string) => JsonObject {
  return (text) => jsonObjectOf(text, what);
}

/** For an option of commander's: whole numbers in a range. */
export function integer(lowest: number, highest: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= lowest && value <= highest) return value;
    throw new InvalidArgumentError(`a whole number from ${lowest} to ${highest} expected`);
  };
}

/** For an option of commander's: `name=value`, any number of times. Values that are JSON are taken as such. */
export function argumentOption(text: string, before: JsonObject = {}): JsonObject {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("name=value expected");
  return { ...before, [text.slice(0, equals)]: plainValue(text.slice(equals + 1)) };
}

function plainValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What is written, or the first line of standard input where nothing is or `-`: others see command lines. */
export async function passwordOf(word: string | undefined): Promise<string> {
  if (word !== undefined && word !== "-") return word;
  const line = process.stdin.isTTY ? await typedUnseen() : /^[^\r\n]*/.exec((await readStandardInput()).toString())![0];
  if (line === "") throw usageFault("a password is expected on standard input");
  return line;
}

/** The file's bytes; `-` is standard input. */
export async function readInput(file: string): Promise<Uint8Array> {
  if (file === "-") return await readStandardInput();
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CtlFault(`cannot read ${quoted(file)}: ${(error as Error).message}`);
  }
}

async function readStandardInput(): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of process.stdin) parts.push(part as Uint8Array);
  return Buffer.concat(parts);
}

/** A line from a terminal that does not show it. */
async function typedUnseen(): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write("Password: ");
  stdin.setRawMode(true);
  stdin.setEncoding("utf8");
  try {
    let line = "";
    for await (const text of stdin) {
      for (const character of text as string) {
        if (character === "\r" || character === "\n" || character === "\x04") return line;
        if (character === "\x03") throw new CtlFault("interrupted", 130);
        if (character === "\x7f" || character === "\b") line = [...line].slice(0, -1).join("");
        else line += character;
      }
    }
    return line;
  } finally {
    stdin.setRawMode(false);
    stderr.write("\n");
  }
}
