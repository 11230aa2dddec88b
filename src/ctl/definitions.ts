// Definitions files: everything that is declared, out and in.

import { writeFileSync } from "node:fs";
import { at } from "./api.ts";
import type { Commands } from "./commands.ts";
import { CtlFault } from "./fault.ts";
import { quoted } from "./text.ts";
import { jsonObjectOf, readInput } from "./words.ts";

/** Hashes of passwords are in it. */
const FILE_MODE = 0o600;

export function addDefinitions(commands: Commands): void {
  commands.group("Definitions:");
  commands.add(
    "export_definitions [file]",
    "write everything that is declared, of one virtual host with -p; to standard output without a file, or -",
    async (call, file = "-") => {
      const { vhost } = call.flags;
      const what = vhost === undefined ? "definitions" : `definitions of vhost ${quoted(vhost)}`;
      const definitions = await call.api.get(vhost === undefined ? at`definitions` : at`definitions/${vhost}`, what);
      if (file === "-") return await call.writeJson(definitions);
      try {
        writeFileSync(file, `${JSON.stringify(definitions, null, 2)}\n`, { mode: FILE_MODE });
      } catch (error) {
        throw new CtlFault(`cannot write ${quoted(file)}: ${(error as Error).message}`);
      }
    },
  );
  commands.add(
    "import_definitions [file]",
    "make what a definitions file says, all of it or nothing; from standard input without a file, or -",
    async ({ api, flags: { vhost } }, file = "-") => {
      const text = new TextDecoder().decode(await readInput(file));
      const body = jsonObjectOf(text, file === "-" ? "what standard input gives" : `the file ${quoted(file)}`);
      await api.post(vhost === undefined ? at`definitions` : at`definitions/${vhost}`, "definitions", body);
    },
  );
}
