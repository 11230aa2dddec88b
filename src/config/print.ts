// The options as text: the table of the manual, and what `leveret config` shows.

import type { Settings } from "./load.ts";
import { flagName, LIVE_OPTIONS, type Option, OPTION_NAMES, OPTIONS } from "./options.ts";
import { bytesAsText } from "./value.ts";

/** One Markdown table of all options; those with a star may change while the broker runs. */
export function optionTable(): string {
  const rows = OPTION_NAMES.map((name) => {
    const option: Option<unknown> = OPTIONS[name];
    const flag = flagName(option);
    const star = LIVE_OPTIONS.some((live) => live === name) ? " *" : "";
    return `| \`[${option.section}] ${option.key}\`${star} | ${
      flag === null ? "" : `\`${flag}\``
    } | \`${option.environment}\` ` +
      `| ${fallbackText(option)} | ${option.help}: ${option.kind.expects} |`;
  });
  return ["| file | flag | environment | default | meaning |", "|---|---|---|---|---|", ...rows].join("\n") + "\n";
}

/** One line per option: name, effective value, origin; in columns. */
export function settingsText(settings: Settings): string {
  const rows = OPTION_NAMES.map((name) => {
    const { section, key, isSecret } = OPTIONS[name];
    return [`[${section}] ${key}`, isSecret ? "********" : `${settings.values[name]}`, settings.origins[name]] as const;
  });
  const nameWidth = Math.max(...rows.map((row) => row[0].length));
  const valueWidth = Math.max(...rows.map((row) => row[1].length));
  return rows.map((row) => `${row[0].padEnd(nameWidth)}  ${row[1].padEnd(valueWidth)}  ${row[2]}\n`).join("");
}

function fallbackText(option: Option<unknown>): string {
  if (option.fallback === null) return "see below";
  const isBytes = typeof option.fallback === "number" && option.fallback >= 1024 && option.kind.expects.includes("iB");
  if (option.fallback === "") return "none";
  return isBytes ? bytesAsText(option.fallback as number) : `${option.fallback}`;
}
