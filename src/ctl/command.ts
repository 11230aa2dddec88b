// `leveret ctl`: what administrators do to a broker that runs, over its HTTP API.

import { Command, InvalidArgumentError, Option } from "commander";
import { Commands } from "./commands.ts";
import { addCompletion } from "./completion.ts";
import { addConnections } from "./connections.ts";
import { addDefinitions, type StoppedBroker } from "./definitions.ts";
import { addLists } from "./lists.ts";
import { addMessages } from "./messages.ts";
import { URI_DEFAULT, URI_VARIABLE } from "./place.ts";
import { addStatus } from "./status.ts";
import { addTail } from "./tail.ts";
import { addTop } from "./top.ts";
import { addTopology } from "./topology.ts";
import { addUsers } from "./users.ts";
import { addVhosts } from "./vhosts.ts";

const TIMEOUT_S = 60;

/** Adds `ctl` with its commands to the program. `stopped`: for what can be done while no broker runs. */
export function registerCtl(program: Command, stopped: StoppedBroker | null = null): Command {
  const ctl = program.command("ctl")
    .description("look after a broker that runs: queues, users, policies, connections, definitions")
    .usage("[options] <command>")
    .option("--uri <uri>", `where the broker's HTTP API is (default: $${URI_VARIABLE}; its socket; ${URI_DEFAULT})`)
    .addOption(
      new Option("--data-dir <dir>", "the data directory of a broker on this machine: no password is needed")
        .conflicts("uri"),
    )
    .option("--tls-ca-cert-file <file>", "certificates, in PEM, that the broker's is held against over https://")
    .option("-p, --vhost <name>", "the virtual host (default: /)")
    .option("--json", "print JSON")
    .option("-s, --silent", "no line with the names of columns above a table")
    .option("-t, --timeout <s>", "seconds that the broker may be silent", seconds, TIMEOUT_S)
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", HELP);
  const commands = new Commands(ctl);
  addStatus(commands);
  addTop(commands);
  addLists(commands);
  addTopology(commands);
  addMessages(commands);
  addTail(commands);
  addConnections(commands);
  addUsers(commands);
  addVhosts(commands);
  addDefinitions(commands, stopped);
  addCompletion(commands);
  return ctl;
}

/** The commands with their flags, for the manual; made from what the help is made from. */
export function commandTable(): string {
  let group = "";
  let text = "| command | what it does |\n|---|---|\n";
  for (const command of registerCtl(new Command()).commands) {
    if (command.helpGroup() !== group) {
      group = command.helpGroup();
      text += `| **${group.replace(/:$/, "")}** | |\n`;
    }
    const names = [command.name(), ...command.aliases()].map((name) => `\`${name}\``).join(", ");
    const words = command.usage().replace(/^\[options\] ?/, "");
    const flags = command.options.map(({ flags }) => `\`${flags}\``).join(", ");
    const cells = [
      `${names}${words === "" ? "" : ` \`${words}\``}`,
      `${command.description()}${flags === "" ? "" : `; ${flags}`}`,
    ];
    text += `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  }
  return text;
}

function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= 86_400) return value;
  throw new InvalidArgumentError("a number of seconds above 0 expected");
}

const HELP = `
Tables have one tab between two fields when they do not go to a terminal. A password is read from standard input where
'-' stands in its place, or nothing.

Exit code: 0 done, 1 refused or not found, 2 bad usage, 69 the broker cannot be reached.
`;
