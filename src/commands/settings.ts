// The flags of the commands that take the broker's settings, made from the option table, and the way from flags to
// settings.

import { readFileSync } from "node:fs";
import process from "node:process";
import type { Command } from "commander";
import { type Flags, loadSettings, type Settings } from "../config/load.ts";
import { flagName, OPTION_NAMES, type OptionName, OPTIONS } from "../config/options.ts";

/** Adds one flag per option that has one, and --config. */
export function addFlags(command: Command): Command {
  command.option("--config <file>", "INI file with settings; environment variables and flags go before it");
  for (const name of OPTION_NAMES) {
    const { flag, help, kind, fallback } = OPTIONS[name];
    if (flag === null) continue;
    const isPlain = kind.isSwitch || fallback === null;
    command.option(flag, isPlain ? switchHelp(flag, help) : `${help} (${kind.expects}; default ${fallback})`);
  }
  return command;
}

/** The settings that `command`'s flags, the environment and the file make. Throws a ConfigFault. */
export function settingsOf(command: Command): Settings {
  return loadSettings(flagsOf(command), process.env, (path) => readFileSync(path, "utf8"));
}

/** What was really given: commander reports defaults of `--no-...` flags as values. */
function flagsOf(command: Command): Flags {
  const given: Partial<Record<OptionName | "config", string | boolean>> = {};
  const take = (name: OptionName | "config", attribute: string) => {
    if (command.getOptionValueSource(attribute) === "cli") given[name] = command.getOptionValue(attribute);
  };
  take("config", "config");
  for (const name of OPTION_NAMES) {
    const flag = flagName(OPTIONS[name]);
    if (flag !== null) take(name, camelCase(flag.replace(/^--(no-)?/, "")));
  }
  return given as Flags;
}

function switchHelp(flag: string, help: string): string {
  return flag.startsWith("--no-") ? `do not ${help}` : help;
}

function camelCase(words: string): string {
  return words.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
