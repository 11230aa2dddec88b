// Consumers, which are their queues'.

import type { AnyQueue } from "../core/any_queue.ts";
import type { Consumer } from "../core/consumer.ts";
import { Queue } from "../core/queue.ts";
import type { LiveChannel } from "../core/statistics/registry.ts";
import { CONSUMER_TIMEOUT_MS } from "../limits.ts";
import { jsonOfArguments } from "../core/json_arguments.ts";
import { answerList, listQuery } from "./list.ts";
import type { Router } from "./router.ts";
import { consumerAnswer, listAnswer } from "./schemas.ts";
import type { HttpServices } from "./services.ts";
import type { Fields } from "./shape.ts";
import { type InVhost, inVhosts } from "./vhost_items.ts";

const TAG = "Consumers";

export interface QueueConsumer {
  readonly queue: AnyQueue;
  readonly consumer: Consumer;
}

type Item = InVhost<QueueConsumer>;

export const consumerFields: Fields<Item, { readonly node: string }> = {
  consumer_tag: ({ item: { consumer } }) => consumer.shown?.tag ?? "",
  ack_required: ({ item: { consumer } }) => !consumer.noAck,
  active: ({ item }) => isActive(item),
  activity_status: ({ item }) => isActive(item) ? "up" : "waiting",
  exclusive: ({ item: { consumer } }) => consumer.exclusive,
  prefetch_count: ({ item: { consumer } }) => consumer.shown?.prefetch ?? 0,
  consumer_timeout: ({ item: { queue } }) => queue.settings.consumerTimeoutMs ?? CONSUMER_TIMEOUT_MS,
  arguments: ({ item: { consumer } }) => consumer.shown === undefined ? {} : jsonOfArguments(consumer.shown.args),
  queue: ({ vhost, item: { queue } }) => ({ name: queue.name, vhost: vhost.name }),
  channel_details: ({ item: { consumer } }, { node }) => {
    return consumer.shown === undefined ? {} : channelDetails(consumer.shown.channel, node);
  },
};

export function channelDetails(channel: LiveChannel, node: string): object {
  const { connection } = channel;
  return {
    connection_name: connection.name,
    name: channel.name,
    node,
    number: channel.number,
    peer_host: connection.peerHost,
    peer_port: connection.peerPort,
    user: connection.user,
  };
}

export function* consumersOf(queues: Iterable<InVhost<AnyQueue>>): IterableIterator<Item> {
  for (const { vhost, item } of queues) {
    for (const consumer of item.consumers) yield { vhost, item: { queue: item, consumer } };
  }
}

function isActive({ queue, consumer }: QueueConsumer): boolean {
  return !(queue instanceof Queue) || !queue.settings.singleActiveConsumer || queue.activeConsumer === consumer;
}

export function addConsumers(router: Router, { product: { node } }: HttpServices): void {
  const answer = listAnswer(consumerAnswer);
  const nameOf = ({ item }: Item) => item.consumer.shown?.tag ?? "";
  router.add(
    "get",
    "/api/consumers",
    { summary: "All consumers", tag: TAG, query: listQuery, answer },
    ({ query, caller }) => {
      const items = consumersOf(inVhosts(caller.vhosts, ({ queues }) => queues.values()));
      const groupOf = ({ vhost }: Item) => vhost.name;
      return answerList({ items, fields: consumerFields, context: { node }, nameOf, groupOf }, query);
    },
  );
  router.add(
    "get",
    "/api/consumers/{vhost}",
    { summary: "Consumers of a virtual host", tag: TAG, query: listQuery, answer },
    ({ params, query, caller }) => {
      const vhost = caller.vhost(params.vhost);
      const items = consumersOf([...vhost.queues.values()].map((item) => ({ vhost, item })));
      return answerList({ items, fields: consumerFields, context: { node }, nameOf }, query);
    },
  );
}
