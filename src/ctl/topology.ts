// Queues, exchanges and bindings: declared, deleted, emptied, held back.

import { isDeepStrictEqual } from "node:util";
import type { Command } from "commander";
import { at, type Path, type Row } from "./api.ts";
import type { Call, Commands } from "./commands.ts";
import { CtlFault, usageFault } from "./fault.ts";
import { quoted } from "./text.ts";
import { argumentOption, type JsonObject, jsonOption } from "./words.ts";

interface DeclareFlags {
  readonly transient?: true;
  readonly durable?: true;
  readonly autoDelete?: true;
  readonly arguments?: JsonObject;
  readonly argument?: JsonObject;
}

interface ConditionFlags {
  readonly ifEmpty?: true;
  readonly ifUnused?: true;
}

const queueText = (name: string, vhost: string) => `queue ${quoted(name)} in vhost ${quoted(vhost)}`;
const exchangeText = (name: string, vhost: string) => `exchange ${quoted(name)} in vhost ${quoted(vhost)}`;

/** The one without a name has one in addresses. */
export function exchangeWord(name: string): string {
  return name === "" ? "amq.default" : name;
}

export function addTopology(commands: Commands): void {
  commands.group("Queues:");
  const declare = commands.add<DeclareFlags & { type?: string }>(
    "declare_queue <queue>",
    "make a queue, durable unless told otherwise",
    async ({ api, vhost, flags }, name) => {
      const type = flags.type === undefined ? {} : { "x-queue-type": flags.type };
      await api.put(at`queues/${vhost}/${name!}`, queueText(name!, vhost), declaration(flags, type));
    },
  ).alias("create_queue").option("--type <type>", "classic, quorum or stream");
  declareOptions(declare);
  commands.add<ConditionFlags>("delete_queue <queue>", "delete a queue", async ({ api, vhost, flags }, name) => {
    await api.delete(at`queues/${vhost}/${name!}`, queueText(name!, vhost), { query: conditionsOf(flags) });
  })
    .option("-e, --if-empty", "only when nothing is in it")
    .option("-u, --if-unused", "only when nobody consumes from it");
  commands.add("purge_queue <queue>", "throw away what is ready in a queue", async ({ api, vhost }, name) => {
    await api.delete(at`queues/${vhost}/${name!}/contents`, queueText(name!, vhost));
  });
  for (
    const [verb, description] of [
      ["pause", "hold a queue's messages back from its consumers"],
      ["resume", "let a paused queue go on"],
      ["restart", "close a queue's files and open them anew, and let it go on"],
    ] as const
  ) {
    commands.add(`${verb}_queue <queue>`, description, async ({ api, vhost }, name) => {
      await api.put(at`queues/${vhost}/${name!}/${verb}`, queueText(name!, vhost));
    });
  }
  addExchanges(commands);
  addBindings(commands);
}

function addExchanges(commands: Commands): void {
  commands.group("Exchanges and bindings:");
  const declare = commands.add<DeclareFlags & { internal?: true }>(
    "declare_exchange <exchange> <type>",
    "make an exchange, durable unless told otherwise",
    async ({ api, vhost, flags }, name, type) => {
      const body = { ...declaration(flags), type, internal: flags.internal === true };
      await api.put(at`exchanges/${vhost}/${name!}`, exchangeText(name!, vhost), body);
    },
  ).option("--internal", "clients may not publish to it");
  declareOptions(declare);
  commands.add<ConditionFlags>("delete_exchange <exchange>", "delete an exchange", async (call, name) => {
    const { api, vhost, flags } = call;
    await api.delete(at`exchanges/${vhost}/${name!}`, exchangeText(name!, vhost), { query: conditionsOf(flags) });
  }).option("-u, --if-unused", "only when nothing is bound to it");
}

interface BindFlags {
  readonly toExchange?: true;
  readonly arguments?: JsonObject;
  readonly argument?: JsonObject;
}

function addBindings(commands: Commands): void {
  const bindOptions = (command: Command): void => {
    command.option("--to-exchange", "what is bound is an exchange, not a queue");
    argumentOptions(command);
  };
  bindOptions(commands.add<BindFlags>(
    "bind <source> <destination> [routing_key]",
    "bind a queue, or an exchange, to an exchange",
    async (call, source, destination, routingKey = "") => {
      const body = { routing_key: routingKey, arguments: argumentsOf(call.flags) };
      await call.api.post(betweenPath(call, source!, destination!), bindingText(call, source!, destination!), body);
    },
  ));
  bindOptions(commands.add<BindFlags>(
    "unbind <source> <destination> [routing_key]",
    "take such a binding away",
    async (call, source, destination, routingKey = "") => {
      const what = bindingText(call, source!, destination!);
      const all = await call.api.get<Row[]>(betweenPath(call, source!, destination!), what);
      const args = argumentsOf(call.flags);
      const found = all.find((one) => one["routing_key"] === routingKey && isDeepStrictEqual(one["arguments"], args));
      if (found === undefined) {
        throw new CtlFault(`${what} with routing key ${quoted(routingKey)} and these arguments: not found`);
      }
      await call.api.delete(betweenPath(call, source!, destination!, found["properties_key"] as string), what);
    },
  ));
}

function betweenPath({ vhost, flags }: Call<BindFlags>, source: string, destination: string, key?: string): Path {
  const letter = flags.toExchange === true ? "e" : "q";
  const from = exchangeWord(source);
  return key === undefined
    ? at`bindings/${vhost}/e/${from}/${letter}/${destination}`
    : at`bindings/${vhost}/e/${from}/${letter}/${destination}/${key}`;
}

function bindingText({ vhost, flags }: Call<BindFlags>, source: string, destination: string): string {
  const kind = flags.toExchange === true ? "exchange" : "queue";
  return `binding of ${kind} ${quoted(destination)} to ${exchangeText(source, vhost)}`;
}

function declareOptions(command: Command): void {
  command
    .option("--durable", "it outlives the broker (the default)")
    .option("--transient", "it does not")
    .option("--auto-delete", "it goes with the last one who uses it");
  argumentOptions(command);
}

function argumentOptions(command: Command): void {
  command
    .option("-a, --argument <name=value>", "an argument; may be given several times", argumentOption)
    .option("--arguments <json>", "arguments, as a JSON object", jsonOption("what --arguments gives"));
}

function argumentsOf({ arguments: all, argument }: BindFlags): JsonObject {
  return { ...all, ...argument };
}

function declaration(flags: DeclareFlags, more: JsonObject = {}): JsonObject {
  if (flags.durable && flags.transient) throw usageFault("--durable and --transient exclude each other");
  return {
    durable: flags.transient !== true,
    auto_delete: flags.autoDelete === true,
    arguments: { ...argumentsOf(flags), ...more },
  };
}

function conditionsOf({ ifEmpty, ifUnused }: ConditionFlags): Record<string, string> {
  return { ...(ifEmpty ? { "if-empty": "true" } : {}), ...(ifUnused ? { "if-unused": "true" } : {}) };
}
