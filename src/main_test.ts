import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { VERSION } from "./version.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in the runtime that runs this test, with no settings in its environment. */
function leveret(words: readonly string[], environment: Record<string, string> = {}): Ended {
  const start = "deno" in process.versions ? ["run", "-A", MAIN] : [MAIN];
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("LEVERET_"));
  const env = { ...Object.fromEntries(clean), NO_COLOR: "1", ...environment };
  const { status, stdout, stderr } = spawnSync(process.execPath, [...start, ...words], { encoding: "utf8", env });
  return { status, stdout, stderr };
}

function refuses(words: readonly string[], stderr: string, environment: Record<string, string> = {}): void {
  assert.deepEqual(leveret(words, environment), { status: 1, stdout: "", stderr: `leveret: ${stderr}\n` });
}

test("--version prints name and version", () => {
  assert.deepEqual(leveret(["--version"]), { status: 0, stdout: `leveret ${VERSION}\n`, stderr: "" });
});

test("--help names every command and the flags of serve", () => {
  const { status, stdout } = leveret(["--help"]);
  assert.equal(status, 0);
  for (
    const word of ["serve", "config", "perf", "--config", "--data-dir", "--bind", "--port", "--log-level", "--no-sync"]
  ) {
    assert.ok(stdout.includes(word), `${word} is missing`);
  }
});

test("an unknown flag names the nearest known one", () => {
  refuses(["--prot", "1"], "unknown option '--prot'; did you mean '--port'?");
  refuses(["serve", "--data_dir=x"], "unknown option '--data_dir=x'; did you mean '--data-dir'?");
});

test("an unknown command names the nearest known one", () => {
  refuses(["srve"], "unknown command 'srve'; did you mean 'serve'?");
});

test("a flag without its value is refused", () => {
  refuses(["--port"], "option '--port <n>' argument missing");
});

test("a bad value is refused with one line", () => {
  const expected = "expected a whole number from -1 to 65535";
  refuses(["--port", "70000"], `bad value '70000' for 'port' in [amqp], from flag --port: ${expected}`);
  refuses([], "unknown environment variable 'LEVERET_DATADIR'; did you mean 'LEVERET_DATA_DIR'?", {
    LEVERET_DATADIR: "x",
  });
});

test("a configuration file with an unknown key, or none at all, is refused with its name", () => {
  const folder = mkdtempSync(join(tmpdir(), "leveret-"));
  try {
    const file = join(folder, "leveret.ini");
    writeFileSync(file, "[amqp]\nhearbeat = 1\n");
    refuses(["--config", file], `${file}: unknown key 'hearbeat' in [amqp], line 2; did you mean 'heartbeat'?`);
    const gone = leveret(["--config", join(folder, "gone.ini")]);
    assert.equal(gone.status, 1);
    assert.match(gone.stderr, /^leveret: cannot read the configuration file .*gone\.ini: .*ENOENT.*\n$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("config prints each value and where it came from", () => {
  const { status, stdout, stderr } = leveret(["config", "--port", "-1", "--no-sync"], { LEVERET_AMQP_BIND: "::1" });
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /^\[amqp\] port +-1 +flag --port$/m);
  assert.match(stdout, /^\[main\] sync +false +flag --no-sync$/m);
  assert.match(stdout, /^\[amqp\] bind +::1 +environment variable LEVERET_AMQP_BIND$/m);
  assert.match(stdout, /^\[main\] memory +false +default$/m);
});
