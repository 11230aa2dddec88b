// Reads from what Bun and Deno print how many tests passed and failed, and what the failed ones said.

/** Lines of one failure that are repeated: a stack and a difference fit, a log of the broker does not. */
const LINES_MAX = 40;
/** Bun's words for what belongs to no test. */
const UNHANDLED = "# Unhandled error between tests";

/** @returns {{ passed: number, failed: number, skipped: number } | null} null when there is no summary. */
export function tally(output) {
  const lines = plainLines(output);
  return denoSummary(lines) ?? bunSummary(lines);
}

/** `FAILED | 54 passed (3 steps) | 2 failed | 1 ignored (2s)` */
function denoSummary(lines) {
  const line = lines.findLast((line) => /^(ok|FAILED) \| \d+ passed/.test(line));
  if (line === undefined) return null;
  const count = (word) => Number(new RegExp(`(\\d+) ${word}`).exec(line)?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), skipped: count("ignored") };
}

/** ` 54 pass`, ` 1 skip`, ` 2 fail`, ` 1 error` on lines of their own, ended by `Ran 56 tests across 6 files.` */
function bunSummary(lines) {
  const end = lines.findLastIndex((line) => /^Ran \d+ tests? across \d+ files?\./.test(line));
  if (end === -1) return null;
  const counts = { pass: 0, fail: 0, skip: 0, todo: 0, error: 0 };
  for (const line of lines.slice(Math.max(0, end - 10), end)) {
    const found = /^ *(\d+) (pass|fail|skip|todo|error)s?$/.exec(line);
    if (found !== null) counts[found[2]] = Number(found[1]);
  }
  return { passed: counts.pass, failed: counts.fail + counts.error, skipped: counts.skip + counts.todo };
}

/**
 * What a run printed of each test that failed, its name included: a long run's end is often all that is kept of it.
 * The last lines of a run that died without a summary.
 *
 * @returns {string[]}
 */
export function failureReports(output) {
  const lines = plainLines(output);
  if (tally(output) === null) return [lastLines(output)];
  return [...denoFailures(lines), ...bunFailures(lines)];
}

/** Of a run that failed for another reason than a test. */
export function lastLines(output) {
  return plainLines(output).slice(-LINES_MAX).join("\n").trim();
}

/** All that stands between ` ERRORS ` and ` FAILURES `, each beginning with `name => ./file:line:column`. */
function denoFailures(lines) {
  const from = lines.findIndex((line) => line.trim() === "ERRORS");
  if (from === -1) return [];
  const to = lines.findIndex((line, index) => index > from && line.trim() === "FAILURES");
  const reports = [];
  for (const line of lines.slice(from + 1, to === -1 ? undefined : to)) {
    if (/ => .*:\d+:\d+$/.test(line)) reports.push([line]);
    else reports.at(-1)?.push(line);
  }
  return reports.map((report) => report.slice(0, LINES_MAX).join("\n").trimEnd());
}

/** What a test prints stands before its line, `(fail) name [1.00ms]`; its file somewhere above. */
function bunFailures(lines) {
  const reports = new Map();
  let file = "";
  let from = 0;
  for (const [index, line] of lines.entries()) {
    if (/_test\.[a-z]+:$/.test(line)) file = line;
    if (line === file || /^\((pass|skip|todo)\) /.test(line)) from = index + 1;
    if (line === UNHANDLED) reports.set(`${index}`, [file, ...lines.slice(index, index + LINES_MAX)]);
    if (!line.startsWith("(fail) ")) continue;
    // They are repeated after the last test, without a word of why.
    if (!reports.has(line)) reports.set(line, [file, ...lines.slice(Math.max(from, index - LINES_MAX), index + 1)]);
    from = index + 1;
  }
  return [...reports.values()].map((report) => report.join("\n").trim());
}

function plainLines(output) {
  // deno-lint-ignore no-control-regex
  return output.replace(/\x1b\[[0-9;]*m/g, "").split(/\r?\n/);
}
