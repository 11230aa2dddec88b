// The table of docs/reliability.md, of what `npm run faults -- --record FILE` wrote: of every test and target the last
// line. `bun test/faults/table.ts FILE` prints it.

import { readFileSync } from "node:fs";
import process from "node:process";

export interface Row {
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly name: string;
  readonly title: string;
  readonly target: string;
  readonly full: boolean;
  readonly counts: string;
  readonly lost: number;
  readonly phantom: number;
  readonly passed: boolean;
  readonly controlWhat: string | null;
  readonly control: string;
  readonly seconds: number;
  readonly command: string;
}

export function tableOf(rows: readonly Row[]): string {
  const last = new Map<string, Row>();
  for (const row of rows) last.set(`${row.name} ${row.target}`, row);
  const sorted = [...last.values()].sort((a, b) => `${a.name} ${a.target}` < `${b.name} ${b.target}` ? -1 : 1);
  const lines = sorted.map((row) => {
    const verdict = `${row.passed ? "passed" : "FAILED"}; lost ${row.lost}, phantom ${row.phantom}`;
    const control = row.controlWhat === null ? "none" : `${row.controlWhat}: ${row.control}`;
    const cells = [
      `${row.name} ${row.title}`,
      row.target,
      row.counts,
      verdict,
      control,
      row.date,
      `\`${row.command}\``,
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return ["| test | target | what was run | result | control | date | command |", `|${"---|".repeat(7)}`, ...lines, ""]
    .join("\n");
}

if (import.meta.main) {
  const path = process.argv[2];
  if (path === undefined) {
    console.error("usage: table.ts FILE");
    process.exit(2);
  }
  const lines = readFileSync(path, "utf8").split("\n").filter((line) => line !== "");
  process.stdout.write(tableOf(lines.map((line) => JSON.parse(line) as Row)));
}
