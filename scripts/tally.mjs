// Reads how many tests passed and failed from the summaries that Bun and Deno print.

/** @returns {{ passed: number, failed: number, skipped: number } | null} null when there is no summary. */
export function tally(output) {
  // deno-lint-ignore no-control-regex
  const lines = output.replace(/\x1b\[[0-9;]*m/g, "").split(/\r?\n/);
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
