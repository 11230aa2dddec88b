// `leveret doctor`: a look at a data directory while no broker runs on it, and at a disk. Exit codes: 0 sound, 1 damage
// found (or a disk that is no good), 2 it could not be done.

import { readFileSync } from "node:fs";
import process from "node:process";
import type { Command } from "commander";
import { configOf } from "../config/config.ts";
import { loadSettings } from "../config/load.ts";
import { checkDataDir } from "../doctor/check_data_dir.ts";
import { dataDirText } from "../doctor/data_dir_text.ts";
import { diskText } from "../doctor/disk_text.ts";
import { measureDisk } from "../doctor/measure_disk.ts";
import { currentRuntime } from "../runtime/current.ts";
import { DOCTOR_EXIT_CANNOT } from "./doctor_flags.ts";
import { fail } from "./failure.ts";

const EXIT_DAMAGE = 1;

interface Options {
  readonly dataDir?: string;
  readonly config?: string;
  readonly disk?: string;
  readonly repair?: true;
  readonly json?: true;
}

/** Ends the process. */
export async function doctor(command: Command): Promise<void> {
  const options = command.opts<Options>();
  try {
    const { text, isGood } = await examine(options);
    await written(text);
    process.exit(isGood ? 0 : EXIT_DAMAGE);
  } catch (error) {
    fail(error, false, DOCTOR_EXIT_CANNOT);
  }
}

async function examine({ disk, dataDir, config, repair, json }: Options): Promise<{ text: string; isGood: boolean }> {
  const runtime = await currentRuntime();
  if (disk !== undefined) {
    const report = await measureDisk(runtime, disk);
    return { text: json ? toJson(report) : diskText(report), isGood: report.warnings.length === 0 };
  }
  const flags = { ...(dataDir === undefined ? {} : { dataDir }), ...(config === undefined ? {} : { config }) };
  const settings = configOf(loadSettings(flags, process.env, (path) => readFileSync(path, "utf8")).values);
  const report = checkDataDir(runtime, {
    directory: settings.dataDir,
    segmentBytes: settings.segmentBytes,
    repairs: repair === true,
  });
  return { text: json ? toJson(report) : dataDirText(report), isGood: report.isSound };
}

function toJson(report: unknown): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** A pipe takes it in pieces, and exiting would cut it. */
function written(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}
