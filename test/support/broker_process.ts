// A broker in a process of its own, for black-box tests: starts it, reads its ready line, kills it, starts it again.
// Owns the child and its temporary data directory; both are gone when the test process ends, however it ends.
//
// LEVERET_TEST_TARGETS   what to test, comma-separated: bun, deno, executable, command (default: bun, deno, executable)
// LEVERET_TEST_COMMAND   for "command": a program that takes `serve --port N --data-dir DIR` and prints a ready line,
//                        so that these tests can be tried against another maker's broker

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const READY_TIMEOUT_MS = 60_000;
const EXIT_TIMEOUT_MS = 60_000;
const STDERR_KEPT_CHARS = 64 * 1024;
const READY_LINE = /^leveret \S+ ready:(.*)$/m;

export const projectRoot = fileURLToPath(new URL("../../", import.meta.url));

export type Target = "bun" | "deno" | "executable" | "command";
const ALL_TARGETS: readonly Target[] = ["bun", "deno", "executable", "command"];

export function testTargets(): Target[] {
  const chosen = process.env.LEVERET_TEST_TARGETS;
  if (chosen === undefined || chosen === "") return ["bun", "deno", "executable"];
  return chosen.split(",").map((name) => {
    const target = ALL_TARGETS.find((known) => known === name.trim());
    if (target === undefined) throw new Error(`LEVERET_TEST_TARGETS: unknown target "${name}"`);
    return target;
  });
}

/** The program and the arguments in front of the subcommand. */
export function commandOf(target: Target): ProgramCommand {
  const bin = (name: string) => join(projectRoot, "node_modules", ".bin", name);
  switch (target) {
    case "bun":
      return { program: bin("bun"), args: ["src/main.ts"] };
    case "deno":
      return { program: bin("deno"), args: ["run", "-A", "src/main.ts"] };
    case "executable": {
      const program = join(projectRoot, "dist", "leveret");
      if (!existsSync(program)) throw new Error("dist/leveret is missing: run npm run build");
      return { program, args: [] };
    }
    case "command": {
      const program = process.env.LEVERET_TEST_COMMAND;
      if (program === undefined) throw new Error('target "command" needs LEVERET_TEST_COMMAND');
      return { program, args: [] };
    }
  }
}

/** Brokers of tests run side by side: no listener on a port that is always the same. */
const WITHOUT_HTTP: Readonly<Record<string, string>> = {
  LEVERET_MGMT_PORT: "-1",
  LEVERET_METRICS_HTTP_PORT: "-1",
};

export const ONLY_AMQP: Readonly<Record<string, string>> = { ...WITHOUT_HTTP, LEVERET_MQTT_PORT: "-1" };

export interface Exit {
  code: number | null;
  signal: string | null;
}

/** A started program with what it wrote so far. */
export class Program {
  stdout = "";
  stderr = "";
  exit: Exit | undefined;
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  #waiters: (() => void)[] = [];

  constructor(program: string, args: readonly string[], environment: Record<string, string> = {}) {
    const child = spawn(program, args, {
      cwd: projectRoot,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child = child;
    const killAtExit = () => child.kill("SIGKILL");
    process.on("exit", killAtExit);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
      this.#wake();
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr = (this.stderr + text).slice(-STDERR_KEPT_CHARS);
      this.#wake();
    });
    this.exited = new Promise((resolve) => {
      const done = (exit: Exit) => {
        if (this.exit !== undefined) return;
        this.exit = exit;
        process.off("exit", killAtExit);
        this.#wake();
        resolve(exit);
      };
      child.on("close", (code, signal) => done({ code, signal }));
      child.on("error", (error) => {
        this.stderr += String(error);
        done({ code: null, signal: null });
      });
    });
  }

  /** Waits until `find` gives something; fails with everything the program said when it exits or time is up. */
  async until<T>(what: string, find: () => T | undefined, timeoutMs = READY_TIMEOUT_MS): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    while (true) {
      const found = find();
      if (found !== undefined) return found;
      if (this.exit !== undefined) throw new Error(`exited while waiting for ${what}: ${this.describe()}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${what} within ${timeoutMs} ms: ${this.describe()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async waitForExit(timeoutMs = EXIT_TIMEOUT_MS): Promise<Exit> {
    return await this.until("exit", () => this.exit, timeoutMs);
  }

  kill(signal: "SIGKILL" | "SIGTERM" | "SIGINT" | "SIGHUP"): void {
    // Not child.kill: Deno then reports the signal as the cause of the end, whatever it was.
    if (this.exit !== undefined || this.child.pid === undefined) return;
    try {
      process.kill(this.child.pid, signal);
    } catch (error) {
      if ((error as { code?: string }).code !== "ESRCH") throw error; // it has just ended by itself
    }
  }

  describe(): string {
    const exit = this.exit === undefined ? "running" : `exit ${this.exit.code ?? this.exit.signal}`;
    return `${exit}\n--- stdout\n${this.stdout.slice(-4096)}\n--- stderr\n${this.stderr}`;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

export interface ProgramCommand {
  readonly program: string;
  readonly args: readonly string[];
}

export interface BrokerOptions {
  /** What is run instead of the target. */
  command?: ProgramCommand;
  dataDir?: string;
  port?: number;
  /** Of MQTT, -1 for none; a free one without it. */
  mqttPort?: number;
  args?: readonly string[];
  environment?: Record<string, string>;
  /** With the HTTP API and the metrics, on free ports. */
  http?: boolean;
}

export class BrokerProcess {
  readonly target: Target;
  readonly dataDir: string;
  port = 0;
  mqttPort: number;
  /** 0 without. */
  httpPort = 0;
  httpsPort = 0;
  metricsPort = 0;
  #program: Program;
  readonly #command: ProgramCommand;
  readonly #args: readonly string[];
  readonly #environment: Record<string, string>;
  readonly #ownsDataDir: boolean;

  private constructor(target: Target, dataDir: string, ownsDataDir: boolean, options: BrokerOptions) {
    this.target = target;
    this.dataDir = dataDir;
    this.#ownsDataDir = ownsDataDir;
    this.#command = options.command ?? commandOf(target);
    this.#args = options.args ?? [];
    const http = { LEVERET_MGMT_PORT: "0", LEVERET_METRICS_HTTP_PORT: "0" };
    this.#environment = { ...(options.http === true ? http : WITHOUT_HTTP), ...options.environment };
    this.mqttPort = options.mqttPort ?? 0;
    this.#program = this.#spawn(options.port ?? 0);
  }

  static async start(target: Target, options: BrokerOptions = {}): Promise<BrokerProcess> {
    const dataDir = options.dataDir ?? temporaryDirectory();
    const broker = new BrokerProcess(target, dataDir, options.dataDir === undefined, options);
    await broker.#ready();
    return broker;
  }

  get uri(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#program.child.pid ?? 0;
  }

  get stderr(): string {
    return this.#program.stderr;
  }

  get program(): Program {
    return this.#program;
  }

  /** SIGKILL, and waits until the process is gone. */
  async kill9(): Promise<void> {
    this.#program.kill("SIGKILL");
    await this.#program.exited;
  }

  /** SIGTERM; gives the exit code. */
  async terminate(): Promise<number | null> {
    this.#program.kill("SIGTERM");
    return (await this.#program.waitForExit()).code;
  }

  /** Starts it again on the same data directory and port; it must not be running. */
  async restart(): Promise<void> {
    if (this.#program.exit === undefined) throw new Error("restart of a broker that still runs");
    this.#program = this.#spawn(this.port);
    await this.#ready();
  }

  /** Ends it at once and removes its data. */
  async dispose(): Promise<void> {
    await this.kill9();
    if (this.#ownsDataDir) rmSync(this.dataDir, { recursive: true, force: true });
  }

  #spawn(port: number): Program {
    const { program, args } = this.#command;
    return new Program(program, [
      ...args,
      "serve",
      "--port",
      String(port),
      "--data-dir",
      this.dataDir,
      ...this.#args,
    ], { LEVERET_MQTT_PORT: String(this.mqttPort), ...this.#environment });
  }

  async #ready(): Promise<void> {
    const listeners = await this.#program.until("ready line", () => READY_LINE.exec(this.#program.stdout)?.[1]);
    const port = /\bamqp 127\.0\.0\.1:(\d+)/.exec(listeners)?.[1];
    if (port !== undefined) this.port = Number(port);
    const mqttPort = /\bmqtt 127\.0\.0\.1:(\d+)/.exec(listeners)?.[1];
    if (mqttPort !== undefined) this.mqttPort = Number(mqttPort);
    this.httpPort = Number(/\bhttp 127\.0\.0\.1:(\d+)/.exec(listeners)?.[1] ?? 0);
    this.httpsPort = Number(/\bhttps 127\.0\.0\.1:(\d+)/.exec(listeners)?.[1] ?? 0);
    this.metricsPort = Number(/\bmetrics 127\.0\.0\.1:(\d+)/.exec(listeners)?.[1] ?? 0);
  }
}

/** A broker per test file and target, started by the first test that asks (hooks have no usable time limit in Bun). */
export class SharedBroker {
  readonly target: Target;
  #started: Promise<BrokerProcess> | undefined;

  constructor(target: Target) {
    this.target = target;
  }

  get(): Promise<BrokerProcess> {
    this.#started ??= BrokerProcess.start(this.target);
    return this.#started;
  }

  async dispose(): Promise<void> {
    const broker = await this.#started?.catch(() => undefined);
    await broker?.dispose();
  }
}

/** A fresh directory that is removed when the test process ends, if not before. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "leveret-test-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  process.on("exit", remove);
  globalThis.addEventListener("unload", remove); // Deno's test run ends with this and without the other
  return directory;
}
