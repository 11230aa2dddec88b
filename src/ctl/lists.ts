// The list_ commands: rabbitmqctl's names for what they list, and for its columns.

import { suggestion } from "../config/nearest.ts";
import { at, type Path, type Row } from "./api.ts";
import type { Call, Commands } from "./commands.ts";
import { usageFault } from "./fault.ts";
import { escaped, quoted } from "./text.ts";

/** Where a column is in what the API answers, with dots for fields within fields; or how it is made from it. */
type Columns = Readonly<Record<string, string | ((row: Row) => unknown)>>;

interface Listing {
  readonly name: string;
  readonly what: string;
  readonly columns: Columns;
  /** Without columns on the command line. */
  readonly shown: readonly string[];
  /** What the API is asked; `vhost` is null where none is given. */
  readonly path: (vhost: string | null) => Path;
  /** "one": the default virtual host unless told; "all": all unless told; "none": it has nothing to do with one. */
  readonly scope: "one" | "all" | "none";
}

const inOne = (kind: string) => (vhost: string | null) => at`${kind}/${vhost ?? "/"}`;
const inAll = (kind: string) => (vhost: string | null) => vhost === null ? at`${kind}` : at`vhosts/${vhost}/${kind}`;

const LISTINGS: readonly Listing[] = [
  {
    name: "list_queues",
    what: "queues",
    columns: same(
      "name durable auto_delete exclusive arguments type state policy operator_policy effective_policy_definition",
      "vhost node messages messages_ready messages_unacknowledged messages_persistent message_bytes",
      "message_bytes_ready message_bytes_unacknowledged message_bytes_persistent consumers consumer_capacity",
      "consumer_utilisation exclusive_consumer_tag single_active_consumer_tag message_stats messages_details",
      "messages_ready_details messages_unacknowledged_details memory leader members online delivery_limit",
    ),
    shown: ["name", "messages"],
    path: inOne("queues"),
    scope: "one",
  },
  {
    name: "list_exchanges",
    what: "exchanges",
    columns: same("name type durable auto_delete internal arguments policy vhost message_stats"),
    shown: ["name", "type"],
    path: inOne("exchanges"),
    scope: "one",
  },
  {
    name: "list_bindings",
    what: "bindings",
    columns: {
      source_name: "source",
      source_kind: () => "exchange",
      destination_name: "destination",
      destination_kind: "destination_type",
      ...same("routing_key arguments vhost properties_key"),
    },
    shown: ["source_name", "source_kind", "destination_name", "destination_kind", "routing_key", "arguments"],
    path: inOne("bindings"),
    scope: "one",
  },
  {
    name: "list_connections",
    what: "connections",
    columns: same(
      "name user vhost peer_host peer_port host port state protocol channels channel_max frame_max timeout",
      "auth_mechanism client_properties user_provided_name connected_at ssl recv_oct recv_cnt send_oct send_cnt",
      "send_pend node recv_oct_details send_oct_details",
    ),
    shown: ["name", "user", "state"],
    path: inAll("connections"),
    scope: "all",
  },
  {
    name: "list_channels",
    what: "channels",
    columns: {
      ...same(
        "name number user vhost state transactional confirm consumer_count messages_unacknowledged",
        "messages_uncommitted acks_uncommitted messages_unconfirmed prefetch_count global_prefetch_count message_stats",
        "node",
      ),
      connection: "connection_details.name",
    },
    shown: ["name", "user", "consumer_count", "messages_unacknowledged"],
    path: inAll("channels"),
    scope: "all",
  },
  {
    name: "list_consumers",
    what: "consumers",
    columns: {
      queue_name: "queue.name",
      channel_name: "channel_details.name",
      ...same("consumer_tag ack_required prefetch_count active activity_status exclusive consumer_timeout arguments"),
      vhost: "queue.vhost",
      user: "channel_details.user",
    },
    shown: ["queue_name", "channel_name", "consumer_tag", "ack_required", "prefetch_count", "active", "arguments"],
    path: inOne("consumers"),
    scope: "one",
  },
  {
    name: "list_vhosts",
    what: "virtual hosts",
    columns: same(
      "name description tags metadata default_queue_type tracing cluster_state messages messages_ready",
      "messages_unacknowledged message_stats recv_oct send_oct",
    ),
    shown: ["name"],
    path: () => at`vhosts`,
    scope: "none",
  },
  {
    name: "list_users",
    what: "users",
    columns: { user: "name", ...same("name tags hashing_algorithm limits") },
    shown: ["user", "tags"],
    path: () => at`users`,
    scope: "none",
  },
  {
    name: "list_permissions",
    what: "permissions in a virtual host",
    columns: same("user vhost configure write read"),
    shown: ["user", "configure", "write", "read"],
    path: (vhost) => at`vhosts/${vhost ?? "/"}/permissions`,
    scope: "one",
  },
  {
    name: "list_topic_permissions",
    what: "topic permissions in a virtual host",
    columns: same("user vhost exchange write read"),
    shown: ["user", "exchange", "write", "read"],
    path: (vhost) => at`vhosts/${vhost ?? "/"}/topic-permissions`,
    scope: "one",
  },
  ...(["policies", "operator_policies"] as const).map((kind): Listing => ({
    name: `list_${kind}`,
    what: kind.replace("_", " "),
    columns: same("vhost name pattern apply-to definition priority"),
    shown: ["vhost", "name", "pattern", "apply-to", "definition", "priority"],
    path: inOne(kind.replace("_", "-")),
    scope: "one",
  })),
  {
    name: "list_parameters",
    what: "parameters of a virtual host",
    columns: same("component name value vhost"),
    shown: ["component", "name", "value"],
    path: () => at`parameters`,
    scope: "one",
  },
  {
    name: "list_global_parameters",
    what: "global parameters",
    columns: same("name value"),
    shown: ["name", "value"],
    path: () => at`global-parameters`,
    scope: "none",
  },
  {
    name: "list_vhost_limits",
    what: "limits of virtual hosts",
    columns: { vhost: "vhost", limits: "value" },
    shown: ["vhost", "limits"],
    path: (vhost) => vhost === null ? at`vhost-limits` : at`vhost-limits/${vhost}`,
    scope: "all",
  },
  {
    name: "list_user_limits",
    what: "limits of users",
    columns: { user: "user", limits: "value" },
    shown: ["user", "limits"],
    path: () => at`user-limits`,
    scope: "none",
  },
];

/** Columns that are called as the API calls them. */
function same(...words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.join(" ").split(" ").map((name) => [name, name]));
}

export function addLists(commands: Commands): void {
  commands.group("What is there:");
  for (const listing of LISTINGS) {
    const scope = listing.scope === "all" ? ", of all virtual hosts unless -p says of which" : "";
    commands.add(`${listing.name} [column...]`, `list ${listing.what}${scope}`, async (call, ...columns) => {
      await list(call, listing, columns, listing.path(call.flags.vhost ?? null));
    }).addHelpText("after", `\nColumns: ${Object.keys(listing.columns).join(" ")}\n`);
  }
  for (const [name, listed] of [["permissions", "list_permissions"], ["topic_permissions", "list_topic_permissions"]]) {
    const listing = LISTINGS.find((one) => one.name === listed)!;
    const ofUser: Listing = {
      ...listing,
      what: `${name!.replace("_", " ")} of a user`,
      shown: ["vhost", ...listing.shown.slice(1)],
      scope: "none",
    };
    commands.add(`list_user_${name} <user>`, `list ${ofUser.what} in all virtual hosts`, async (call, user) => {
      const path = name === "permissions" ? at`users/${user!}/permissions` : at`users/${user!}/topic-permissions`;
      await list(call, { ...ofUser, what: `user ${quoted(user!)}` }, [], path);
    });
  }
}

async function list(call: Call, listing: Listing, wanted: readonly string[], path: Path): Promise<void> {
  const names = wanted.length === 0 ? listing.shown : wanted;
  const columns = names.map((name) => columnOf(listing, name));
  const everything = call.json && wanted.length === 0;
  const query: Record<string, string> = {};
  // The broker need not put together what nobody looks at.
  if (!everything && columns.every((column) => typeof column === "string")) query["columns"] = columns.join(",");
  const vhost = listing.scope === "none" || call.flags.vhost === undefined && listing.scope === "all"
    ? ""
    : ` of vhost ${quoted(call.vhost)}`;
  let rows = await call.api.get<Row[]>(path, `${listing.what}${vhost}`, filtersHere(listing) ? {} : query);
  if (filtersHere(listing)) rows = rows.filter((row) => row["vhost"] === call.vhost);
  if (everything) return await call.writeJson(rows);
  const values = rows.map((row) => columns.map((column) => valueOf(row, column)));
  if (!call.json) return await call.writeTable(names, values);
  await call.writeJson(values.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i] ?? null]))));
}

/** The API lists parameters of a virtual host only by component. */
function filtersHere({ name }: Listing): boolean {
  return name === "list_parameters";
}

function columnOf({ name: command, columns }: Listing, name: string): Columns[string] {
  const dot = name.indexOf(".");
  const column = columns[dot < 0 ? name : name.slice(0, dot)];
  if (column === undefined || !Object.hasOwn(columns, dot < 0 ? name : name.slice(0, dot))) {
    const near = suggestion(name, Object.keys(columns));
    throw usageFault(`${command}: unknown column '${escaped(name)}'${near}`);
  }
  return dot < 0 || typeof column !== "string" ? column : column + name.slice(dot);
}

function valueOf(row: Row, column: Columns[string]): unknown {
  if (typeof column !== "string") return column(row);
  // A field's own name may have no dots, so they part fields within fields.
  return column.split(".").reduce<unknown>((value, field) => {
    return typeof value === "object" && value !== null && Object.hasOwn(value, field)
      ? (value as Row)[field]
      : undefined;
  }, row);
}
