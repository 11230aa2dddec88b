// The command `perf amqp`: its options, what it prints, its exit code.

import process from "node:process";
import type { Command } from "commander";
import { AmqpFault } from "../client/amqp_fault.ts";
import { AmqpUriFault, redactUri } from "../client/amqp_uri.ts";
import { currentRuntime } from "../runtime/current.ts";
import { ConnectFault } from "../runtime/fault.ts";
import { registerPerfMqtt } from "./mqtt/command.ts";
import { integer, positive } from "./numbers.ts";
import { OptionFault, optionsOf, type PerfFlags, type PerfOptions } from "./options.ts";
import { resultLines } from "./report.ts";
import { PerfRun } from "./run.ts";
import { startSink } from "./sink.ts";

const PREFETCH_MAX = 65_535;

/** Adds `perf` with its commands to the program. */
export function registerPerf(program: Command): void {
  const perf = program.command("perf").description("put load on a broker and measure it");
  perf.command("amqp")
    .description("load generator for any AMQP 0-9-1 broker")
    .option("--uri <uri>", "amqp://user:password@host:port/vhost", "amqp://guest:guest@127.0.0.1:5672")
    .option("--publishers <n>", "publishing connections", integer(0, 10_000), 1)
    .option("--consumers <n>", "consuming connections", integer(0, 10_000), 1)
    .option("--size <bytes>", "size of a body; latency needs at least 8", integer(0, 128 * 1024 * 1024), 16)
    .option("--duration <s>", "seconds to measure", positive)
    .option("--warm-up <s>", "seconds to run before measuring", positive)
    .option("--count <n>", "messages of each publisher, or without publishers to consume", integer(1))
    .option("--rate <n>", "messages a second, all publishers together", positive)
    .option("--prefetch <n>", "unacknowledged messages per consumer, 0 for no limit", integer(0, PREFETCH_MAX), 0)
    .option("--ack-every <n>", "acknowledge every n messages at once (default: 1)", integer(1))
    .option("--autoack", "consume without acknowledgements")
    .option(
      "--confirm <n>",
      "publisher confirms, at most n outstanding per publisher, 0 for none",
      integer(0, 1_000_000),
      0,
    )
    .option("--persistent", "publish persistent messages (delivery mode 2)")
    .option("--queue <name>", "queue to publish to and consume from", "perf-test")
    .option("--queues <n>", "use n queues, called NAME-1 to NAME-n", integer(1, 100_000), 1)
    .option("--exchange <name>", "exchange to publish to; the queues are bound to it", "")
    .option("--exchange-type <type>", "type of an exchange that is to be declared", "direct")
    .option("--routing-key <key>", "routing key (default: the queue's name)")
    .option("--durable", "declare durable queues (the default)")
    .option("--transient", "declare transient queues")
    .option("--no-declare", "take queues and exchange as they are")
    .option("--keep-queue", "do not delete queues that this run has declared and consumed from")
    .option("--json", "print one JSON object as the last line; the lines of each second go to standard error")
    .addHelpText("after", "\nWithout --duration and --count it runs until it is interrupted (SIGINT).")
    .action(async (flags: PerfFlags, command: Command) => {
      let options: PerfOptions;
      try {
        options = optionsOf(flags);
      } catch (error) {
        if (error instanceof OptionFault) command.error(`error: ${error.message}`, { exitCode: 1 });
        throw error;
      }
      process.exitCode = await perfAmqp(options);
    });
  registerPerfMqtt(perf);
  perf.command("sink", { hidden: true })
    .description("a server without queues: swallows what is published, feeds consumers; shows a generator's ceiling")
    .option("--bind <address>", "address to listen on", "127.0.0.1")
    .option("--port <n>", "port to listen on, 0 for a free one", integer(0, 65_535), 0)
    .option("--size <bytes>", "size of a delivered body", integer(0, 128 * 1024 * 1024), 16)
    .action(serveSink);
}

/** Serves until the process is interrupted. */
async function serveSink(flags: { bind: string; port: number; size: number }): Promise<void> {
  const listener = await startSink(await currentRuntime(), { host: flags.bind, port: flags.port }, {
    bodyBytes: flags.size,
  });
  process.stdout.write(`leveret perf sink ready: amqp ${listener.address.host}:${listener.address.port}\n`);
}

/** Runs and prints; returns the exit code. */
async function perfAmqp(options: PerfOptions): Promise<number> {
  const seconds = options.json ? process.stderr : process.stdout;
  const run = new PerfRun(await currentRuntime(), options, (line) => seconds.write(`${line}\n`));
  const interrupt = () => run.stop();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    const result = await run.measure();
    const lines = options.json ? [JSON.stringify(result)] : resultLines(result);
    process.stdout.write(`${lines.join("\n")}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof AmqpFault || error instanceof ConnectFault || error instanceof AmqpUriFault)) throw error;
    const where = error instanceof AmqpFault ? `${redactUri(options.uri)}: ` : "";
    process.stderr.write(`leveret perf: ${where}${error.message}\n`);
    return 1;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
