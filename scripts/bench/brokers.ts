// What is measured: Leveret in its three forms, a sink (the generator's own ceiling), RabbitMQ and Mosquitto where they
// are installed.
// Each is a process of its own on a free loopback port, with a data directory of its own, ended by its process id.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePorts, rabbitCommand } from "./rabbitmq.ts";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 20_000;
const MOSQUITTO_BINARIES = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
/** Ticks of /proc/PID/stat in a second, on every Linux that we know. */
const TICKS_PER_SECOND = 100;

export const BROKER_NAMES = ["bun", "deno", "executable", "sink", "rabbitmq", "mosquitto"] as const;
export type BrokerName = typeof BROKER_NAMES[number];

export type Protocol = "amqp" | "mqtt";
/** Of each protocol that a broker speaks, the port. */
type Ports = { readonly [protocol in Protocol]?: number };

/** The program that runs `leveret ...`. */
export function leveret(form: "bun" | "deno" | "executable"): string[] {
  const binary = (name: string) => join(ROOT, "node_modules", ".bin", name);
  if (form === "bun") return [binary("bun"), "src/main.ts"];
  if (form === "deno") return [binary("deno"), "run", "-A", "src/main.ts"];
  return [join(ROOT, "dist", "leveret")];
}

export class RunningBroker {
  readonly name: BrokerName;
  readonly #ports: Ports;
  readonly #child: ChildProcess;
  readonly #dataDir: string;

  private constructor(name: BrokerName, ports: Ports, child: ChildProcess, dataDir: string) {
    this.name = name;
    this.#ports = ports;
    this.#child = child;
    this.#dataDir = dataDir;
  }

  /** Null where it is not installed. */
  static async start(name: BrokerName): Promise<RunningBroker | null> {
    const dataDir = mkdtempSync(join(tmpdir(), "leveret-bench-"));
    const start = await starting(name, dataDir);
    if (start === null) {
      rmSync(dataDir, { recursive: true, force: true });
      return null;
    }
    const broker = new RunningBroker(name, await start.ports, start.child, dataDir);
    process.on("exit", () => broker.#end());
    return broker;
  }

  /** Null when it does not speak that protocol. */
  uri(protocol: Protocol): string | null {
    const port = this.#ports[protocol];
    return port === undefined ? null : `${protocol}://guest:guest@127.0.0.1:${port}`;
  }

  /** User and system time that the broker has used, seconds; RabbitMQ's is its emulator's. */
  cpuSeconds(): number {
    return sum(this.#pids(), (pid) => {
      const fields = readProc(pid, "stat").split(") ")[1]?.split(" ") ?? [];
      return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
    });
  }

  /** From here on `peakBytes` counts anew. */
  forgetPeak(): void {
    for (const pid of this.#pids()) {
      try {
        writeFileSync(`/proc/${pid}/clear_refs`, "5");
      } catch {
        // It keeps the peak of its life.
      }
    }
  }

  /** Largest resident memory, bytes. */
  peakBytes(): number {
    return sum(this.#pids(), (pid) => Number(/VmHWM:\s+(\d+)/.exec(readProc(pid, "status"))?.[1] ?? 0) * 1024);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await Promise.race([exited, wait(STOP_MS_MAX, undefined, { ref: false })]);
    }
    this.#end();
  }

  /** At once, with all that it has started. */
  #end(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      for (const pid of this.#pids()) process.kill(pid, "SIGKILL");
    }
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  /** The process and its children: a shell script may stand in front of the broker. */
  #pids(): number[] {
    const pids = [this.#child.pid!];
    for (const pid of pids) {
      const children = readProc(pid, `task/${pid}/children`).trim();
      if (children !== "") pids.push(...children.split(" ").map(Number));
    }
    return pids;
  }
}

interface Starting {
  readonly child: ChildProcess;
  readonly ports: Promise<Ports>;
}

async function starting(name: BrokerName, dataDir: string): Promise<Starting | null> {
  if (name === "rabbitmq") return await startRabbit(dataDir);
  if (name === "mosquitto") return startMosquitto(dataDir, (await freePorts(1))[0]!);
  return startLeveret(name, dataDir);
}

function startLeveret(name: Exclude<BrokerName, "rabbitmq" | "mosquitto">, dataDir: string): Starting {
  const words = name === "sink"
    ? ["perf", "sink"]
    : ["serve", "--port", "0", "--mqtt-port", "0", "--data-dir", dataDir];
  const [program, ...args] = [...leveret(name === "sink" ? "bun" : name), ...words];
  const environment = Object.entries(process.env).filter(([variable]) => !variable.startsWith("LEVERET_"));
  const child = spawn(program!, args, {
    cwd: ROOT,
    env: { ...Object.fromEntries(environment), LEVERET_MGMT_PORT: "0", LEVERET_METRICS_HTTP_PORT: "0" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  let said = "";
  const ports = new Promise<Ports>((resolve, reject) => {
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      const amqp = /ready: .*amqp \S+:(\d+)/.exec(said)?.[1];
      const mqtt = /ready: .*mqtt \S+:(\d+)/.exec(said)?.[1];
      if (amqp === undefined) return;
      resolve({ amqp: Number(amqp), ...mqtt === undefined ? {} : { mqtt: Number(mqtt) } });
    });
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${name} ended with ${code} before it was ready`)));
    setTimeout(() => reject(new Error(`${name} is not ready after ${READY_MS_MAX} ms`)), READY_MS_MAX).unref();
  });
  return { child, ports };
}

async function startRabbit(dataDir: string): Promise<Starting | null> {
  const command = await rabbitCommand(dataDir);
  if (command === null) return null;
  const { program, environment, port, endNames } = command;
  const child = spawn(program, [], { env: { ...process.env, ...environment }, stdio: "ignore" });
  child.on("exit", endNames);
  process.on("exit", endNames);
  return { child, ports: answering("amqp", port) };
}

/** As it is shipped, but that it takes anybody, and that it drops nothing for a subscriber that is behind. */
function startMosquitto(dataDir: string, port: number): Starting | null {
  const binary = MOSQUITTO_BINARIES.find((path) => existsSync(path));
  if (binary === undefined) return null;
  const config = join(dataDir, "mosquitto.conf");
  writeFileSync(config, `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n`);
  const child = spawn(binary, ["-c", config], { stdio: "ignore" });
  return { child, ports: answering("mqtt", port) };
}

/** Resolves to the port when a server of that protocol answers on it. */
async function answering(protocol: Protocol, port: number): Promise<Ports> {
  const [program, ...args] = leveret("bun");
  const probe = ["perf", protocol, "--uri", `${protocol}://guest:guest@127.0.0.1:${port}`, "--count", "1"];
  for (const deadline = Date.now() + READY_MS_MAX; Date.now() < deadline; await wait(500)) {
    if (spawnSync(program!, [...args, ...probe], { cwd: ROOT, stdio: "ignore" }).status === 0) {
      return { [protocol]: port };
    }
  }
  throw new Error(`nobody answers on port ${port} after ${READY_MS_MAX} ms`);
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
