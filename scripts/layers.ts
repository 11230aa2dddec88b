// A plugin of `deno lint` that holds the layers: imports go to lower floors only, and nothing outside src/runtime/
// names Bun or Deno. The table stands in floors.ts.

import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { floorFault, mayNameRuntimes, runtimeImportFault } from "./floors.ts";

const RUNTIME_NAMES: readonly string[] = ["Bun", "Deno"];

function projectPath(path: string, root: string): string {
  return relative(root, path).split(sep).join("/");
}

/** The rules for a project at `root`. */
function rules(root: string): Record<string, Deno.lint.Rule> {
  return {
    floors: {
      create(context) {
        const importer = projectPath(context.filename, root);
        if (!importer.startsWith("src/")) return {};
        const check = (node: Deno.lint.Node, source: unknown) => {
          if (typeof source !== "string") return;
          const message = source.startsWith(".")
            ? relativeFault(importer, source)
            : mayNameRuntimes(importer)
            ? null
            : runtimeImportFault(source);
          if (message !== null) context.report({ node, message });
        };
        return {
          ImportDeclaration: (node) => check(node, node.source.value),
          ExportAllDeclaration: (node) => check(node, node.source.value),
          ExportNamedDeclaration: (node) => check(node, node.source?.value),
          ImportExpression: (node) => check(node, node.source.type === "Literal" ? node.source.value : null),
          TSImportType: (node) => check(node, literalOf(node.argument)),
        };
      },
    },
    runtimes: {
      create(context) {
        if (mayNameRuntimes(projectPath(context.filename, root))) return {};
        const report = (node: Deno.lint.Node, name: unknown) => {
          if (!RUNTIME_NAMES.includes(name as string)) return;
          context.report({ node, message: `only src/runtime/ may name ${name}` });
        };
        return {
          Identifier: (node) => report(node, node.name),
          "MemberExpression[computed=true] > Literal": (node: Deno.lint.Node) => {
            report(node, (node as Deno.lint.StringLiteral).value);
          },
        };
      },
    },
  };
}

/** The string of a literal, also of one that stands as a type. */
function literalOf(node: unknown): unknown {
  const { value, literal } = node as { value?: unknown; literal?: { value?: unknown } };
  return value ?? literal?.value;
}

function relativeFault(importer: string, source: string): string | null {
  const target = join(dirname(importer), source).split(sep).join("/");
  if (target === "package.json") return null;
  if (!target.startsWith("src/")) return `src/ imports nothing from outside, found '${source}'`;
  return floorFault(importer.slice("src/".length), target.slice("src/".length));
}

// A lint plugin has to be the default export.
const plugin: Deno.lint.Plugin = { name: "leveret", rules: rules(fileURLToPath(new URL("..", import.meta.url))) };
export default plugin;
