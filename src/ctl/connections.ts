// Connections, which administrators may end.

import { type Api, at, type Row } from "./api.ts";
import type { Commands } from "./commands.ts";
import { usageFault } from "./fault.ts";
import { quoted } from "./text.ts";

export function addConnections(commands: Commands): void {
  commands.group("Connections:");
  commands.add(
    "close_connection <name> [reason]",
    "close a connection, called as list_connections calls it; its client is told the reason",
    async ({ api }, name, reason) => {
      await close(api, name!, reason);
    },
  );
  commands.add(
    "close_all_connections [reason]",
    "close all connections, of all virtual hosts unless -p says of which",
    async ({ api, flags }, reason) => {
      const { vhost } = flags;
      const path = vhost === undefined ? at`connections` : at`vhosts/${vhost}/connections`;
      const what = vhost === undefined ? "connections" : `connections of vhost ${quoted(vhost)}`;
      const connections = await api.get<Row[]>(path, what, { columns: "name" });
      // Those that have gone by themselves meanwhile are closed, too.
      for (const { name } of connections) await close(api, name as string, reason, true);
    },
  );
}

async function close(api: Api, name: string, reason: string | undefined, mayBeGone = false): Promise<void> {
  if (reason !== undefined && !/^[\x20-\x7e]{1,200}$/.test(reason)) {
    throw usageFault("a reason is ASCII text of at most 200 characters");
  }
  const headers: Record<string, string> = reason === undefined ? {} : { "x-reason": reason };
  const path = at`connections/${name}`;
  if (mayBeGone && !await api.has(path, `connection ${quoted(name)}`)) return;
  await api.delete(path, `connection ${quoted(name)}`, { headers });
}
