// The executable: command line -> command. Commands are loaded when they are called, so that the broker starts fast.

import process from "node:process";
import { Command, CommanderError } from "commander";
import { addDoctorFlags, DOCTOR_EXIT_CANNOT } from "./commands/doctor_flags.ts";
import { fail } from "./commands/failure.ts";
import { addFlags, settingsOf } from "./commands/settings.ts";
import { settingsText } from "./config/print.ts";
import { suggestion } from "./config/nearest.ts";
import type { StoppedBroker } from "./ctl/definitions.ts";
import { CtlFault } from "./ctl/fault.ts";
import { currentRuntime } from "./runtime/current.ts";
import { DESCRIPTION, NAME, VERSION } from "./version.ts";

const STOPPED_BROKER: StoppedBroker = {
  async definitionsIn(...args) {
    return (await import("./stopped_broker.ts")).definitionsIn(await currentRuntime(), ...args);
  },
  async addDefinitionsTo(...args) {
    await (await import("./stopped_broker.ts")).addDefinitionsTo(await currentRuntime(), ...args);
  },
};

const words = process.argv.slice(2);
const program = await programFor(words);
try {
  await program.parseAsync(words, { from: "user" });
} catch (error) {
  if (error instanceof CtlFault) {
    // Without text the help has been printed.
    if (error.message === "") process.exit(error.exitCode);
    fail(error, false, error.exitCode, `${NAME} ctl`);
  }
  if (!(error instanceof CommanderError)) fail(error);
  // Help has been printed: as asked for, or instead of a command that is missing.
  if (error.exitCode === 0 || error.code === "commander.help") process.exit(error.exitCode);
  const exitCode = words[0] === "doctor" ? DOCTOR_EXIT_CANNOT : 1;
  fail(usageFault(program, words, error), false, exitCode);
}

async function programFor(words: readonly string[]): Promise<Command> {
  const program = new Command(NAME)
    .description(DESCRIPTION)
    .version(`${NAME} ${VERSION}`, "--version", "print name and version")
    .helpOption("--help", "print this help")
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({ outputError: () => {} });

  const serve = addFlags(program.command("serve", { isDefault: true }))
    .description("run the broker (also without any command)")
    .allowExcessArguments(false);
  serve.action(async () => (await import("./commands/serve.ts")).serve(serve));

  const config = addFlags(program.command("config"))
    .description("print the effective settings and where each comes from")
    .allowExcessArguments(false);
  config.action(() => void process.stdout.write(settingsText(settingsOf(config))));

  const doctor = addDoctorFlags(program.command("doctor"));
  doctor.action(async () => (await import("./commands/doctor.ts")).doctor(doctor));

  if (words[0] === "perf" || words[0] === "help") {
    (await import("./perf/command.ts")).registerPerf(program);
  } else {
    // Only its line in the help; the load generator itself is not loaded.
    program.command("perf").description("load generator for any AMQP or MQTT broker");
  }
  if (words[0] === "ctl" || words[0] === "help") {
    (await import("./ctl/command.ts")).registerCtl(program, STOPPED_BROKER);
  } else {
    program.command("ctl").description("look after a broker that runs");
  }
  program.addHelpText("after", () => `\nOptions of ${NAME} serve:\n${flagsText(serve)}`);
  return program;
}

function flagsText(command: Command): string {
  const help = command.createHelp();
  const width = help.padWidth(command, help);
  return help.visibleOptions(command)
    .map((option) => `  ${help.optionTerm(option).padEnd(width)}  ${help.optionDescription(option)}\n`)
    .join("");
}

/** One line, naming the nearest flag or command where one is unknown. */
function usageFault(program: Command, words: readonly string[], error: CommanderError): Error {
  const command = calledCommand(program, words);
  if (error.code === "commander.unknownOption") {
    const flag = /'(.*)'/.exec(error.message)?.[1] ?? "";
    const known = command.options.map((option) => option.long ?? option.short ?? "");
    return new Error(`unknown option '${flag}'${suggestion(flag.split("=")[0]!, known)}`);
  }
  const isUnknown = error.code === "commander.unknownCommand" ||
    (error.code === "commander.excessArguments" && command.name() !== words[0]);
  if (isUnknown) {
    const parent = error.code === "commander.unknownCommand" ? command : program;
    const word = command.args[0] ?? "";
    return new Error(`unknown command '${word}'${suggestion(word, parent.commands.map((known) => known.name()))}`);
  }
  return new Error(error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " "));
}

/** The command that the first words name; serve when they name none. */
function calledCommand(program: Command, words: readonly string[]): Command {
  let called = program;
  for (const word of words) {
    const named = called.commands.find((command) => command.name() === word);
    if (named === undefined) break;
    called = named;
  }
  return called === program ? program.commands.find((command) => command.name() === "serve")! : called;
}
