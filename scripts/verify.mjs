// `npm test`: everything that must hold before a change goes in. Its last line is `N passed, N failed`, summed over all
// runs; exit code 1 if anything failed.
//
//   npm test -- --only check|unit|clients   one part (several: --only check,unit)
//   npm test -- --runtime bun|deno          tests in one runtime only
//   npm test -- src/store                   unit tests of one folder or file (implies --only unit)
//
// LEVERET_TEST_TARGETS=bun,deno,executable narrows what the client tests run against. This file is not
// called test.mjs, or Deno would take it for a test.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { give, ROOT, setUp, TOOLS } from "./setup.mjs";
import { failureReports, lastLines, tally } from "./tally.mjs";

const PARTS = ["check", "unit", "clients"];
const RUNTIMES = ["bun", "deno"];
const OUTSIDE_FOLDERS = ["test/cli", "test/clients", "test/faults", "test/peers", "test/robustness"];
const UNIT_FOLDERS = ["src", "scripts", "test/conformance"];
/** Bun's limit per test; Deno has none. */
const UNIT_TEST_MS_MAX = 60_000;
const CLIENT_TEST_MS_MAX = 600_000;

const { parts, runtimes, paths } = options();
setUp(RUNTIMES);
const environment = testEnvironment();
const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const started = performance.now();

if (parts.includes("check")) {
  await check("format", TOOLS.deno.binary, ["fmt", "--check"]);
  await check("lint", TOOLS.deno.binary, ["lint"]);
  await check("types", process.execPath, ["node_modules/typescript/bin/tsc", "--noEmit"]);
}
if (parts.includes("unit")) {
  const files = paths.length > 0 ? paths : UNIT_FOLDERS.filter((folder) => testFiles(folder).length > 0);
  for (const runtime of runtimes) await suite(`unit tests, ${runtime}`, runtime, files, UNIT_TEST_MS_MAX);
}
if (parts.includes("clients")) {
  const targets = (process.env.LEVERET_TEST_TARGETS ?? "executable").split(",");
  if (targets.includes("executable")) {
    await check("executable", process.execPath, ["scripts/build.mjs"]);
  }
  const files = testFiles("test").filter((path) => !path.startsWith("test/conformance/"));
  for (const runtime of runtimes) {
    const chosen = runtime === runtimes[0] ? files : files.filter((path) => !isFromOutside(path));
    if (chosen.length > 0) await suite(`black-box tests, ${runtime}`, runtime, chosen, CLIENT_TEST_MS_MAX);
  }
  if (targets.includes("executable") && runtimes.includes("bun")) {
    // Those that need no access to the broker's inside.
    const black = [...testFiles("test/protocol"), ...testFiles("test/mqtt")];
    const protocol = black.filter((path) => !/new Broker\(|managed_broker/.test(readText(path)));
    const variables = { LEVERET_TEST_PROTOCOL: "executable" };
    await suite("protocol tests, executable", "bun", protocol, CLIENT_TEST_MS_MAX, variables);
  }
}

console.log(`\n${((performance.now() - started) / 1000).toFixed(0)} s`);
for (const { what, reports } of failures) console.log([`failed: ${what}`, ...reports].join("\n\n"));
if (total.skipped > 0) console.log(`${total.skipped} skipped`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

function options() {
  let parsed;
  try {
    parsed = parseArgs({
      options: { only: { type: "string" }, runtime: { type: "string" } },
      allowPositionals: true,
    });
  } catch (error) {
    give(`test: ${error.message}`);
  }
  const { values: { only, runtime }, positionals } = parsed;
  const parts = only?.split(",") ?? (positionals.length > 0 ? ["unit"] : PARTS);
  const runtimes = runtime?.split(",") ?? RUNTIMES;
  for (const part of parts) if (!PARTS.includes(part)) give(`test: --only takes ${PARTS.join(", ")}, not '${part}'`);
  for (const name of runtimes) {
    if (!RUNTIMES.includes(name)) give(`test: --runtime takes ${RUNTIMES.join(", ")}, not '${name}'`);
  }
  for (const path of positionals) if (!existsSync(join(ROOT, path))) give(`test: there is no ${path}`);
  return { parts, runtimes, paths: positionals };
}

/** Its brokers are processes of their own, in each of their forms: which runtime drives them makes no difference. */
function isFromOutside(path) {
  return OUTSIDE_FOLDERS.some((folder) => path.startsWith(`${folder}/`));
}

/** The developer's own settings are none of the tests'. */
function testEnvironment() {
  const kept = Object.entries(process.env).filter(([name]) => {
    return !name.startsWith("LEVERET_") || name.startsWith("LEVERET_TEST_");
  });
  return { ...Object.fromEntries(kept), NO_COLOR: "1" };
}

/** A command that passes or fails as a whole. */
async function check(name, command, args) {
  const { code, output } = await stream(name, command, args);
  if (code === 0) total.passed += 1;
  else fail(name, 1, [lastLines(output)]);
}

/** A run of tests: what its runtime's summary says. A run that dies without one, or disagrees with it, has failed. */
async function suite(name, runtime, files, testMsMax, variables = {}) {
  const args = runtime === "bun"
    ? ["test", "--timeout", `${testMsMax}`, ...files.map((path) => `./${path}`)]
    : ["test", "-A", "--no-check", ...files];
  const { code, output } = await stream(name, TOOLS[runtime].binary, args, variables);
  const counts = tally(output);
  const reports = failureReports(output);
  if (counts === null) return fail(`${name}: ended with ${code} and without a summary`, 1, reports);
  total.passed += counts.passed;
  total.skipped += counts.skipped;
  if (counts.failed > 0) fail(`${name}: ${counts.failed}`, counts.failed, reports);
  else if (code !== 0) fail(`${name}: ended with ${code}`, 1, [lastLines(output)]);
  else if (counts.passed === 0) fail(`${name}: no test ran`, 1);
}

function fail(what, count, reports = []) {
  total.failed += count;
  failures.push({ what, reports });
}

/** Runs a command, shows what it prints as it prints it, and keeps it. */
function stream(name, command, args, variables = {}) {
  console.log(`\n== ${name}`);
  const from = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env: { ...environment, ...variables },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const chunks = [];
    for (const [source, target] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
      source.on("data", (chunk) => {
        chunks.push(chunk);
        target.write(chunk);
      });
    }
    const end = (code) => {
      console.log(
        `== ${name}: ${code === 0 ? "ok" : `exit ${code}`}, ${((performance.now() - from) / 1000).toFixed(1)} s`,
      );
      resolve({ code, output: Buffer.concat(chunks).toString("utf8") });
    };
    child.on("error", (error) => {
      console.error(error.message);
      end(127);
    });
    child.on("close", (code, signal) => end(code ?? signal));
  });
}

function readText(path) {
  return readFileSync(join(ROOT, path), "utf8");
}

/** Every test file below a folder, relative to the root. */
function testFiles(folder) {
  const absolute = join(ROOT, folder);
  if (!existsSync(absolute) || !statSync(absolute).isDirectory()) return [];
  return readdirSync(absolute, { recursive: true })
    .filter((path) => path.endsWith("_test.ts") && !path.includes("node_modules"))
    .map((path) => join(folder, path))
    .sort();
}
