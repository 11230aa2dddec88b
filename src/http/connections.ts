// Connections and their channels: lists, one, and the end of a connection.

import type { LiveChannel, LiveConnection, Registry } from "../core/statistics/registry.ts";
import { jsonOfArguments } from "../core/json_arguments.ts";
import type { Caller } from "./access.ts";
import { channelDetails, consumerFields, consumersOf } from "./consumers.ts";
import { answerList, listQuery } from "./list.ts";
import { accessRefused, NOT_YOURS, notFound } from "./problem.ts";
import { Rates, ratesQuery } from "./rates.ts";
import type { Router } from "./router.ts";
import { channelAnswer, connectionAnswer, listAnswer } from "./schemas.ts";
import type { HttpServices } from "./services.ts";
import { type Fields, shape, shapeOne } from "./shape.ts";
import { inVhosts } from "./vhost_items.ts";

const TAG = "Connections";
const CHANNELS_TAG = "Channels";
const CLOSED = "CONNECTION_FORCED - Closed via management plugin";

interface LiveContext {
  readonly node: string;
  readonly rates: Rates;
}

const NO_COLLECTOR = { fullsweep_after: 0, max_heap_size: 0, min_bin_vheap_size: 0, min_heap_size: 0, minor_gcs: 0 };

const connectionFields: Fields<LiveConnection, LiveContext> = {
  name: (connection) => connection.name,
  vhost: (connection) => connection.vhost,
  user: (connection) => connection.user,
  user_who_performed_action: (connection) => connection.user,
  user_provided_name: (connection) => {
    const name = connection.clientProperties.get("connection_name");
    return typeof name === "string" ? name : undefined;
  },
  type: () => "network",
  protocol: (connection) => connection.protocol,
  state: (connection) => connection.state,
  node: (_, { node }) => node,
  host: (connection) => connection.host,
  port: (connection) => connection.port,
  peer_host: (connection) => connection.peerHost,
  peer_port: (connection) => connection.peerPort,
  ssl: () => false,
  ssl_protocol: () => null,
  ssl_cipher: () => null,
  ssl_hash: () => null,
  ssl_key_exchange: () => null,
  peer_cert_issuer: () => null,
  peer_cert_subject: () => null,
  peer_cert_validity: () => null,
  auth_mechanism: (connection) => connection.authMechanism,
  client_properties: (connection) => jsonOfArguments(connection.clientProperties),
  connected_at: (connection) => connection.connectedAtMs,
  timeout: (connection) => connection.timeout,
  frame_max: (connection) => connection.frameMax,
  channel_max: (connection) => connection.channelMax,
  channels: (connection) => connection.channelCount,
  recv_oct: (connection) => connection.traffic.received,
  recv_oct_details: (connection, { rates }) => rates.of(connection.traffic, "recv_oct", rates.data),
  recv_cnt: (connection) => connection.receivedCount,
  send_oct: (connection) => connection.traffic.sent,
  send_oct_details: (connection, { rates }) => rates.of(connection.traffic, "send_oct", rates.data),
  send_cnt: (connection) => connection.sentCount,
  send_pend: (connection) => connection.pendingBytes,
  garbage_collection: () => NO_COLLECTOR,
  reductions: () => 0,
  reductions_details: () => ({ rate: 0 }),
};

const channelFields: Fields<LiveChannel, LiveContext> = {
  name: (channel) => channel.name,
  number: (channel) => channel.number,
  vhost: (channel) => channel.connection.vhost,
  user: (channel) => channel.connection.user,
  user_who_performed_action: (channel) => channel.connection.user,
  node: (_, { node }) => node,
  state: (channel) => channel.flowActive ? channel.connection.state : "flow",
  connection_details: ({ connection }) => ({
    name: connection.name,
    peer_host: connection.peerHost,
    peer_port: connection.peerPort,
  }),
  consumer_count: (channel) => channel.consumerCount,
  prefetch_count: (channel) => channel.prefetchCount,
  global_prefetch_count: (channel) => channel.globalPrefetchCount,
  messages_unacknowledged: (channel) => channel.unacknowledgedCount,
  messages_unconfirmed: (channel) => channel.unconfirmedCount,
  messages_uncommitted: (channel) => channel.uncommittedCount,
  acks_uncommitted: (channel) => channel.uncommittedAckCount,
  confirm: (channel) => channel.confirms,
  transactional: (channel) => channel.transactional,
  message_stats: (channel, { rates }) => rates.messageStats(channel.counters),
  garbage_collection: () => NO_COLLECTOR,
  reductions: () => 0,
  reductions_details: () => ({ rate: 0 }),
  pending_raft_commands: () => 0,
};

export function addConnections(router: Router, services: HttpServices): void {
  const { statistics, product: { node } } = services;
  const { registry, sampler } = statistics;
  const query = listQuery.extend(ratesQuery.shape);
  const contextOf = (query: Partial<Record<string, unknown>>): LiveContext => {
    return { node, rates: new Rates(sampler, query as ConstructorParameters<typeof Rates>[1]) };
  };
  const connectionsAnswer = listAnswer(connectionAnswer);
  const channelsAnswer = listAnswer(channelAnswer);
  const nameOf = ({ name }: { readonly name: string }) => name;
  const listConnections = (items: Iterable<LiveConnection>, query: Parameters<typeof answerList>[1]) =>
    answerList({ items, fields: connectionFields, context: contextOf(query), nameOf }, query);
  const listChannels = (items: Iterable<LiveChannel>, query: Parameters<typeof answerList>[1]) =>
    answerList({ items, fields: channelFields, context: contextOf(query), nameOf }, query);

  router.add(
    "get",
    "/api/connections",
    { summary: "All connections", tag: TAG, query, answer: connectionsAnswer },
    ({ query, caller }) => listConnections(seen(caller, registry), query),
  );
  router.add(
    "get",
    "/api/vhosts/{vhost}/connections",
    { summary: "Connections of a virtual host", tag: TAG, query, answer: connectionsAnswer },
    ({ params, query, caller }) => {
      const { name } = caller.vhost(params.vhost);
      return listConnections(seen(caller, registry).filter(({ vhost }) => vhost === name), query);
    },
  );
  router.add(
    "get",
    "/api/connections/username/{user}",
    { summary: "Connections of a user", tag: TAG, query, answer: connectionsAnswer },
    ({ params, query, caller }) => {
      return listConnections(seen(caller, registry).filter(({ user }) => user === params.user), query);
    },
  );
  router.add(
    "delete",
    "/api/connections/username/{user}",
    { summary: "Close all connections of a user", tag: TAG, access: "administrator" },
    ({ params, headers }) => {
      const theirs = [...registry.connections()].filter(({ user }) => user === params.user);
      for (const connection of theirs) connection.close(reasonOf(headers));
    },
  );
  router.add(
    "get",
    "/api/connections/{name}",
    { summary: "One connection", tag: TAG, query: ratesQuery, answer: connectionAnswer },
    (call) => shapeOne(connectionOf(registry, call), connectionFields, contextOf(call.query), call.query),
  );
  router.add(
    "delete",
    "/api/connections/{name}",
    { summary: "Close a connection; the header X-Reason tells its client why", tag: TAG },
    (call) => {
      const connection = connectionOf(registry, call);
      if (connection.user !== call.caller.name) call.caller.expect("administrator");
      connection.close(reasonOf(call.headers));
    },
  );
  router.add(
    "get",
    "/api/connections/{name}/channels",
    { summary: "Channels of a connection", tag: TAG, query, answer: channelsAnswer },
    (call) => listChannels(connectionOf(registry, call).channels, call.query),
  );
  router.add(
    "get",
    "/api/channels",
    { summary: "All channels", tag: CHANNELS_TAG, query, answer: channelsAnswer },
    ({ query, caller }) => listChannels(channelsOf(seen(caller, registry)), query),
  );
  router.add(
    "get",
    "/api/vhosts/{vhost}/channels",
    { summary: "Channels of a virtual host", tag: CHANNELS_TAG, query, answer: channelsAnswer },
    ({ params, query, caller }) => {
      const { name } = caller.vhost(params.vhost);
      return listChannels(channelsOf(seen(caller, registry).filter(({ vhost }) => vhost === name)), query);
    },
  );
  router.add(
    "get",
    "/api/channels/{name}",
    { summary: "One channel", tag: CHANNELS_TAG, query: ratesQuery, answer: channelAnswer },
    ({ params, query, caller }) => {
      const channel = registry.channel(params.name);
      if (channel === null) throw notFound();
      if (!caller.seesUser(channel.connection.user)) throw accessRefused(NOT_YOURS);
      const consumers = [...consumersOf(inVhosts(caller.knownVhosts, ({ queues }) => queues.values()))]
        .filter(({ item }) => item.consumer.shown?.channel.name === channel.name);
      return {
        ...shape(channel, channelFields, contextOf(query)),
        consumer_details: consumers.map((consumer) => ({
          ...shape(consumer, consumerFields, { node }),
          channel_details: channelDetails(channel, node),
        })),
        deliveries: [],
        publishes: [],
      };
    },
  );
}

function connectionOf(
  registry: Registry,
  { params, caller }: { readonly params: { readonly name: string }; readonly caller: Caller },
): LiveConnection {
  const connection = registry.connection(params.name);
  if (connection === null) throw notFound();
  if (!caller.seesUser(connection.user)) throw accessRefused(NOT_YOURS);
  return connection;
}

/** Those that a caller may look at: its own, or all. */
function seen(caller: Caller, registry: Registry): LiveConnection[] {
  return [...registry.connections()].filter(({ user }) => caller.seesUser(user));
}

function channelsOf(connections: readonly LiveConnection[]): LiveChannel[] {
  return connections.flatMap(({ channels }) => [...channels]);
}

/** AMQP's errors name their code themselves. */
function reasonOf(headers: Headers): string {
  return headers.get("x-reason")?.slice(0, 200) ?? CLOSED.replace("CONNECTION_FORCED - ", "");
}
