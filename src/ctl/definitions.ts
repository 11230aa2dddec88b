// Definitions files: everything that is declared, out and in; of a broker that runs, and of one that does not.

import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { at } from "./api.ts";
import type { Call, Commands } from "./commands.ts";
import { CtlFault } from "./fault.ts";
import { quoted } from "./text.ts";
import { jsonObjectOf, readInput } from "./words.ts";

/** Hashes of passwords are in it. */
const FILE_MODE = 0o600;

/**
 * What is defined in the data directory of a broker that does not run: given by whoever knows what lies there. Rejects when
 * a broker runs there all the same, and when it cannot be done; `report` is told what an operator should know.
 */
export interface StoppedBroker {
  definitionsIn(directory: string, vhost: string | null, report: (text: string) => void): Promise<object>;
  addDefinitionsTo(
    directory: string,
    definitions: object,
    vhost: string | null,
    report: (text: string) => void,
  ): Promise<void>;
}

export function addDefinitions(commands: Commands, stopped: StoppedBroker | null): void {
  commands.group("Definitions:");
  commands.add(
    "export_definitions [file]",
    "write everything that is declared, of one virtual host with -p; to standard output without a file, or -; with " +
      "--data-dir also while no broker runs there",
    async (call, file = "-") => {
      const definitions = await exported(call, await stoppedOf(call, stopped));
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
    "make what a definitions file says, all of it or nothing; from standard input without a file, or -; with --data-dir " +
      "also while no broker runs there",
    async (call, file = "-") => {
      const { flags: { vhost, dataDir = "" } } = call;
      const text = new TextDecoder().decode(await readInput(file));
      const body = jsonObjectOf(text, file === "-" ? "what standard input gives" : `the file ${quoted(file)}`);
      const broker = await stoppedOf(call, stopped);
      if (broker !== null) return await said(broker.addDefinitionsTo(dataDir, body, vhost ?? null, tell));
      await call.api.post(vhost === undefined ? at`definitions` : at`definitions/${vhost}`, "definitions", body);
    },
  );
}

async function exported(call: Call, broker: StoppedBroker | null): Promise<object> {
  const { vhost, dataDir = "" } = call.flags;
  if (broker !== null) return await said(broker.definitionsIn(dataDir, vhost ?? null, tell));
  const what = vhost === undefined ? "definitions" : `definitions of vhost ${quoted(vhost)}`;
  return await call.api.get(vhost === undefined ? at`definitions` : at`definitions/${vhost}`, what);
}

/** The one whose data directory is named, where nobody listens on its socket; else null. */
async function stoppedOf({ api, flags }: Call, stopped: StoppedBroker | null): Promise<StoppedBroker | null> {
  const { socketPath } = api.place;
  if (flags.dataDir === undefined || socketPath === null) return null;
  return await isListenedOn(socketPath) ? null : stopped;
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

async function said<T>(done: Promise<T>): Promise<T> {
  try {
    return await done;
  } catch (error) {
    throw new CtlFault(`definitions: ${(error as Error).message}`);
  }
}

function tell(text: string): void {
  process.stderr.write(`leveret ctl: ${text}\n`);
}
