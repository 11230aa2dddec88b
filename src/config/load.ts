// Merges what the operator wrote: INI file < environment < flags. What is not known is an error that names the nearest
// known name: a setting that silently does nothing is worse than a broker that does not start.

import { type Config, configOf, defaultValues, setValue } from "./config.ts";
import { ConfigFault } from "./fault.ts";
import { parseIni } from "./ini.ts";
import { suggestion } from "./nearest.ts";
import {
  CONFIG_FILE_VARIABLE,
  flagName,
  FOREIGN_VARIABLES,
  OPTION_NAMES,
  type OptionName,
  OPTIONS,
  type OptionValues,
} from "./options.ts";

/** Flags by option name, as text (switches: a boolean), and the configuration file. */
export type Flags = { readonly [Name in OptionName]?: string | boolean } & { readonly config?: string };
export type Environment = Readonly<Record<string, string | undefined>>;
/** Returns the text of a file; throws when it cannot be read. */
export type ReadFile = (path: string) => string;

export interface Settings {
  readonly values: Readonly<OptionValues>;
  /** Where each value came from, for people. */
  readonly origins: Readonly<Record<OptionName, string>>;
}

/** The effective settings. Throws a ConfigFault. */
export function loadConfig(flags: Flags, environment: Environment, readFile: ReadFile): Config {
  return configOf(loadSettings(flags, environment, readFile).values);
}

/** `loadConfig` with the origin of each value. */
export function loadSettings(flags: Flags, environment: Environment, readFile: ReadFile): Settings {
  const values = defaultValues(environment);
  const origins = Object.fromEntries(OPTION_NAMES.map((name) => [name, "default"])) as Record<OptionName, string>;
  const set = (name: OptionName, value: unknown, origin: string) => {
    setValue(values, name, value, origin);
    origins[name] = origin;
  };

  const path = flags.config ?? environment[CONFIG_FILE_VARIABLE];
  if (path !== undefined) mergeFile(path, readFile, set);
  mergeEnvironment(environment, set);
  for (const name of OPTION_NAMES) {
    if (flags[name] !== undefined) set(name, flags[name], `flag ${flagName(OPTIONS[name])}`);
  }
  return { values, origins };
}

type Set = (name: OptionName, value: unknown, origin: string) => void;

function mergeFile(path: string, readFile: ReadFile, set: Set): void {
  let content: string;
  try {
    content = readFile(path);
  } catch (error) {
    throw new ConfigFault(`cannot read the configuration file ${path}: ${(error as Error).message}`);
  }
  const { sections, entries } = parseIni(content, path);
  const knownSections = [...new Set(OPTION_NAMES.map((name) => OPTIONS[name].section as string))];
  for (const { name, line } of sections) {
    if (knownSections.includes(name)) continue;
    throw new ConfigFault(`${path}: unknown section [${name}], line ${line}${suggestion(name, knownSections)}`);
  }
  const lines = new Map<OptionName, number>();
  for (const { section, key, value, line } of entries) {
    const name = OPTION_NAMES.find((known) => OPTIONS[known].section === section && isNamed(known, key));
    if (name === undefined) {
      throw new ConfigFault(
        `${path}: unknown key '${key}' in [${section}], line ${line}${keySuggestion(section, key)}`,
      );
    }
    const first = lines.get(name);
    if (first !== undefined) {
      throw new ConfigFault(`${path}, line ${line}: key '${key}' is another name of what line ${first} sets`);
    }
    lines.set(name, line);
    set(name, value, `${path}, line ${line}`);
  }
}

function isNamed(name: OptionName, key: string): boolean {
  return OPTIONS[name].key === key || OPTIONS[name].aliases.includes(key);
}

function keySuggestion(section: string, key: string): string {
  const elsewhere = OPTION_NAMES.find((name) => OPTIONS[name].key === key);
  if (elsewhere !== undefined) return `; it belongs to [${OPTIONS[elsewhere].section}]`;
  return suggestion(
    key,
    OPTION_NAMES.filter((name) => OPTIONS[name].section === section).map((name) => OPTIONS[name].key),
  );
}

function mergeEnvironment(environment: Environment, set: Set): void {
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith("LEVERET_") || variable === CONFIG_FILE_VARIABLE || value === undefined) continue;
    if (FOREIGN_VARIABLES.test(variable)) continue;
    const name = OPTION_NAMES.find((known) => OPTIONS[known].environment === variable);
    if (name === undefined) {
      throw new ConfigFault(`unknown environment variable '${variable}'${variableSuggestion(variable)}`);
    }
    set(name, value, `environment variable ${variable}`);
  }
}

function variableSuggestion(variable: string): string {
  const key = variable.slice("LEVERET_".length).toLowerCase();
  const sameKey = OPTION_NAMES.find((name) => OPTIONS[name].key === key);
  if (sameKey !== undefined) return `; did you mean '${OPTIONS[sameKey].environment}'?`;
  return suggestion(variable, [...OPTION_NAMES.map((name) => OPTIONS[name].environment), CONFIG_FILE_VARIABLE]);
}
