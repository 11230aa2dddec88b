// Reads INI text: [sections] (dots are part of the name), `key = value` split at the first '=', comments only at the
// start of a line with ';' or '#', so that values may hold both. Values are strings; what they mean, the schema says.

import { ConfigFault } from "./fault.ts";

export interface IniEntry {
  readonly section: string;
  readonly key: string;
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface IniSection {
  readonly name: string;
  /** Where it first stands. */
  readonly line: number;
}

export interface IniFile {
  readonly sections: readonly IniSection[];
  readonly entries: readonly IniEntry[];
}

/** Throws a ConfigFault that names `fileName` and the line. A section may be continued; a key may not be repeated. */
export function parseIni(text: string, fileName: string): IniFile {
  const sections: IniSection[] = [];
  const entries: IniEntry[] = [];
  const firstLines = new Map<string, number>();
  let section: string | null = null;

  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    const content = lines[index]!.trim();
    const line = index + 1;
    const fail = (what: string): never => {
      throw new ConfigFault(`${fileName}, line ${line}: ${what}`);
    };
    if (content === "" || content.startsWith(";") || content.startsWith("#")) continue;

    if (content.startsWith("[")) {
      if (!content.endsWith("]")) fail(`expected ']' at the end of the section '${content}'`);
      const name = content.slice(1, -1).trim();
      if (name === "" || /[[\]]/.test(name)) fail(`expected a section name, found '${content}'`);
      if (!sections.some((known) => known.name === name)) sections.push({ name, line });
      section = name;
      continue;
    }

    const equals = content.indexOf("=");
    // The text itself is not repeated: a line that went wrong may hold a password.
    if (equals === -1) fail("expected 'key = value' or '[section]'");
    const key = content.slice(0, equals).trim();
    if (key === "") fail("expected a key before '='");
    if (section === null) return fail(`key '${key}' stands before the first [section]`);
    const id = `${section}\n${key}`;
    const first = firstLines.get(id);
    if (first !== undefined) fail(`key '${key}' in [${section}] is already set in line ${first}`);
    firstLines.set(id, line);
    entries.push({ section, key, value: content.slice(equals + 1).trim(), line });
  }
  return { sections, entries };
}
