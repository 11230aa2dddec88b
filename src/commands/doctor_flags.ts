// The flags of `leveret doctor`, apart from what it does, which is loaded when it is called.

import { type Command, Option } from "commander";

/** It could not be done; 1 is for damage that was found. */
export const DOCTOR_EXIT_CANNOT = 2;

export function addDoctorFlags(command: Command): Command {
  return command
    .description("check a data directory that no broker uses, and repair it; or measure a disk")
    .option("--data-dir <dir>", "the data directory to check (default: the broker's, see leveret config)")
    .option("--config <file>", "INI file with the broker's settings")
    .option("--repair", "put right what is wrong, as the next start would; without it nothing is changed")
    .addOption(
      new Option("--disk <dir>", "measure how long the disk of this directory takes to sync, and what that allows")
        .conflicts(["dataDir", "config", "repair"]),
    )
    .option("--json", "print a report for programs")
    .allowExcessArguments(false)
    .addHelpText("after", HELP);
}

const HELP = `
Every record and every entry is read and its checksum checked. Damaged bytes are never delivered: a start puts them into
a folder 'quarantine' and goes on with the rest, so a repair is never needed before one.

Exit code: 0 sound, 1 damage found (with --repair: and put right) or a disk that is no good, 2 it could not be done.

  leveret doctor --data-dir /srv/leveret             what is in it, what is wrong with it
  leveret doctor --data-dir /srv/leveret --repair    the same, and put right
  leveret doctor --disk /srv                         confirms per second that this disk allows
`;
