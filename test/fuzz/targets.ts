// All that is fuzzed. What is added here runs in `npm test` and in `npm run fuzz`.

import type { FuzzTarget } from "./fuzz_target.ts";
import { amqp } from "./amqp/conversation.ts";
import { sockets } from "./amqp/sockets.ts";
import { client } from "./client/hostile_server.ts";
import { settings, uris } from "./config/settings.ts";
import { packets } from "./mqtt/packets.ts";
import { mqtt } from "./mqtt/sessions.ts";
import { acks, definitions, offsets, segments } from "./store/files.ts";
import { frames } from "./wire/frames.ts";
import { methods, properties, tables } from "./wire/tables.ts";

export const TARGETS: readonly FuzzTarget[] = [
  frames,
  tables,
  methods,
  properties,
  amqp,
  sockets,
  packets,
  mqtt,
  client,
  settings,
  uris,
  segments,
  acks,
  definitions,
  offsets,
];
