// What a broker serves over HTTP, and the statistics that are shown there: listeners, samples, and an eye on the broker
// itself.

import { getLogger } from "@logtape/logtape";
import type { Config, TlsConfig } from "./config/config.ts";
import type { Alarms } from "./core/alarms.ts";
import type { Management } from "./core/management/management.ts";
import type { Realm } from "./core/realm.ts";
import { type Histogram, Observations } from "./core/statistics/histogram.ts";
import { Registry } from "./core/statistics/registry.ts";
import { Statistics } from "./core/statistics/statistics.ts";
import type { Turn } from "./core/turn.ts";
import { apiHandler, listenForMetrics, listenOnSocket } from "./http/management.ts";
import { NodeGauges } from "./http/node_gauges.ts";
import type { HttpServices, Listening, Product } from "./http/services.ts";
import type { LogTap } from "./lib/log_tap.ts";
import type { HttpHandler } from "./runtime/http_exchange.ts";
import { type HttpServer, listenHttp } from "./runtime/http_server.ts";
import type { HttpsServer } from "./runtime/https_server.ts";
import { processProbe } from "./runtime/process_probe.ts";
import type { Address, Syncer } from "./runtime/runtime.ts";
import type { TlsIdentity } from "./runtime/tls_identity.ts";
import type { DamageList } from "./store/damage_list.ts";
import type { GroupCommit } from "./store/group_commit.ts";

/** How often the event loop is looked at, milliseconds. */
const LOOK_MS = 500;

/** What of the broker is shown and changed. */
export interface HttpSideParts {
  readonly config: () => Config;
  readonly realm: Realm;
  readonly management: Management;
  readonly turn: Turn;
  readonly commit: GroupCommit;
  readonly alarms: Alarms;
  readonly damage: DamageList;
  readonly product: Product;
  /** Free bytes of the disk; null where that cannot be told. */
  readonly freeDiskBytes: () => number | null;
  /** All of the broker's. */
  readonly listeners: () => readonly Listening[];
  /** Connections of other protocols. */
  readonly otherSockets: () => number;
  readonly log: LogTap | null;
  /** Where the API is also listened on, for the user who runs the broker; null for nowhere. */
  readonly socketPath: string | null;
}

export class HttpSide {
  readonly registry = new Registry();
  readonly observations = new Observations();
  readonly #lag = new LoopLag(this.observations.loopLag);
  #statistics: Statistics | null = null;
  #http: HttpServer | null = null;
  #https: HttpsServer | null = null;
  #identity: TlsIdentity | null = null;
  #socket: HttpServer | null = null;
  #metrics: HttpServer | null = null;

  get listeners(): readonly (Listening & { readonly protocol: "http" | "https" | "metrics" })[] {
    const bound = [["http", this.#http], ["https", this.#https], ["metrics", this.#metrics]] as const;
    return bound.flatMap(([protocol, server]) => server === null ? [] : [{ protocol, ...server.address }]);
  }

  /** A syncer that notes how long each sync takes. */
  timed(syncer: Syncer): Syncer {
    const { syncs } = this.observations;
    return {
      sync(fds, done, mayBlock) {
        const begunMs = performance.now();
        syncer.sync(fds, (fault) => {
          syncs.observe((performance.now() - begunMs) / 1000);
          done(fault);
        }, mayBlock);
      },
      close: () => syncer.close(),
    };
  }

  async listen(parts: HttpSideParts): Promise<void> {
    const { http, metrics, tls } = parts.config();
    const secure = http.tlsPort >= 0 && tls.certificate !== "";
    if (http.port < 0 && metrics.port < 0 && !secure) return;
    const services = this.#servicesOf(parts);
    const handler = apiHandler(services);
    if (http.port >= 0) this.#http = await listenHttp({ host: http.bind, port: http.port }, handler);
    if (secure) await this.#listenSecurely({ host: http.bind, port: http.tlsPort }, tls, handler);
    if (parts.socketPath !== null && (http.port >= 0 || secure)) {
      this.#socket = await listenOnSocket(parts.socketPath, handler, services);
    }
    if (metrics.port >= 0) this.#metrics = await listenForMetrics({ host: metrics.bind, port: metrics.port }, services);
    this.#lag.start();
    services.statistics.sampler.start();
  }

  async #listenSecurely(address: Address, tls: TlsConfig, handler: HttpHandler): Promise<void> {
    // Most brokers have none: their start does not load what TLS needs.
    const { readTlsIdentity } = await import("./runtime/tls_identity.ts");
    const { listenHttps } = await import("./runtime/https_server.ts");
    const { certificate, key, versionMin } = tls;
    this.#identity = readTlsIdentity({ certificatePath: certificate, keyPath: key, versionMin });
    this.#https = await listenHttps(address, this.#identity, handler);
  }

  /**
   * Reads certificate and key again: connections from now on get what is there. False when nothing has changed, or nothing
   * is listened on over TLS; rejects with a TlsFault when it cannot be used, and changes nothing then.
   */
  async renewCertificate(): Promise<boolean> {
    if (this.#identity === null || this.#https === null) return false;
    const { readTlsIdentity } = await import("./runtime/tls_identity.ts");
    const next = readTlsIdentity(this.#identity.files);
    if (next.certificate === this.#identity.certificate && next.key === this.#identity.key) return false;
    this.#https.renew(next);
    this.#identity = next;
    return true;
  }

  get #servers(): readonly (HttpServer | null)[] {
    return [this.#http, this.#https, this.#socket, this.#metrics];
  }

  async close(): Promise<void> {
    this.#statistics?.sampler.stop();
    this.#lag.stop();
    await Promise.all(this.#servers.map((server) => server?.close()));
  }

  #servicesOf(parts: HttpSideParts): HttpServices {
    const { config, realm, management, turn, commit, alarms, damage, product, listeners, log } = parts;
    const { dataDir, memory, amqp, statsIntervalMs, statsLogSize } = config();
    const gauges = new NodeGauges({
      ...processProbe,
      dataDir: memory ? "" : dataDir,
      memoryLimit: () => config().memoryBytesMax,
      diskFree: () => parts.freeDiskBytes() ?? 0,
      diskFreeLimit: () => config().freeDiskBytesMin,
    }, () => this.#servers.reduce((sum, server) => sum + (server?.connectionCount ?? 0), parts.otherSockets()));
    const statistics = this.#statistics = new Statistics({
      registry: this.registry,
      vhosts: realm.vhosts,
      intervalMs: statsIntervalMs,
      samples: statsLogSize,
      others: [gauges],
    });
    return {
      realm,
      management,
      turn,
      commit,
      product,
      alarms,
      damage,
      statistics,
      gauges,
      observations: this.observations,
      messageBytesMax: amqp.messageBytesMax,
      listeners,
      certificate: () => this.#identity,
      log,
      report: (text) => getLogger(["leveret", "http"]).error("{text}", { text }),
    };
  }
}

/** How much later than asked for a timer runs. */
class LoopLag {
  readonly #lags: Histogram;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(lags: Histogram) {
    this.#lags = lags;
  }

  start(): void {
    const dueMs = performance.now() + LOOK_MS;
    this.#timer = setTimeout(() => {
      this.#lags.observe(Math.max(0, performance.now() - dueMs) / 1000);
      this.start();
    }, LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
