// `npm start`, `bun start`, `deno task start`: runs the broker from its sources, in the runtime that was called; npm
// gets Bun.

import { join } from "node:path";
import process from "node:process";
import { become, bunThatCalled, HOST, ROOT, setUp, TOOLS } from "./setup.mjs";

const main = join(ROOT, "src/main.ts");
const flags = process.argv.slice(2);

if (HOST === "deno") {
  setUp([]);
  become(process.execPath, ["run", "-A", main, ...flags]);
} else {
  const bun = bunThatCalled();
  setUp(bun === null ? ["bun"] : []);
  become(bun ?? TOOLS.bun.binary, ["--no-env-file", main, ...flags]);
}
