// `leveret serve`: a broker from settings to ready line to exit code. Everything that ends the process stands here.

import { writeSync } from "node:fs";
import process from "node:process";
import { getLogger } from "@logtape/logtape";
import type { Command } from "commander";
import { Broker } from "../broker.ts";
import { configOf } from "../config/config.ts";
import { OPTIONS } from "../config/options.ts";
import { LogTap } from "../lib/log_tap.ts";
import { startLog } from "../log.ts";
import { NAME, VERSION } from "../version.ts";
import { fail } from "./failure.ts";
import { Reload, SYNC_IS_OFF } from "./reload.ts";
import { settingsOf } from "./settings.ts";
import { Signals } from "./signals.ts";

const KEEP_ALIVE_MS = 2 ** 30;

/** Resolves when the broker serves; the process then lives until a signal or a fault. */
export async function serve(command: Command): Promise<void> {
  const { values } = settingsOf(command);
  const config = configOf(values);
  const tap = new LogTap();
  startLog(config.logLevel, undefined, tap);
  const log = getLogger("leveret");
  const withStack = config.logLevel === "debug";

  // A broken invariant must not go on silently: what is confirmed is on disk, so ending loses nothing.
  process.on("uncaughtException", (error) => fail(error, true));
  process.on("unhandledRejection", (error) => fail(error, true));

  const broker = new Broker(config, { onFault: (fault) => fail(fault, withStack), log: tap });
  const signals = new Signals({
    stop: () => broker.stop(),
    exit: (code) => process.exit(code),
    onStopFault: (fault) => fail(fault, withStack),
    log: (line) => log.info(line),
  });
  process.on("SIGTERM", () => signals.receive("SIGTERM"));
  process.on("SIGINT", () => signals.receive("SIGINT"));
  const reload = new Reload(values, () => settingsOf(command).values, {
    apply: (config) => broker.reconfigure(config),
    renewCertificate: () => broker.renewCertificate(),
    log: (level) => startLog(level, undefined, tap),
    info: (text) => log.info("{text}", { text }),
    warn: (text) => log.warn("{text}", { text }),
  });
  process.on("SIGHUP", () => void reload.run());

  try {
    await broker.start();
  } catch (error) {
    fail(error, withStack);
  }
  signals.serving();
  // Neither a listener that is off nor a signal to come keeps a process alive.
  setInterval(() => {}, KEEP_ALIVE_MS);
  if (config.defaultPassword === OPTIONS.defaultPassword.fallback) {
    log.warn(`user '${config.defaultUser}' has the password that everybody knows: set default_password`);
  }
  if (!config.sync && !config.memory) log.warn(SYNC_IS_OFF);
  writeSync(1, readyLine(broker.listeners));
}

export interface Listening {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

/** `leveret 0.1.0 ready: amqp 127.0.0.1:5672`; whoever starts a broker waits for this line. */
export function readyLine(listeners: readonly Listening[]): string {
  const places = listeners.map(({ protocol, host, port }) => {
    return `${protocol} ${host.includes(":") ? `[${host}]` : host}:${port}`;
  });
  return `${NAME} ${VERSION} ready: ${places.length === 0 ? "no listeners" : places.join(", ")}\n`;
}
