// `top`: the queues with the most traffic, again and again.

import process from "node:process";
import { type Api, at, type Row } from "./api.ts";
import type { Call, Commands } from "./commands.ts";
import { quoted, tableText } from "./text.ts";
import { integer } from "./words.ts";

interface TopFlags {
  readonly once?: true;
  readonly interval: number;
  readonly count: number;
}

export interface Busy {
  readonly vhost: string;
  readonly name: string;
  readonly ready: number;
  readonly unacknowledged: number;
  readonly consumers: number;
  /** Messages a second. */
  readonly in: number;
  readonly out: number;
  readonly ack: number;
}

const IN = "message_stats.publish_details.rate";
const OUT = "message_stats.deliver_get_details.rate";
const ACK = "message_stats.ack_details.rate";
/** The first ones by each of them are the candidates. */
const SORTED_BY = [IN, OUT, "messages"];
const COLUMNS = ["vhost", "name", "messages_ready", "messages_unacknowledged", "consumers", IN, OUT, ACK];
const TITLES = ["vhost", "queue", "ready", "unacked", "consumers", "in/s", "out/s", "ack/s"];
const HOME_AND_CLEAR = "\x1b[H\x1b[J";

export function addTop(commands: Commands): void {
  commands.add<TopFlags>(
    "top",
    "show the busiest queues until it is interrupted, of all virtual hosts unless -p says of which",
    async (call) => {
      for (;;) {
        const queues = await busiest(call.api, call.flags.vhost, call.flags.count);
        if (call.json) await call.write(`${JSON.stringify(queues)}\n`);
        else await call.write(await screenOf(call, queues));
        if (call.flags.once === true) return;
        await new Promise((resolve) => setTimeout(resolve, call.flags.interval * 1000));
      }
    },
  )
    .option("--once", "show them once")
    .option("--interval <s>", "seconds between two looks", integer(1, 3600), 2)
    .option("-n, --count <n>", "how many queues", integer(1, 500), 20);
}

async function busiest(api: Api, vhost: string | undefined, count: number): Promise<Busy[]> {
  const path = vhost === undefined ? at`queues` : at`queues/${vhost}`;
  const what = vhost === undefined ? "queues" : `queues of vhost ${quoted(vhost)}`;
  const found: Row[] = [];
  for (const sort of SORTED_BY) {
    const query = { sort, sort_reverse: "true", page: "1", page_size: `${count}`, columns: COLUMNS.join(",") };
    const { items } = await api.get<{ items: Row[] }>(path, what, query);
    found.push(...items);
  }
  return rank(found.map(busyOf), count);
}

/** Those with the most messages a second, then those with the most messages; each queue once. */
export function rank(queues: readonly Busy[], count: number): Busy[] {
  const distinct = new Map(queues.map((queue) => [JSON.stringify([queue.vhost, queue.name]), queue]));
  const traffic = (queue: Busy) => queue.in + queue.out;
  const length = (queue: Busy) => queue.ready + queue.unacknowledged;
  return [...distinct.values()].sort((a, b) => traffic(b) - traffic(a) || length(b) - length(a)).slice(0, count);
}

function busyOf(row: Row): Busy {
  const stats = (row["message_stats"] ?? {}) as Readonly<Record<string, { rate?: number } | undefined>>;
  const rate = (name: string) => stats[`${name}_details`]?.rate ?? 0;
  return {
    vhost: row["vhost"] as string,
    name: row["name"] as string,
    ready: row["messages_ready"] as number,
    unacknowledged: row["messages_unacknowledged"] as number,
    consumers: row["consumers"] as number,
    in: rate("publish"),
    out: rate("deliver_get"),
    ack: rate("ack"),
  };
}

async function screenOf(call: Call<TopFlags>, queues: readonly Busy[]): Promise<string> {
  const overview = await call.api.get(at`overview`, "overview");
  const totals = overview["object_totals"] as Readonly<Record<string, number>>;
  const terminal = process.stdout.isTTY === true;
  const summary = `${overview["node"]}: ${totals["queues"]} queues, ${totals["connections"]} connections, ` +
    `${totals["consumers"]} consumers\n\n`;
  const rows = queues.map((queue) => Object.values(queue));
  const table = tableText(TITLES, rows, { header: call.flags.silent !== true, aligned: terminal });
  // A live screen is for people; a pipe gets the tables alone, one behind the other.
  return terminal ? `${call.flags.once === true ? "" : HOME_AND_CLEAR}${summary}${table}` : table;
}
