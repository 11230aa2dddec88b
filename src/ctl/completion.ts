// Completion for shells, made from the commands and flags as they are.

import type { Command, Option } from "commander";
import type { Commands } from "./commands.ts";
import { usageFault } from "./fault.ts";
import { quoted } from "./text.ts";

export function addCompletion(commands: Commands): void {
  commands.group("The command line:");
  const command = commands.add(
    "completion <shell>",
    "print what completes these commands in bash, zsh or fish: source <(leveret ctl completion bash)",
    async (call, shell) => {
      const make = Object.hasOwn(SHELLS, shell!) ? SHELLS[shell as Shell] : undefined;
      if (make === undefined) throw usageFault(`expected bash, zsh or fish, found ${quoted(shell!)}`);
      await call.write(make(treeOf(commands.ctl)));
    },
  );
  command.addHelpText("after", COMPLETION_HELP);
}

const COMPLETION_HELP = `
  bash    source <(leveret ctl completion bash)                       in ~/.bashrc
  zsh     source <(leveret ctl completion zsh)                        in ~/.zshrc, behind compinit
  fish    leveret ctl completion fish > ~/.config/fish/completions/leveret.fish
`;

/** What is completed: words, and what they are for. */
interface Word {
  readonly word: string;
  readonly help: string;
}

interface Tree {
  /** Of leveret itself. */
  readonly programs: readonly Word[];
  readonly flags: readonly Word[];
  readonly commands: readonly (Word & { readonly flags: readonly Word[] })[];
}

function treeOf(ctl: Command): Tree {
  const shown = (command: Command): Word => ({ word: command.name(), help: command.description() });
  const flagsOf = ({ options }: Command): Word[] => options.filter(isShown).map(wordOf);
  const visible = ctl.commands.flatMap((command) => {
    const flags = flagsOf(command);
    const { help } = shown(command);
    return [command.name(), ...command.aliases()].map((word) => ({ word, help, flags }));
  });
  return { programs: ctl.parent!.commands.map(shown), flags: flagsOf(ctl), commands: visible };
}

const isShown = ({ hidden, long }: Option): boolean => !hidden && long !== undefined;
const wordOf = ({ long, description }: Option): Word => ({ word: long!, help: description });
const words = (list: readonly Word[]): string => list.map(({ word }) => word).join(" ");

type Shell = "bash" | "zsh" | "fish";
const SHELLS: Readonly<Record<Shell, (tree: Tree) => string>> = { bash: bashText, zsh: zshText, fish: fishText };

function bashText({ programs, flags, commands }: Tree): string {
  const cases = commands.filter((command) => command.flags.length > 0).map((command) => {
    return `      ${command.word}) words="${words(command.flags)} $common" ;;\n`;
  });
  return `# leveret: completion for bash
_leveret() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words command="" word
  local common="${words(flags)} --help"
  local commands="${words(commands)}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${words(programs)}"
  elif [ "\${COMP_WORDS[1]}" != ctl ]; then
    COMPREPLY=($(compgen -f -- "$current"))
    return
  else
    for word in "\${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
      case " $commands " in *" $word "*) command="$word"; break ;; esac
    done
    case "$command" in
      "") words="$commands $common" ;;
${cases.join("")}      *) words="$common" ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ \${#COMPREPLY[@]} -eq 0 ] && [ -n "$command" ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -F _leveret leveret
`;
}

function zshText({ programs, flags, commands }: Tree): string {
  const described = (list: readonly Word[], indent: string) =>
    list.map(({ word, help }) => `${indent}${single(`${word}:${help}`)}\n`).join("");
  const cases = commands.filter((command) => command.flags.length > 0).map((command) => {
    return `    ${command.word})\n      flags=(\n${described(command.flags, "        ")}      ) ;;\n`;
  });
  return `#compdef leveret
# leveret: completion for zsh
_leveret() {
  local -a programs names common flags
  local word command=""
  programs=(
${described(programs, "    ")}  )
  names=(
${described(commands, "    ")}  )
  common=(
${described(flags, "    ")}  )
  if (( CURRENT == 2 )); then
    _describe command programs
    return
  fi
  if [[ "\${words[2]}" != ctl ]]; then
    _files
    return
  fi
  for word in "\${(@)words[3,CURRENT-1]}"; do
    if (( \${names[(I)\${(b)word}:*]} )); then
      command="$word"
      break
    fi
  done
  case "$command" in
    "")
      _describe command names
      _describe -o option common
      return ;;
${cases.join("")}  esac
  _describe -o option flags
  _describe -o option common
  _files
}
compdef _leveret leveret
`;
}

function fishText({ programs, flags, commands }: Tree): string {
  const line = (condition: string, rest: string, help: string) => {
    return `complete -c leveret -n ${single(condition)} ${rest} -d ${single(help)}\n`;
  };
  const inCtl = "__fish_seen_subcommand_from ctl";
  const names = words(commands);
  return [
    "# leveret: completion for fish\n",
    "complete -c leveret -f\n",
    ...programs.map(({ word, help }) => line("__fish_use_subcommand", `-a ${word}`, help)),
    ...commands.map(({ word, help }) => {
      return line(`${inCtl}; and not __fish_seen_subcommand_from ${names}`, `-a ${word}`, help);
    }),
    ...flags.map(({ word, help }) => line(inCtl, `-l ${word.slice(2)}`, help)),
    ...commands.flatMap((command) =>
      command.flags.map(({ word, help }) => {
        return line(`${inCtl}; and __fish_seen_subcommand_from ${command.word}`, `-l ${word.slice(2)}`, help);
      })
    ),
  ].join("");
}

/** In single quotes, for any of the shells. */
function single(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
