// What the broker says of itself: how it is, and how it is set up.

import { at, type Row } from "./api.ts";
import type { Commands } from "./commands.ts";
import { CtlFault } from "./fault.ts";
import { outlineText } from "./text.ts";

export function addStatus(commands: Commands): void {
  commands.group("The broker:");
  commands.add("status", "how the broker is: version, uptime, memory, disk, alarms, what is in it", async (call) => {
    const { overview, node } = await bothOf(call.api);
    const alarms = [node["mem_alarm"] === true ? "memory" : "", node["disk_free_alarm"] === true ? "disk" : ""];
    const status = {
      product: `${overview["product_name"]} ${overview["product_version"]}`,
      runtime: overview["erlang_full_version"],
      node: overview["node"],
      os_pid: node["os_pid"],
      uptime_seconds: Math.floor(Number(node["uptime"]) / 1000),
      alarms: alarms.filter((alarm) => alarm !== ""),
      memory: { used: node["mem_used"], limit: node["mem_limit"] },
      disk: { free: node["disk_free"], limit: node["disk_free_limit"] },
      file_descriptors: { used: node["fd_used"], limit: node["fd_total"] },
      listeners: listenersOf(overview),
      totals: { ...(overview["object_totals"] as object), ...messagesOf(overview) },
    };
    if (call.json) await call.writeJson(status);
    else await call.write(outlineText(status));
  });
  commands.add(
    "environment",
    "how the broker is set up, as far as the API tells; see also leveret config",
    async (call) => {
      const { overview, node } = await bothOf(call.api);
      const names = (list: unknown) => (list as readonly { name: string }[]).map(({ name }) => name);
      const environment = {
        data_dir: node["db_dir"],
        config_files: node["config_files"],
        log_files: node["log_files"],
        memory_limit: node["mem_limit"],
        disk_free_limit: node["disk_free_limit"],
        listeners: listenersOf(overview),
        default_queue_type: overview["default_queue_type"],
        exchange_types: names(overview["exchange_types"]),
        auth_mechanisms: names(node["auth_mechanisms"]),
        sample_retention_policies: overview["sample_retention_policies"],
      };
      if (call.json) await call.writeJson(environment);
      else await call.write(outlineText(environment));
    },
  );
}

async function bothOf(api: { get<T>(path: ReturnType<typeof at>, what: string): Promise<T> }) {
  const overview = await api.get<Row>(at`overview`, "overview");
  const [node] = await api.get<Row[]>(at`nodes`, "nodes");
  if (node === undefined) throw new CtlFault("the broker names no node");
  return { overview, node };
}

function listenersOf(overview: Row): string[] {
  const listeners = (overview["listeners"] ?? []) as readonly { protocol: string; ip_address: string; port: number }[];
  return listeners.map(({ protocol, ip_address: host, port }) => {
    return `${protocol} ${host.includes(":") ? `[${host}]` : host}:${port}`;
  });
}

function messagesOf(overview: Row): Row {
  const totals = (overview["queue_totals"] ?? {}) as Row;
  const names = ["messages", "messages_ready", "messages_unacknowledged"];
  return Object.fromEntries(names.map((name) => [name, totals[name] ?? 0]));
}
