// What is printed: values as text in which nothing can pass for a line, a column or a terminal's command.

/** Control, format and separator characters, of which a terminal or a reader may make something. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

export function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replace(UNPRINTABLE, (character) => {
    return SHORT[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

/** A name in a sentence. */
export function quoted(name: string): string {
  return `'${escaped(name)}'`;
}

/** A field of the API's in a table. */
export function cellOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return escaped(value);
  if (typeof value === "number") return Number.isInteger(value) ? `${value}` : `${Math.round(value * 100) / 100}`;
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
    return `[${value.map(escaped).join(", ")}]`;
  }
  return typeof value === "object" ? escaped(JSON.stringify(value)) : `${value}`;
}

export interface TableStyle {
  readonly header: boolean;
  /** With spaces for people; otherwise with one tab between two fields, for programs. */
  readonly aligned: boolean;
}

/** Lines of a table; each ends with a line feed. Nothing at all without rows and header. */
export function tableText(
  names: readonly string[],
  rows: readonly (readonly unknown[])[],
  { header, aligned }: TableStyle,
): string {
  const lines = rows.map((row) => row.map(cellOf));
  if (header) lines.unshift([...names]);
  if (!aligned) return lines.map((line) => `${line.join("\t")}\n`).join("");
  const widths = names.map((_, column) => lines.reduce((width, line) => Math.max(width, widthOf(line[column]!)), 0));
  return lines.map((line) => {
    const cells = line.map((cell, column) => cell + " ".repeat(widths[column]! - widthOf(cell)));
    return `${cells.join("  ").trimEnd()}\n`;
  }).join("");
}

function widthOf(text: string): number {
  let width = 0;
  for (const _ of text) width++;
  return width;
}

/** `name: value` lines of an object, those within it indented. */
export function outlineText(value: Readonly<Record<string, unknown>>, indent = ""): string {
  return Object.entries(value).map(([name, field]) => {
    if (isTable(field)) return `${indent}${escaped(name)}:\n${outlineText(field, `${indent}  `)}`;
    return `${indent}${escaped(name)}: ${cellOf(field)}`.trimEnd() + "\n";
  }).join("");
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
}
