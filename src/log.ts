// Where log records go: standard error, one line each. Everything else takes a logger from LogTape by its category,
// ["leveret", "amqp", ...], and knows nothing of this file; in a program that embeds the broker nothing is printed
// unless that program configures LogTape.

import { writeSync } from "node:fs";
import type { LogTap } from "./lib/log_tap.ts";
import { configureSync, type LogLevel as TapeLevel, type LogRecord } from "@logtape/logtape";

export type LogLevel = "debug" | "info" | "warn" | "error" | "none";

const TAPE_LEVELS: Readonly<Record<LogLevel, TapeLevel | null>> = {
  debug: "debug",
  info: "info",
  warn: "warning",
  error: "error",
  none: null,
};
const LEVEL_NAMES: Readonly<Record<TapeLevel, string>> = {
  trace: "trace",
  debug: "debug",
  info: "info ",
  warning: "warn ",
  error: "error",
  fatal: "fatal",
};

/** Sends records of `level` and above to `write`, one call per line. */
export function startLog(
  level: LogLevel,
  write: (line: string) => void = writeStandardError,
  tap: LogTap | null = null,
): void {
  const lowestLevel = TAPE_LEVELS[level];
  const withStack = level === "debug";
  configureSync({
    reset: true,
    sinks: {
      lines: (record) => {
        write(lineOf(record, withStack));
        tap?.write({
          timeMs: record.timestamp,
          level: LEVEL_NAMES[record.level].trim(),
          category: categoryOf(record),
          text: oneLine(messageOf(record, withStack)),
        });
      },
    },
    loggers: [
      { category: "leveret", lowestLevel, sinks: ["lines"] },
      { category: ["logtape", "meta"], lowestLevel: lowestLevel === null ? null : "error", sinks: ["lines"] },
    ],
  });
}

/** `time level category: message`, without a line break inside and without passwords of URIs. */
export function lineOf(record: LogRecord, withStack: boolean): string {
  const time = new Date(record.timestamp).toISOString();
  const message = oneLine(messageOf(record, withStack));
  return `${time} ${LEVEL_NAMES[record.level]} ${categoryOf(record)}: ${message}\n`;
}

function categoryOf({ category }: LogRecord): string {
  return category.filter((part, index) => index > 0 || part !== "leveret").join(".") || "broker";
}

function messageOf({ message }: LogRecord, withStack: boolean): string {
  return message.map((part, index) => index % 2 === 0 ? `${part}` : valueText(part, withStack)).join("");
}

/** Control characters escaped: what a client names itself must not forge lines or drive a terminal. */
export function oneLine(message: string): string {
  return message
    .replace(/(\w:\/\/[^\s:/@]*):[^\s/@]*@/g, "$1:***@")
    // deno-lint-ignore no-control-regex
    .replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, (character) => {
      return character === "\n" ? "\\n" : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
    });
}

/** Writes at once, so that the last words of a process are not lost. A reader that is gone is not our fault. */
export function writeStandardError(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // EPIPE, EAGAIN: there is nowhere else to say it.
  }
}

function valueText(value: unknown, withStack: boolean): string {
  if (value instanceof Error) return withStack ? value.stack ?? `${value}` : value.message;
  if (typeof value === "object" && value !== null) {
    try {
      return JSON.stringify(value);
    } catch {
      return Object.prototype.toString.call(value);
    }
  }
  return String(value);
}
