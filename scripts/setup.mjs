// Makes a checkout ready to run, with nothing but the runtime it is run by: installs the packages that are missing and
// sees to it that Bun and Deno, which come as packages too, really start. Only node's built-in modules: it runs before
// anything is installed.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MODULES = join(ROOT, "node_modules");

/** The binaries that the npm packages carry. */
export const TOOLS = {
  bun: { binary: join(MODULES, "bun/bin/bun.exe"), installer: join(MODULES, "bun/install.js") },
  deno: {
    binary: join(MODULES, "deno", process.platform === "win32" ? "deno.exe" : "deno"),
    installer: join(MODULES, "deno/install.cjs"),
  },
};

/** What runs this script: "node", "bun" or "deno". */
export const HOST = process.versions.deno ? "deno" : process.versions.bun ? "bun" : "node";

/** Installs what is missing; then every one of `tools` runs. Ends the process with one clear line when it cannot. */
export function setUp(tools) {
  if (!isInstalled()) install();
  for (const tool of tools) makeRun(tool);
}

/** Runs a command to its end with our streams; returns its exit code. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: "inherit", ...options });
  if (result.error) give(`cannot run ${command}: ${result.error.message}`);
  return result.status ?? 1;
}

/** Runs a server until it ends, passes signals on, and ends as it ended. */
export function become(command, args) {
  const child = spawn(command, args, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    // A terminal, or who ends a whole process group, has told the child already; a second signal would be "at once".
    process.on(signal, () => setTimeout(() => child.kill(signal), 300));
  }
  if (process.env.npm_lifecycle_event !== undefined) endWithParent(child);
  child.on("error", (error) => give(`cannot run ${command}: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** npm passes a signal to the shell between it and us, which dies of it without telling us. */
function endWithParent(child) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    child.kill("SIGTERM");
  }, 200);
}

export function give(message) {
  console.error(`leveret: ${message}`);
  process.exit(1);
}

/** Whether each package has the version that the lock file names. */
function isInstalled() {
  const lock = readJson(join(ROOT, "package-lock.json"));
  if (lock === null) give("package-lock.json is missing or damaged");
  const direct = { ...lock.packages[""].dependencies, ...lock.packages[""].devDependencies };
  // Other installers than npm lay out indirect packages in their own ways.
  const byNpm = existsSync(join(MODULES, ".package-lock.json"));
  return Object.entries(lock.packages).every(([path, { version, optional }]) => {
    if (path === "" || optional) return true;
    if (!byNpm && !Object.hasOwn(direct, path.slice("node_modules/".length))) return true;
    return readJson(join(ROOT, path, "package.json"))?.version === version;
  });
}

function install() {
  console.error("leveret: installing packages (once)");
  const [command, ...args] = installer();
  // Standard output belongs to what is run afterwards.
  const result = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32" && command === "npm",
  });
  if (result.error) give(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) give(`'${command} ${args.join(" ")}' failed with exit code ${result.status}`);
  if (!isInstalled()) give("packages are still missing after the installation; remove node_modules and try again");
}

/**
 * The installer at hand and its arguments. `npm install` keeps to the lock file as `npm ci` does, which `isInstalled`
 * checks afterwards, but does not refuse a lock file that leaves out other systems' optional packages, nor throw away
 * what is installed already.
 */
function installer() {
  const npmArguments = ["install", "--no-save", "--no-audit", "--no-fund"];
  const npmScript = process.env.npm_execpath ?? "";
  if (HOST === "node" && npmScript.endsWith("npm-cli.js")) return [process.execPath, npmScript, ...npmArguments];
  const found = spawnSync("npm", ["--version"], { shell: process.platform === "win32" });
  if (!found.error && found.status === 0) return ["npm", ...npmArguments];
  const bun = HOST === "bun" ? process.execPath : bunThatCalled();
  if (bun !== null) return [bun, "install", "--no-save"];
  if (HOST === "deno") return [process.execPath, "install", "--no-lock"];
  return give("npm is not to be found: install Node.js 20 or newer with npm");
}

/** The Bun whose `bun run` started this script; null when it was something else. */
export function bunThatCalled() {
  if (HOST === "bun") return process.execPath;
  const isBun = (process.env.npm_config_user_agent ?? "").startsWith("bun/");
  return isBun && process.env.npm_execpath ? process.env.npm_execpath : null;
}

/** npm may not be allowed to run the packages' own installers, which put the binary in place: then we do. */
function makeRun(tool) {
  const { binary, installer } = TOOLS[tool];
  if (runs(binary)) return;
  const started = HOST === "deno" ? ["run", "-A", installer] : [installer];
  spawnSync(process.execPath, started, { cwd: join(installer, ".."), stdio: ["ignore", 2, 2] });
  if (!runs(binary)) give(`the ${tool} of node_modules does not run (${binary}); remove node_modules and try again`);
}

function runs(binary) {
  const result = spawnSync(binary, ["--version"], { stdio: "ignore" });
  return !result.error && result.status === 0;
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return null;
  }
}
