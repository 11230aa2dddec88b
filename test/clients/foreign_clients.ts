// The clients in Python, Go and Java: small programs beside this file, installed on demand into .cache/, that take a
// scenario as key=value arguments and report one JSON object per line.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { BodyPool, Plan } from "../support/bodies.ts";
import { Program, projectRoot } from "../support/broker_process.ts";

const INSTALL_TIMEOUT_MS = 300_000;
const RUN_TIMEOUT_MS = 600_000;

export type Scenario = "core" | "patterns" | "publish" | "drain";

export interface ScenarioOptions {
  uri: string;
  queue: string;
  plan: Plan;
  pool: BodyPool;
  outstandingMax: number;
  prefetch: number;
}

export type Report =
  | { event: "confirmed"; count: number }
  | { event: "resumed"; from: number; sent: number }
  | { event: "delivered"; first: number; count: number; redelivered: boolean; session: number }
  | { event: "check"; name: string }
  | { event: "done" };

/** To save time these clients, which are the same from either, run from Bun's test run only. */
export const runsForeignClients = process.versions.bun !== undefined;

interface Recipe {
  name: string;
  /** Tools that must be there, with an argument that makes them answer. */
  tools: readonly (readonly [string, string])[];
  folder: string;
  sources: readonly string[];
  install(cache: string, source: string): void;
  command(cache: string, source: string): { program: string; args: string[]; environment?: Record<string, string> };
}

export class ForeignClient {
  readonly name: string;
  /** What of its toolchain is not there, in words. */
  readonly missing: string | undefined;
  readonly #recipe: Recipe;
  readonly #cache: string;
  readonly #source: string;

  constructor(recipe: Recipe) {
    this.#recipe = recipe;
    this.name = recipe.name;
    this.#cache = join(projectRoot, ".cache", recipe.folder);
    this.#source = join(projectRoot, "test", "clients", recipe.folder);
    const absent = recipe.tools.filter(([tool, argument]) => spawnSync(tool, [argument]).status !== 0);
    this.missing = absent.length === 0 ? undefined : `${absent.map(([tool]) => tool).join(", ")} not found`;
    if (this.missing !== undefined) console.warn(`${this.missing}: ${this.name} test skipped`);
  }

  /** Installs and builds, unless that was done already with the same sources. */
  install(): void {
    const stamp = join(this.#cache, "sources");
    const sources = this.#recipe.sources.map((file) => readFileSync(join(this.#source, file), "utf8")).join("\0");
    if (existsSync(stamp) && readFileSync(stamp, "utf8") === sources) return;
    mkdirSync(this.#cache, { recursive: true });
    this.#recipe.install(this.#cache, this.#source);
    writeFileSync(stamp, sources);
  }

  /** Runs a scenario to its end; every line it prints is a report. Fails when the program does. */
  async run(scenario: Scenario, options: ScenarioOptions, report: (event: Report) => void): Promise<void> {
    await this.runWith([
      `scenario=${scenario}`,
      `uri=${options.uri}`,
      `queue=${options.queue}`,
      `count=${options.plan.count}`,
      `sizes=${options.plan.sizes.join(",")}`,
      `large_every=${options.plan.largeEvery}`,
      `large_bytes=${options.plan.largeBytes}`,
      `outstanding=${options.outstandingMax}`,
      `prefetch=${options.prefetch}`,
      `pool=${options.pool.toFile()}`,
    ], report);
  }

  /** The same with arguments of the caller's own. */
  async runWith(given: readonly string[], report: (event: Report) => void): Promise<void> {
    const { program, args, environment } = this.#recipe.command(this.#cache, this.#source);
    const running = new Program(program, [...args, ...given], environment);
    let done = false;
    const readLines = () => {
      const end = running.stdout.lastIndexOf("\n");
      if (end < 0) return;
      const lines = running.stdout.slice(0, end).split("\n");
      running.stdout = running.stdout.slice(end + 1);
      for (const line of lines) {
        const event = JSON.parse(line) as Report;
        if (event.event === "done") done = true;
        report(event);
      }
    };
    const exit = await running.until("end of the program", () => {
      readLines();
      return running.exit;
    }, RUN_TIMEOUT_MS);
    if (exit.code !== 0 || !done) throw new Error(`${this.name}, ${given[0]}: ${running.describe()}`);
  }
}

function runTool(program: string, args: string[], cwd: string, environment: Record<string, string> = {}): void {
  const result = spawnSync(program, args, {
    cwd,
    env: { ...process.env, ...environment },
    encoding: "utf8",
    timeout: INSTALL_TIMEOUT_MS,
  });
  if (result.status === 0) return;
  throw new Error(`${program} ${args.join(" ")} failed: ${result.error ?? ""}\n${result.stdout}\n${result.stderr}`);
}

/** A main.py with its requirements.txt. */
function pythonClient(name: string, folder: string): ForeignClient {
  return new ForeignClient({
    name,
    tools: [["python3", "--version"]],
    folder,
    sources: ["requirements.txt"],
    install: (cache, source) =>
      runTool("python3", [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--upgrade",
        "--target",
        cache,
        "-r",
        join(source, "requirements.txt"),
      ], source),
    command: (cache, source) => ({
      program: "python3",
      args: ["-B", join(source, "main.py")],
      environment: { PYTHONPATH: cache },
    }),
  });
}

function goClient(name: string, folder: string, sources: readonly string[]): ForeignClient {
  return new ForeignClient({
    name,
    tools: [["go", "version"]],
    folder,
    sources: ["go.mod", "go.sum", ...sources],
    install: (cache, source) => runTool("go", ["build", "-o", join(cache, "client"), "."], source),
    command: (cache) => ({ program: join(cache, "client"), args: [] }),
  });
}

/** Sources with a pom.xml that names what they need. */
function javaClient(name: string, folder: string, sources: readonly string[]): ForeignClient {
  return new ForeignClient({
    name,
    tools: [["java", "--version"], ["javac", "--version"], ["mvn", "--version"]],
    folder,
    sources: ["pom.xml", ...sources],
    install: (cache, source) => {
      const jars = join(cache, "jars");
      const copy = ["dependency:copy-dependencies", `-DoutputDirectory=${jars}`];
      runTool("mvn", ["-q", "-B", "-f", join(source, "pom.xml"), ...copy], cache);
      const paths = sources.map((file) => join(source, file));
      runTool("javac", ["-d", join(cache, "classes"), "-cp", join(jars, "*"), ...paths], cache);
    },
    command: (cache) => ({
      program: "java",
      args: ["-Xmx512m", "-cp", [join(cache, "classes"), join(cache, "jars", "*")].join(delimiter), "Main"],
    }),
  });
}

/** A framework over one of them: it has no scenario but its own. */
export const celery = pythonClient("Celery (Python)", "celery");

export const foreignClients: readonly ForeignClient[] = [
  pythonClient("pika (Python)", "pika"),
  goClient("amqp091-go (Go)", "go", ["main.go", "core.go", "patterns.go", "patterns_queues.go", "restart.go"]),
  javaClient("the Java client", "java", ["Main.java", "Core.java", "Patterns.java", "Restart.java"]),
];

/** What manages a broker over HTTP: it has no scenario but its own. */
export const rabbitHole = goClient("rabbit-hole (Go)", "rabbit_hole", ["main.go", "identity.go", "topology.go"]);

export const mqttClients: readonly ForeignClient[] = [
  pythonClient("paho (Python)", "mqtt_paho_python"),
  goClient("paho (Go)", "mqtt_paho_go", ["main.go"]),
  javaClient("HiveMQ's client (Java)", "mqtt_hivemq", ["Main.java"]),
];
