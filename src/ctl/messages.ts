// Single messages: published, and got from a queue.

import { at, type Row } from "./api.ts";
import type { Commands } from "./commands.ts";
import { CtlFault } from "./fault.ts";
import { quoted } from "./text.ts";
import { exchangeWord } from "./topology.ts";
import { integer, type JsonObject, jsonOption, readInput } from "./words.ts";

interface PublishFlags {
  readonly exchange: string;
  readonly properties?: JsonObject;
  readonly transient?: true;
}

interface GetFlags {
  readonly count: number;
  readonly ack?: true;
  readonly reject?: true;
}

const COLUMNS = ["exchange", "routing_key", "redelivered", "properties", "payload_encoding", "payload"];

export function addMessages(commands: Commands): void {
  commands.group("Messages:");
  commands.add<PublishFlags>(
    "publish <routing_key> [payload]",
    "publish a message, persistent unless told otherwise; ends when it is on disk, with 1 when no queue took it",
    async (call, routingKey, payload = "-") => {
      const { api, vhost, flags: { exchange, properties, transient } } = call;
      const bytes = payload === "-" ? await readInput("-") : new TextEncoder().encode(payload);
      const what = `exchange ${quoted(exchange)} in vhost ${quoted(vhost)}`;
      const answer = await api.post<{ routed: boolean }>(
        at`exchanges/${vhost}/${exchangeWord(exchange)}/publish`,
        what,
        {
          properties: { delivery_mode: transient === true ? 1 : 2, ...properties },
          routing_key: routingKey,
          payload: Buffer.from(bytes).toString("base64"),
          payload_encoding: "base64",
        },
      );
      if (!answer.routed) {
        throw new CtlFault(`${what}: no queue took a message with routing key ${quoted(routingKey!)}`);
      }
    },
  )
    .option("-x, --exchange <name>", "where to publish; without it the routing key names a queue", "")
    .option("--properties <json>", `properties: '{"headers": {"a": 1}}'`, jsonOption("what --properties gives"))
    .option("--transient", "delivery mode 1: the message need not outlive the broker");
  commands.add<GetFlags>(
    "get <queue>",
    "show the next messages of a queue; they are put back, and are marked redelivered then",
    async (call, queue) => {
      const { api, vhost, flags: { count, ack, reject } } = call;
      const messages = await api.post<Row[]>(
        at`queues/${vhost}/${queue!}/get`,
        `queue ${quoted(queue!)} in vhost ${quoted(vhost)}`,
        {
          count,
          ackmode: ack ? "ack_requeue_false" : reject ? "reject_requeue_false" : "ack_requeue_true",
          encoding: "auto",
        },
      );
      if (call.json) return await call.writeJson(messages);
      await call.writeTable(COLUMNS, messages.map((message) => COLUMNS.map((name) => message[name])));
    },
  )
    .option("-n, --count <n>", "how many", integer(1, 10_000), 1)
    .option("--ack", "take them out of the queue")
    .option("--reject", "take them out of the queue as dead letters");
}
