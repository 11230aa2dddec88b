// `npm run build`: the broker as one executable.
//
//   npm run build                          dist/leveret, for this machine
//   npm run build -- --target linux-arm64  dist/leveret-linux-arm64 (linux-x64, linux-x64-musl, darwin-arm64, windows-x64, ...)
//   npm run build -- --deno                dist/leveret-deno, where DENORT_BIN names a denort binary

import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { give, ROOT, run, setUp, TOOLS } from "./setup.mjs";

const MAIN = "src/main.ts";
const RUNTIME = "src/runtime";

const { values: { target, deno } } = options();
setUp(deno ? ["bun", "deno"] : ["bun"]);
mkdirSync(join(ROOT, "dist"), { recursive: true });
if (deno) buildWithDeno(target);
else buildWithBun(target);

function options() {
  try {
    return parseArgs({ options: { target: { type: "string" }, deno: { type: "boolean", default: false } } });
  } catch (error) {
    return give(`build: ${error.message}`);
  }
}

function buildWithBun(target) {
  const outfile = target === undefined ? "dist/leveret" : `dist/leveret-${target}`;
  const status = run(TOOLS.bun.binary, [
    "build",
    "--compile",
    "--bytecode",
    "--format=esm",
    "--minify",
    // A server takes its settings from where its manual says, not from files that lie in the working directory.
    "--no-compile-autoload-dotenv",
    "--no-compile-autoload-bunfig",
    ...(target === undefined ? [] : [`--target=bun-${target}`]),
    // Side by side, or a thread would not find its file: the bundle of main.ts stands at the top.
    "--entry-naming=[name].[ext]",
    `--outfile=${outfile}`,
    MAIN,
    ...workers(),
  ]);
  if (status !== 0) give(`build: bun could not make ${outfile}`);
  report(target?.startsWith("windows") ? `${outfile}.exe` : outfile);
}

/** `deno compile` takes the runtime part from a denort binary, which npm does not carry. */
function buildWithDeno(target) {
  if (!process.env.DENORT_BIN) {
    give(
      "build: deno compile needs a denort binary of the same version as Deno, which is not on npm: set DENORT_BIN to its path",
    );
  }
  // From a bundle, or the executable would hold all of node_modules.
  const bundle = join(ROOT, "dist/deno");
  rmSync(bundle, { recursive: true, force: true });
  const bundled = run(TOOLS.bun.binary, [
    "build",
    "--target=node",
    "--format=esm",
    // The twin for Bun becomes a file of its own, which Deno never loads.
    "--splitting",
    "--external=bun:*",
    // Threads are found beside the main file, under the names that their sources have.
    "--entry-naming=[name].ts",
    `--outdir=${bundle}`,
    MAIN,
    ...workers(),
  ]);
  if (bundled !== 0) give("build: bun could not bundle the sources");
  const outfile = target === undefined ? "dist/leveret-deno" : `dist/leveret-deno-${target}`;
  const status = run(TOOLS.deno.binary, [
    "compile",
    "-A",
    "--no-check",
    "--no-config",
    "--node-modules-dir=none",
    ...workers().map((path) => `--include=${basename(path)}`),
    ...(target === undefined ? [] : ["--target", target]),
    "--output",
    join(ROOT, outfile),
    basename(MAIN),
  ], { cwd: bundle });
  if (status !== 0) give(`build: deno could not make ${outfile}`);
  report(outfile);
}

/** Threads are loaded by file name, so each is an entry point of its own. */
function workers() {
  return readdirSync(join(ROOT, RUNTIME))
    .filter((name) => name.endsWith("_worker.ts"))
    .sort()
    .map((name) => `${RUNTIME}/${name}`);
}

function report(outfile) {
  const megabytes = statSync(join(ROOT, outfile)).size / 1e6;
  console.log(`${outfile}: ${megabytes.toFixed(1)} MB`);
}
