// A report on a data directory, for people.

import { relative } from "node:path";
import type { CheckedQueue, DataDirReport, Finding } from "./check_data_dir.ts";

/** Findings that are listed; `--json` has them all. */
const LISTED_MAX = 200;
/** So many queues are listed without anything being wrong with them. */
const QUEUES_LISTED_MAX = 50;

export function dataDirText(report: DataDirReport): string {
  const { dataDir, definitions, queues, findings, orphans, kept } = report;
  const lines = [`data directory ${dataDir}`];
  const log = definitions.isMissing
    ? "not there"
    : `${count(definitions.entries, "entry")}, ${bytes(definitions.bytes)}`;
  lines.push(`  definitions.log: ${log}`);
  const used = queues.filter(({ segments, damaged }) => segments > 0 || damaged > 0);
  lines.push(`  ${count(queues.length, "queue")}, ${used.length} with files:`);
  const listed = used.length <= QUEUES_LISTED_MAX ? used : used.filter(({ damaged }) => damaged > 0);
  for (const queue of listed.slice(0, LISTED_MAX)) lines.push(`    ${queueText(queue)}`);
  if (listed.length < used.length) {
    lines.push(`    ${used.length - listed.length} more without damage (--json lists them)`);
  }
  if (orphans.length > 0) lines.push(`  orphans/: messages of queues without a definition: ${orphans.join(", ")}`);
  if (kept.length > 0) {
    lines.push(`  set aside for you to look at, and to remove when you have: ${count(kept.length, "file")}`);
    for (const path of kept.slice(0, LISTED_MAX)) lines.push(`    ${relative(dataDir, path)}`);
  }
  lines.push(...findingLines(report, "damage", findings.filter(({ isDamage }) => isDamage)));
  lines.push(...findingLines(report, "not damage", findings.filter(({ isDamage }) => !isDamage)));
  lines.push(verdict(report));
  return `${lines.join("\n")}\n`;
}

function queueText({ id, vhost, name, type, segments, segmentBytes, records, ready, settled, damaged }: CheckedQueue) {
  const what = `${type} '${name}' in vhost '${vhost}' (${String(id).padStart(10, "0")})`;
  const inside = `${count(records, "record")}, ${number(ready)} ready, ${number(settled)} settled`;
  const state = damaged === 0 ? "sound" : `${damaged} DAMAGED`;
  return `${what}: ${count(segments, "segment")}, ${bytes(segmentBytes)}, ${inside}: ${state}`;
}

function findingLines({ dataDir, repaired }: DataDirReport, what: string, findings: readonly Finding[]): string[] {
  if (findings.length === 0) return [];
  const done = repaired ? "and what was done about it" : "and what the next start, or --repair, does about it";
  const lines = [`${what}, ${done}:`];
  for (const { kind, path, offset, bytes: size, detail } of findings.slice(0, LISTED_MAX)) {
    const place = size > 0 ? ` at ${offset}, ${bytes(size)}` : "";
    lines.push(`  ${kind}  ${relative(dataDir, path)}${place}: ${detail}`);
  }
  if (findings.length > LISTED_MAX) lines.push(`  ${findings.length - LISTED_MAX} more (--json lists them)`);
  return lines;
}

function verdict({ isSound, repaired, findings }: DataDirReport): string {
  if (isSound) return "sound";
  const found = `${count(findings.filter(({ isDamage }) => isDamage).length, "place")} damaged`;
  return repaired ? `${found}: dealt with` : `${found}: nothing was changed`;
}

function count(many: number, noun: string): string {
  const plural = noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number(many)} ${many === 1 ? noun : plural}`;
}

function bytes(many: number): string {
  return `${number(many)} bytes`;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}
