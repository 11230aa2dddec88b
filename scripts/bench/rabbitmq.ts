// RabbitMQ where it is installed, run beside the machine's own: a process, ports, files and a cookie of its own.

import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";

const BINARIES = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server"];

export interface RabbitOptions {
  readonly plugins?: readonly string[];
  /** Lines of rabbitmq.conf. */
  readonly config?: readonly string[];
  /** Of the emulator. */
  readonly args?: readonly string[];
}

export interface RabbitCommand {
  readonly program: string;
  readonly environment: Record<string, string>;
  readonly port: number;
  /** Ends its name server, which goes on by itself. To be called when the broker is gone. */
  endNames(): void;
}

/** Where it is; null where it is not installed. */
export function findRabbit(): string | null {
  return BINARIES.find((path) => existsSync(path)) ?? null;
}

/** How to start it with these plugins and lines of configuration; null where it is not installed. */
export async function rabbitCommand(
  dataDir: string,
  { plugins = [], config = [], args = [] }: RabbitOptions = {},
): Promise<RabbitCommand | null> {
  const program = findRabbit();
  if (program === null) return null;
  const [port, distribution, names] = await freePorts(3) as [number, number, number];
  const file = (name: string) => join(dataDir, name);
  writeFileSync(file("enabled_plugins"), `[${plugins.join(",")}].\n`);
  writeFileSync(file("rabbitmq.conf"), config.map((line) => `${line}\n`).join(""));
  const environment = {
    HOME: dataDir,
    RABBITMQ_NODENAME: `leveret${process.pid}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
    RABBITMQ_NODE_PORT: `${port}`,
    RABBITMQ_DIST_PORT: `${distribution}`,
    ERL_EPMD_PORT: `${names}`,
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_MNESIA_BASE: file("mnesia"),
    RABBITMQ_LOG_BASE: file("log"),
    RABBITMQ_ENABLED_PLUGINS_FILE: file("enabled_plugins"),
    RABBITMQ_CONFIG_FILE: file("rabbitmq"),
    RABBITMQ_CONF_ENV_FILE: file("none"),
    // Together: the emulator takes the place of the shell script, so that what is killed is the broker itself.
    RABBITMQ_ALLOW_INPUT: "1",
    RABBITMQ_SERVER_START_ARGS: ["-noinput", ...args].join(" "),
  };
  const endNames = () => void spawnSync("epmd", ["-port", `${names}`, "-kill"], { stdio: "ignore" });
  return { program, environment, port, endNames };
}

/** Different ones: all are held until the last is known. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => {
    return new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
