// The setting `load_definitions`: a definitions file that is imported before the broker listens.

import { readFileSync } from "node:fs";
import type { Management } from "./core/management/management.ts";

/** Users that are there already stay as they are. Does nothing without a path; rejects when the file cannot be used. */
export async function loadDefinitions(management: Management, path: string): Promise<void> {
  if (path !== "") await management.importDefinitions(read(path), { keepUsers: true });
}

function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8").replace(/^\uFEFF/, ""));
  } catch (error) {
    throw new Error(`load_definitions: ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
