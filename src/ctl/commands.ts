// The table of ctl's commands: how each is called, what it is for, and what it does when it is.

import process from "node:process";
import type { Command, CommanderError } from "commander";
import { suggestion } from "../config/nearest.ts";
import { Api } from "./api.ts";
import { CtlFault, EXIT_USAGE, usageFault } from "./fault.ts";
import { placeOf } from "./place.ts";
import { tableText } from "./text.ts";

/** Flags that every command has. */
export interface CommonFlags {
  readonly uri?: string;
  readonly dataDir?: string;
  readonly tlsCaCertFile?: string;
  readonly vhost?: string;
  readonly json?: true;
  readonly silent?: true;
  readonly timeout: number;
}

/** One call of a command. */
export class Call<Flags = Record<never, never>> {
  readonly flags: CommonFlags & Flags;
  #api: Api | null = null;

  constructor(flags: CommonFlags & Flags) {
    this.flags = flags;
  }

  get api(): Api {
    return this.#api ??= new Api(placeOf(this.flags, process.env), this.flags.timeout * 1000);
  }

  get vhost(): string {
    return this.flags.vhost ?? "/";
  }

  get json(): boolean {
    return this.flags.json === true;
  }

  write(text: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => process.stdout.write(text, () => resolve()));
  }

  async writeJson(value: unknown): Promise<void> {
    await this.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  async writeTable(names: readonly string[], rows: readonly (readonly unknown[])[]): Promise<void> {
    const style = { header: this.flags.silent !== true, aligned: process.stdout.isTTY === true };
    await this.write(tableText(names, rows, style));
  }
}

/** Its arguments are those of the command line; those of `[name...]` come one by one. */
export type Act<Flags> = (call: Call<Flags>, ...args: string[]) => Promise<void>;

export class Commands {
  readonly ctl: Command;
  #group = "";

  constructor(ctl: Command) {
    this.ctl = ctl;
    endWithFault(ctl, ctl);
  }

  /** The heading in the help for the commands that follow. */
  group(title: string): void {
    this.#group = title;
  }

  /** `usage`: `set_permissions <user> <configure> <write> <read>`. Flags are added to what is returned. */
  add<Flags = Record<never, never>>(usage: string, description: string, act: Act<Flags>): Command {
    const command = this.ctl.command(usage).description(description).helpGroup(this.#group).allowExcessArguments(false);
    endWithFault(command, this.ctl);
    return command.action(async () => {
      // Whoever reads may have had enough: `leveret ctl list_queues | head`.
      process.stdout.on("error", () => process.exit(0));
      // Those that are optional and missing can only be the last ones.
      const args = command.processedArgs.flat().filter((word) => word !== undefined) as string[];
      await act(new Call(command.optsWithGlobals<CommonFlags & Flags>()), ...args);
    });
  }
}

/** What commander finds wrong with the command line becomes one line that names the nearest right thing. */
function endWithFault(command: Command, ctl: Command): void {
  command.exitOverride((error) => {
    // Help has been printed.
    if (error.exitCode === 0) throw error;
    if (error.code === "commander.help") throw new CtlFault("", EXIT_USAGE);
    throw usageFault(usageText(command, ctl, error));
  });
}

function usageText(command: Command, ctl: Command, error: CommanderError): string {
  const word = /'(.*)'/s.exec(error.message)?.[1] ?? "";
  if (error.code === "commander.unknownOption") {
    const known = [...command.options, ...ctl.options].map((option) => option.long ?? option.short ?? "");
    return `unknown option '${word}'${suggestion(word.split("=")[0]!, known)}`;
  }
  if (error.code === "commander.unknownCommand") {
    return `unknown command '${word}'${suggestion(word, ctl.commands.map((known) => known.name()))}`;
  }
  const text = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  return command === ctl ? text : `${command.name()}: ${text}`;
}
