// `npm run fuzz -- ...`: fuzzing, in Bun, or with `--runtime deno` in Deno. What it takes, test/fuzz/main.ts says.

import { join } from "node:path";
import process from "node:process";
import { become, ROOT, setUp, TOOLS } from "./setup.mjs";

const args = process.argv.slice(2);
const at = args.indexOf("--runtime");
const [, runtime = "bun"] = at < 0 ? [] : args.splice(at, 2);
const main = join(ROOT, "test/fuzz/main.ts");

setUp([runtime]);
if (runtime === "deno") become(TOOLS.deno.binary, ["run", "-A", "--no-check", main, ...args]);
else become(TOOLS.bun.binary, ["--no-env-file", main, ...args]);
