// What AMQP connections need of the broker around them.

import type { Alarms } from "../core/alarms.ts";
import type { Realm } from "../core/realm.ts";
import type { Registry } from "../core/statistics/registry.ts";
import type { Turn } from "../core/turn.ts";
import type { CoarseClock } from "../lib/clock.ts";
import type { GroupCommit } from "../store/group_commit.ts";
import type { AmqpConfig } from "../config/config.ts";
import type { DirectReplies } from "./direct_replies.ts";

export interface Log {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export interface Product {
  readonly name: string;
  readonly version: string;
  readonly platform: string;
  /** This broker among others: `leveret@host`. */
  readonly node: string;
}

export interface AmqpServices {
  readonly settings: AmqpConfig;
  readonly realm: Realm;
  readonly turn: Turn;
  readonly commit: GroupCommit;
  readonly clock: CoarseClock;
  readonly log: Log;
  /** The product as it names itself to clients. */
  readonly product: Product;
  readonly alarms: Alarms;
  readonly replies: DirectReplies;
  /** Where connections are shown. */
  readonly registry: Registry;
}
