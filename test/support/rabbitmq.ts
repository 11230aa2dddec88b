// RabbitMQ itself with its management plugin, where it is installed: the peer that definitions are exchanged with, and whose
// answers ours are held against. Owns the process and its directory; both are gone when the test process ends.

import { existsSync, readdirSync, rmSync } from "node:fs";
import process from "node:process";
import { findRabbit, freePorts, rabbitCommand } from "../../scripts/bench/rabbitmq.ts";
import { Program, temporaryDirectory } from "./broker_process.ts";

const READY_TIMEOUT_MS = 180_000;
const STATISTICS_MS = 500;
const PLUGINS = ["rabbitmq_management", "rabbitmq_consistent_hash_exchange", "rabbitmq_federation"];

/** Why it cannot be had; null where it can. */
export const rabbitMissing: string | null = findRabbit() === null ? "rabbitmq-server not found" : null;
/** Its release, as far as the directory that it lies in tells. */
export const rabbitVersion: string | null = versionIn("/usr/lib/rabbitmq/lib");
if (rabbitMissing !== null) console.warn(`${rabbitMissing}: tests beside RabbitMQ skipped`);

export class RabbitMq {
  readonly port: number;
  readonly httpPort: number;
  readonly #program: Program;
  readonly #end: () => void;

  private constructor(port: number, httpPort: number, program: Program, end: () => void) {
    this.port = port;
    this.httpPort = httpPort;
    this.#program = program;
    this.#end = end;
  }

  static async start(): Promise<RabbitMq> {
    const dataDir = temporaryDirectory();
    const [httpPort] = await freePorts(1) as [number];
    const config = [
      "management.tcp.ip = 127.0.0.1",
      `management.tcp.port = ${httpPort}`,
      `collect_statistics_interval = ${STATISTICS_MS}`,
    ];
    // Statistics come soon from queues of all types.
    const args = ["quorum", "stream"].map((type) => `-rabbit ${type}_tick_interval ${STATISTICS_MS}`);
    const command = await rabbitCommand(dataDir, { plugins: PLUGINS, config, args });
    if (command === null) throw new Error("RabbitMQ is not installed");
    const program = new Program(command.program, [], command.environment);
    const end = () => {
      command.endNames();
      rmSync(dataDir, { recursive: true, force: true });
    };
    process.on("exit", end);
    await program.until(
      "RabbitMQ",
      () => /completed with \d+ plugins/.test(program.stdout) || undefined,
      READY_TIMEOUT_MS,
    );
    return new RabbitMq(command.port, httpPort, program, end);
  }

  /** At once: its data are of no use to anybody. */
  async dispose(): Promise<void> {
    this.#program.kill("SIGKILL");
    await this.#program.exited;
    process.off("exit", this.#end);
    this.#end();
  }
}

function versionIn(directory: string): string | null {
  if (!existsSync(directory)) return null;
  const names = readdirSync(directory).map((name) => /^rabbitmq_server-(\d.*)$/.exec(name)?.[1]);
  return names.find((version) => version !== undefined) ?? null;
}
