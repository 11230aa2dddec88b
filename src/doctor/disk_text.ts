// What was measured of a disk, for people.

import type { DiskReport, SyncTimes } from "./measure_disk.ts";

export function diskText(report: DiskReport): string {
  const lines = [`${report.directory} (${report.fileSystem.name}): how long until what is written is on disk, ms`];
  lines.push(
    `  ${"append".padEnd(26)}${["p50", "p95", "p99", "max", "syncs"].map((word) => word.padStart(9)).join("")}`,
  );
  for (const row of report.rows) lines.push(rowText(row));
  lines.push("confirms per second that this disk allows, persistent messages of 1 KiB:");
  lines.push(`  one at a time      ${perSecond(report.confirmsOneByOne)}`);
  lines.push(`  1,000 outstanding  ${perSecond(report.confirmsOutstanding)}`);
  for (const warning of report.warnings) lines.push(`WARNING: ${warning}`);
  return `${lines.join("\n")}\n`;
}

function rowText({ bytes, files, p50Ms, p95Ms, p99Ms, maxMs, syncs }: SyncTimes): string {
  const size = bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toLocaleString("en-US")} KiB`;
  const name = files === 1 ? size : `${size} to each of ${files} files`;
  const times = [p50Ms, p95Ms, p99Ms, maxMs].map((ms) => ms.toFixed(3).padStart(9)).join("");
  return `  ${name.padEnd(26)}${times}${String(syncs).padStart(9)}`;
}

function perSecond(rate: number): string {
  return rate.toLocaleString("en-US").padStart(11);
}
