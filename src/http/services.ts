// What the HTTP API needs of the broker around it.

import type { Alarms } from "../core/alarms.ts";
import type { Management } from "../core/management/management.ts";
import type { Realm } from "../core/realm.ts";
import type { Observations } from "../core/statistics/histogram.ts";
import type { Statistics } from "../core/statistics/statistics.ts";
import type { Turn } from "../core/turn.ts";
import type { LogTap } from "../lib/log_tap.ts";
import type { TlsIdentity } from "../runtime/tls_identity.ts";
import type { DamageList } from "../store/damage_list.ts";
import type { GroupCommit } from "../store/group_commit.ts";
import type { NodeGauges } from "./node_gauges.ts";

export interface Product {
  readonly name: string;
  readonly version: string;
  /** The runtime below, and its version. */
  readonly platform: string;
  readonly platformVersion: string;
  /** This broker among others: `leveret@host`. */
  readonly node: string;
}

export interface Listening {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

export interface HttpServices {
  readonly realm: Realm;
  readonly management: Management;
  readonly turn: Turn;
  readonly commit: GroupCommit;
  readonly product: Product;
  readonly alarms: Alarms;
  readonly damage: DamageList;
  readonly statistics: Statistics;
  readonly gauges: NodeGauges;
  readonly observations: Observations;
  readonly messageBytesMax: number;
  /** What is listened on. */
  readonly listeners: () => readonly Listening[];
  /** What listeners over TLS show; null where there are none. */
  readonly certificate: () => TlsIdentity | null;
  /** Lines of the log as they are written; null where the broker does not write it itself. */
  readonly log: LogTap | null;
  /** What went wrong within, for the log. */
  readonly report: (text: string) => void;
}
