// Brokers with a promise broken on purpose: a copy of src/ in which a few lines read otherwise. Bun runs them.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../support/broker_process.ts";

export interface Edit {
  /** Below src/: "store/group_commit.ts". */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** Makes the mutant anew; returns its directory. Throws when an edit does not find its place: then mend the edit. */
export function buildMutant({ name, edits }: Mutant): string {
  // Inside the project, so that packages are found.
  const directory = join(projectRoot, ".cache", "mutants", name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const part of ["src", "package.json"]) {
    cpSync(join(projectRoot, part), join(directory, part), { recursive: true });
  }
  for (const { file, find, replace } of edits) {
    const path = join(directory, "src", file);
    writeFileSync(path, replaceOnce(readFileSync(path, "utf8"), find, replace, `mutant ${name}: src/${file}`));
  }
  return directory;
}

/** `text` with the one place where `find` stands replaced. */
export function replaceOnce(text: string, find: string, replace: string, where: string): string {
  const parts = text.split(find);
  if (parts.length !== 2) throw new Error(`${where} has ${parts.length - 1} places, not one, that read: ${find}`);
  return parts.join(replace);
}
