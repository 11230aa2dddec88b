// The command `perf mqtt`: its options, what it prints, its exit code.

import process from "node:process";
import type { Command } from "commander";
import { redactUri } from "../../client/amqp_uri.ts";
import { MqttFault } from "../../client/mqtt_connection.ts";
import { MqttUriFault } from "../../client/mqtt_uri.ts";
import { currentRuntime } from "../../runtime/current.ts";
import { ConnectFault } from "../../runtime/fault.ts";
import { integer, positive } from "../numbers.ts";
import { OptionFault } from "../options.ts";
import { resultLines } from "../report.ts";
import { IdleRun } from "./idle.ts";
import { mqttOptionsOf, type MqttPerfFlags, type MqttPerfOptions } from "./options.ts";
import { MqttPerfRun } from "./run.ts";

export function registerPerfMqtt(perf: Command): void {
  perf.command("mqtt")
    .description("load generator for any MQTT broker")
    .option("--uri <uri>", "mqtt://user:password@host:port", "mqtt://guest:guest@127.0.0.1:1883")
    .option("--protocol <n>", "protocol level: 3 (MQTT 3.1), 4 (3.1.1) or 5", integer(3, 5), 4)
    .option("--publishers <n>", "publishing connections", integer(0, 10_000), 1)
    .option("--consumers <n>", "subscribed connections; each gets every message", integer(0, 10_000), 1)
    .option("--size <bytes>", "size of a payload; latency needs at least 8", integer(0, 128 * 1024 * 1024), 16)
    .option("--duration <s>", "seconds to measure, or to hold idle clients", positive)
    .option("--count <n>", "messages of each publisher", integer(1))
    .option("--rate <n>", "messages a second, all publishers together", positive)
    .option("--qos <n>", "QoS to publish with", integer(0, 2), 0)
    .option("--consumer-qos <n>", "QoS to subscribe with (default: that of --qos)", integer(0, 2))
    .option("--inflight <n>", "unacknowledged messages per publisher, QoS 1 and 2", integer(1, 65_535), 1000)
    .option("--retain", "publish retained messages")
    .option("--topic <name>", "topic to publish to", "perf-test")
    .option("--topic-each", "every publisher sends to a topic of its own, NAME/0 and so on")
    .option("--persistent", "clients have sessions that outlive their connections")
    .option("--connections <n>", "hold so many idle clients instead, 0 for none", integer(0, 1_000_000), 0)
    .option("--idle-qos <n>", "idle clients subscribe, each to a topic of its own", integer(0, 2))
    .option("--json", "print one JSON object as the last line; the lines of each second go to standard error")
    .addHelpText("after", "\nWithout --duration and --count it runs until it is interrupted (SIGINT).")
    .action(async (flags: MqttPerfFlags, command: Command) => {
      let options: MqttPerfOptions;
      try {
        options = mqttOptionsOf(flags);
      } catch (error) {
        if (error instanceof OptionFault) command.error(`error: ${error.message}`, { exitCode: 1 });
        throw error;
      }
      process.exitCode = await perfMqtt(options);
    });
}

/** Runs and prints; returns the exit code. */
async function perfMqtt(options: MqttPerfOptions): Promise<number> {
  const seconds = options.json ? process.stderr : process.stdout;
  const print = (line: string) => void seconds.write(`${line}\n`);
  const runtime = await currentRuntime();
  const run = options.connections > 0 ? new IdleRun(runtime, options, print) : new MqttPerfRun(runtime, options, print);
  const interrupt = () => run.stop();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    const result = await run.measure();
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else if ("connectMs" in result) {
      if (result.reconnectMs !== null) {
        print(`connected again in ${result.reconnectMs} ms, ${result.sessionsPresent} sessions were there`);
      }
    } else process.stdout.write(`${resultLines(result).join("\n")}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof MqttFault || error instanceof ConnectFault || error instanceof MqttUriFault)) throw error;
    const where = error instanceof MqttFault ? `${redactUri(options.uri)}: ` : "";
    process.stderr.write(`leveret perf: ${where}${error.message}\n`);
    return 1;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
