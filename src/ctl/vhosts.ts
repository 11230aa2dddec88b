// Virtual hosts and their limits; policies and parameters in them.

import { at } from "./api.ts";
import type { Commands } from "./commands.ts";
import { CtlFault } from "./fault.ts";
import { quoted } from "./text.ts";
import { integer, jsonObjectOf, jsonOf } from "./words.ts";

const VHOST_LIMITS = ["max-connections", "max-queues"];

export function addVhosts(commands: Commands): void {
  commands.group("Virtual hosts:");
  commands.add<{ description?: string; tags?: string; defaultQueueType?: string }>(
    "add_vhost <vhost>",
    "make a virtual host; who makes it may do everything in it",
    async ({ api, flags }, vhost) => {
      const what = `vhost ${quoted(vhost!)}`;
      if (await api.has(at`vhosts/${vhost!}`, what)) throw new CtlFault(`${what} is there already`);
      const { description, tags, defaultQueueType } = flags;
      await api.put(at`vhosts/${vhost!}`, what, { description, tags, default_queue_type: defaultQueueType });
    },
  )
    .option("--description <text>", "what it is for")
    .option("--tags <list>", "tags, with commas between them")
    .option("--default-queue-type <type>", "of queues whose declaration names none: classic, quorum, stream");
  commands.add("delete_vhost <vhost>", "delete a virtual host with all that is in it", async ({ api }, vhost) => {
    await api.delete(at`vhosts/${vhost!}`, `vhost ${quoted(vhost!)}`);
  });
  commands.add(
    "set_vhost_limits <limits>",
    `set limits: '{"max-connections": 10, "max-queues": 100}'`,
    async ({ api, vhost }, text) => {
      for (const [name, value] of Object.entries(jsonObjectOf(text!, "what is to be set"))) {
        await api.put(at`vhost-limits/${vhost}/${name}`, `limits of vhost ${quoted(vhost)}`, { value });
      }
    },
  );
  commands.add("clear_vhost_limits", "take all limits away", async ({ api, vhost }) => {
    for (const name of VHOST_LIMITS) {
      await api.delete(at`vhost-limits/${vhost}/${name}`, `limits of vhost ${quoted(vhost)}`);
    }
  });
  addPolicies(commands);
  addParameters(commands);
}

function addPolicies(commands: Commands): void {
  commands.group("Policies:");
  for (
    const [kind, path, words] of [
      ["policy", "policies", "policy"],
      ["operator_policy", "operator-policies", "operator policy"],
    ] as const
  ) {
    const named = (name: string, vhost: string) => `${words} ${quoted(name)} in vhost ${quoted(vhost)}`;
    commands.add<{ priority: number; applyTo: string }>(
      `set_${kind} <name> <pattern> <definition>`,
      `make or change a${kind === "policy" ? "" : "n"} ${words}: ha '^ha\\.' '{"message-ttl": 60000}'`,
      async ({ api, vhost, flags }, name, pattern, definition) => {
        await api.put(at`${path}/${vhost}/${name!}`, named(name!, vhost), {
          pattern,
          definition: jsonObjectOf(definition!, "the definition"),
          priority: flags.priority,
          "apply-to": flags.applyTo,
        });
      },
    )
      .option("--priority <n>", "the highest that matches is taken", integer(-(2 ** 31), 2 ** 31 - 1), 0)
      .option("--apply-to <what>", "queues, exchanges, streams, classic_queues, ...", "all");
    commands.add(`clear_${kind} <name>`, `delete a${kind === "policy" ? "" : "n"} ${words}`, async (call, name) => {
      await call.api.delete(at`${path}/${call.vhost}/${name!}`, named(name!, call.vhost));
    });
  }
}

function addParameters(commands: Commands): void {
  commands.group("Parameters:");
  const named = (component: string, name: string) => `parameter ${quoted(name)} of ${quoted(component)}`;
  commands.add(
    "set_parameter <component> <name> <value>",
    "make or change a parameter; its value is JSON",
    async ({ api, vhost }, component, name, text) => {
      const value = jsonOf(text!, "the value");
      await api.put(at`parameters/${component!}/${vhost}/${name!}`, named(component!, name!), { value });
    },
  );
  commands.add("clear_parameter <component> <name>", "delete a parameter", async ({ api, vhost }, component, name) => {
    await api.delete(at`parameters/${component!}/${vhost}/${name!}`, named(component!, name!));
  });
  const global = (name: string) => `global parameter ${quoted(name)}`;
  commands.add(
    "set_global_parameter <name> <value>",
    "make or change a global parameter; its value is JSON",
    async ({ api }, name, text) => {
      await api.put(at`global-parameters/${name!}`, global(name!), { value: jsonOf(text!, "the value") });
    },
  );
  commands.add("clear_global_parameter <name>", "delete a global parameter", async ({ api }, name) => {
    await api.delete(at`global-parameters/${name!}`, global(name!));
  });
}
