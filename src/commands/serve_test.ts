import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readyLine } from "./serve.ts";
import { VERSION } from "../version.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

/** A broker in a process of its own, in the runtime that runs this test. */
class Served {
  stdout = "";
  stderr = "";
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
  readonly #child: ChildProcess;
  #hasEnded = false;
  #onOutput: () => void = () => {};

  constructor(...flags: readonly string[]) {
    const start = "deno" in process.versions ? ["run", "-A", MAIN] : [MAIN];
    const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("LEVERET_"));
    const off = { LEVERET_MGMT_PORT: "-1", LEVERET_METRICS_HTTP_PORT: "-1", LEVERET_MQTT_PORT: "-1" };
    const env = { ...Object.fromEntries(clean), ...off, NO_COLOR: "1" };
    this.#child = spawn(process.execPath, [...start, ...flags], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stdout!.on("data", (chunk) => {
      this.stdout += chunk;
      this.#onOutput();
    });
    this.#child.stderr!.on("data", (chunk) => {
      this.stderr += chunk;
      this.#onOutput();
    });
    this.ended = new Promise((resolve) => {
      this.#child.on("close", (code, signal) => {
        this.#hasEnded = true;
        this.#onOutput();
        resolve(code ?? signal);
      });
    });
  }

  /** The first thing that `pattern` finds in what was printed; fails when the process ends without it. */
  async printed(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this[stream]);
      if (found !== null) return found;
      assert.ok(!this.#hasEnded, `ended without ${pattern}: ${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => this.#onOutput = resolve);
    }
  }

  async port(): Promise<number> {
    return Number((await this.printed("stdout", /ready: amqp [^ ]+:(\d+)\n/))[1]);
  }

  signal(signal: NodeJS.Signals): void {
    // Not child.kill: Deno then reports the signal as the cause of the end, whatever it was.
    process.kill(this.#child.pid!, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }
}

async function inFolder(act: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "leveret-"));
  try {
    await act(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`serve prints one ready line with what was bound, and ends with 0 on ${signal}`, async () => {
    await inFolder(async (folder) => {
      await using broker = new Served(
        "serve",
        "--port",
        "0",
        "--data-dir",
        join(folder, "data"),
        "--log-level",
        "none",
      );
      const port = await broker.port();
      await new Promise<void>((resolve, reject) => {
        const socket = connect(port, "127.0.0.1", () => socket.destroy());
        socket.on("close", () => resolve());
        socket.on("error", reject);
      });
      broker.signal(signal);
      assert.equal(await broker.ended, 0);
      assert.equal(broker.stdout, `leveret ${VERSION} ready: amqp 127.0.0.1:${port}\n`);
      assert.equal(broker.stderr, "");
    });
  });
}

test("serve is the command without a name", async () => {
  await using broker = new Served("--memory", "--port", "0");
  assert.ok(await broker.port() > 0);
});

test("an IPv6 address stands in brackets in the ready line", () => {
  const line = readyLine([{ protocol: "amqp", host: "::1", port: 5672 }, {
    protocol: "amqp",
    host: "10.0.0.1",
    port: 1,
  }]);
  assert.equal(line, `leveret ${VERSION} ready: amqp [::1]:5672, amqp 10.0.0.1:1\n`);
});

test("the ready line names every listener", async () => {
  await using broker = new Served("--memory", "--port", "0", "--mqtt-port", "0");
  await broker.printed("stdout", /^leveret \S+ ready: amqp 127\.0\.0\.1:\d+, mqtt 127\.0\.0\.1:\d+\n$/);
});

test("a listener that is off is left out of the ready line", async () => {
  await using broker = new Served("--memory", "--port", "-1");
  await broker.printed("stdout", /^leveret \S+ ready: no listeners\n$/);
  broker.signal("SIGTERM");
  assert.equal(await broker.ended, 0);
});

test("a port that is taken is refused with one line", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = taken.address() as { port: number };
    await using broker = new Served("--memory", "--port", `${port}`);
    assert.equal(await broker.ended, 1);
    assert.match(broker.stderr, new RegExp(`^leveret: .*127\\.0\\.0\\.1:${port}.*\\n$`));
    assert.equal(broker.stdout, "");
  } finally {
    taken.close();
  }
});

test("a data directory in use is refused with one line that names it", async () => {
  await inFolder(async (folder) => {
    await using first = new Served("--port", "0", "--data-dir", folder);
    await first.port();
    await using second = new Served("--port", "0", "--data-dir", folder);
    assert.equal(await second.ended, 1);
    assert.match(second.stderr, /^leveret: [^\n]*\n$/);
    assert.ok(second.stderr.includes(folder));
    assert.equal(second.stdout, "");
  });
});

test("a data directory that cannot be made is refused with one line, at level debug with the stack", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    await using broker = new Served("--port", "0", "--data-dir", join(file, "data"));
    assert.equal(await broker.ended, 1);
    assert.match(broker.stderr, /^leveret: [^\n]*file[^\n]*\n$/);
    await using loud = new Served("--port", "0", "--data-dir", join(file, "data"), "--log-level", "debug");
    assert.equal(await loud.ended, 1);
    assert.match(loud.stderr, /^leveret: .*\n[^]*\n +at /m);
  });
});
