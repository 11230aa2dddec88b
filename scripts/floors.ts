// Who may import whom: the table of docs/architecture.md as data, and the question whether one import is allowed.

/** For each folder of src/ the folders that it may import from, besides itself. */
const FOLDERS: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  runtime: ["lib"],
  wire: ["lib"],
  config: ["lib"],
  store: ["lib", "runtime"],
  server: ["lib", "runtime"],
  core: ["lib", "wire", "config", "store"],
  client: ["lib", "runtime", "wire", "config"],
  amqp: ["lib", "runtime", "wire", "config", "store", "server", "core"],
  mqtt: ["lib", "runtime", "wire", "config", "store", "server", "core"],
  http: ["lib", "runtime", "wire", "config", "store", "core"],
  doctor: ["lib", "runtime", "store", "core"],
  perf: ["lib", "runtime", "wire", "client"],
  ctl: ["lib", "runtime", "wire", "config", "client"],
};
/** The composition root and the command line stand above all floors. */
const TOP = "top";
const TOP_FOLDERS: readonly string[] = ["commands"];
/** Files beside the folders that everybody may import; the other ones are the top. */
const SHARED_FILES: readonly string[] = ["limits.ts", "version.ts"];

/**
 * Why `importer` may not import `target`, both paths below src/ with '/'; null when it may. Tests put together what
 * they need, so they are free of floors.
 */
export function floorFault(importer: string, target: string): string | null {
  if (importer.endsWith("_test.ts") || importer.endsWith("_bench.ts")) return null;
  if (target.endsWith("_test.ts")) return "a test is imported by nobody";
  const from = folderOf(importer);
  const to = folderOf(target);
  if (from === TOP || from === to || SHARED_FILES.includes(target)) return null;
  const allowed = FOLDERS[from];
  if (allowed === undefined) {
    return `${from}/ has no floor yet: give it one in scripts/floors.ts and docs/architecture.md`;
  }
  if (allowed.includes(to)) return null;
  const places = allowed.map((folder) => `${folder}/`).join(", ") || "nothing of ours";
  return `${from}/ may import ${places}, not ${to === TOP ? target : `${to}/`}`;
}

/** Why `specifier` may not be imported outside runtime/; null when it may. */
export function runtimeImportFault(specifier: string): string | null {
  const names = specifier === "bun" || /^(bun|deno|jsr|https?):/.test(specifier);
  return names ? `only runtime/ may import '${specifier}'` : null;
}

/** Whether a file may name Bun and Deno. `path` is relative to the project's root. */
export function mayNameRuntimes(path: string): boolean {
  return !path.startsWith("src/") || path.startsWith("src/runtime/");
}

function folderOf(path: string): string {
  const slash = path.indexOf("/");
  const folder = slash === -1 ? TOP : path.slice(0, slash);
  return TOP_FOLDERS.includes(folder) ? TOP : folder;
}
