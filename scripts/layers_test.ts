import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const DENO = fileURLToPath(new URL("../node_modules/deno/deno", import.meta.url));

/** The rules that `deno lint` finds broken in a project that holds `files` and our plugin. */
function brokenRules(files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), "leveret-layers-"));
  try {
    mkdirSync(join(root, "scripts"));
    for (const name of ["layers.ts", "floors.ts"]) {
      cpSync(fileURLToPath(new URL(name, import.meta.url)), join(root, "scripts", name));
    }
    writeFileSync(join(root, "deno.json"), `{ "lint": { "plugins": ["./scripts/layers.ts"] } }`);
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    const { status, stdout, stderr } = spawnSync(DENO, ["lint", "--json", "src"], {
      cwd: root,
      encoding: "utf8",
    });
    const report = JSON.parse(stdout) as { diagnostics: { code: string }[]; errors: unknown[] };
    assert.deepEqual(report.errors, [], stderr);
    assert.equal(status, report.diagnostics.length === 0 ? 0 : 1);
    return report.diagnostics.map(({ code }) => code);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test("code that keeps to the floors passes the lint", () => {
  assert.deepEqual(
    brokenRules({
      "src/core/queue.ts": `import { a } from "../lib/a.ts";\nimport fs from "node:fs";\nexport const b = [a, fs];\n`,
      "src/runtime/bun.ts": `export const name = Bun.version;\n`,
    }),
    [],
  );
});

for (
  const [what, rule, content] of [
    ["an import from a higher floor", "leveret/floors", `import "../amqp/connection.ts";\n`],
    [
      "a type import from a higher floor",
      "leveret/floors",
      `import type { A } from "../amqp/a.ts";\nexport type B = A;\n`,
    ],
    ["a re-export from a higher floor", "leveret/floors", `export * from "../amqp/connection.ts";\n`],
    ["a named re-export from a higher floor", "leveret/floors", `export { a } from "../amqp/connection.ts";\n`],
    ["a dynamic import from a higher floor", "leveret/floors", `export const a = import("../amqp/connection.ts");\n`],
    ["an import type from a higher floor", "leveret/floors", `export type A = import("../amqp/a.ts").A;\n`],
    ["an import from outside the sources", "leveret/floors", `import "../../scripts/setup.mjs";\n`],
    ["an import of a runtime's module", "leveret/floors", `import "bun:ffi";\n`],
    ["a name of a runtime", "leveret/runtimes", `export const a = typeof Bun;\n`],
    ["a runtime as a property", "leveret/runtimes", `export const a = "Deno" in globalThis && globalThis.Deno;\n`],
    [
      "a runtime as a computed property",
      "leveret/runtimes",
      `export const a = Reflect.get({}, "x") ?? globalThis["Bun"];\n`,
    ],
    ["a runtime's type", "leveret/runtimes", `export type A = Deno.Conn;\n`],
  ] as const
) {
  test(`${what} fails the lint`, () => assert.deepEqual(brokenRules({ "src/core/queue.ts": content }), [rule]));
}
