// The composition root: builds store, realm and listeners, and holds the order in which they start and stop.

import { hostname } from "node:os";
import { getLogger, type Logger } from "@logtape/logtape";
import { DirectReplies } from "./amqp/direct_replies.ts";
import { type AmqpListener, listenForAmqp } from "./amqp/listener.ts";
import type { AmqpServices } from "./amqp/services.ts";
import { completeConfig, type Config, type PartialConfig } from "./config/config.ts";
import type { QueueFiles } from "./core/any_queue.ts";
import type { Alarms } from "./core/alarms.ts";
import { Management } from "./core/management/management.ts";
import { Realm } from "./core/realm.ts";
import { Timers } from "./core/timers.ts";
import { Turn } from "./core/turn.ts";
import type { Product } from "./http/services.ts";
import { HttpSide } from "./http_side.ts";
import { CoarseClock } from "./lib/clock.ts";
import { isDiskFull } from "./lib/disk_full.ts";
import type { LogTap } from "./lib/log_tap.ts";
import { BINDINGS_MAX, EXCHANGES_MAX, QUEUES_MAX, WARM_QUEUES_MAX } from "./limits.ts";
import { loadDefinitions } from "./load_definitions.ts";
import { Mqtt } from "./mqtt/mqtt.ts";
import { currentRuntime } from "./runtime/current.ts";
import { processProbe } from "./runtime/process_probe.ts";
import type { Runtime, Syncer } from "./runtime/runtime.ts";
import { DamageList } from "./store/damage_list.ts";
import { GroupCommit } from "./store/group_commit.ts";
import { isDamage, type StoreEvent } from "./store/store_event.ts";
import { StoreSide } from "./store_side.ts";
import { textLog } from "./text_log.ts";
import { NAME, VERSION } from "./version.ts";
import { Watch } from "./watch.ts";

/** How often idle queues give back buffers and files, and the definitions log is looked at, milliseconds. */
const HOUSEKEEPING_MS = 10_000;

export interface BrokerHooks {
  /**
   * Something broke that nobody can be served after: a sync failed, an invariant does not hold. What was confirmed is
   * on disk; the process should end. Without this hook the fault is thrown as an uncaught exception.
   */
  readonly onFault?: (fault: Error) => void;
  /** The log's lines, for those who look on over HTTP. */
  readonly log?: LogTap;
}

/** What may change while a broker runs. */
export type LiveConfig = Partial<Pick<Config, "sync" | "freeDiskBytesMin" | "memoryBytesMax">>;

export interface Listening {
  readonly protocol: "amqp" | "mqtt" | "http" | "https" | "metrics";
  readonly host: string;
  readonly port: number;
}

/** A message broker. One per data directory; several in memory may live side by side in a process. */
export class Broker {
  readonly #onFault: (fault: unknown) => void;
  readonly #runtime: Runtime | null;
  readonly #log: LogTap | null;
  #config: Config;
  #parts: Parts | null = null;
  #starting = false;

  /**
   * Whatever `config` does not give has its default; throws a ConfigFault for a bad value. `runtime`: another one than
   * that which runs us, for tests.
   */
  constructor(config: PartialConfig = {}, hooks: BrokerHooks = {}, runtime: Runtime | null = null) {
    this.#config = completeConfig(config);
    this.#runtime = runtime;
    this.#log = hooks.log ?? null;
    const report = hooks.onFault ?? ((fault) => {
      queueMicrotask(() => {
        throw fault;
      });
    });
    this.#onFault = (fault) => report(fault instanceof Error ? fault : new Error(String(fault)));
  }

  get config(): Config {
    return this.#config;
  }

  /**
   * Changes settings, at once and without a pause. Throws a ConfigFault for a bad value, and changes nothing then.
   * `sync` off: a confirm no longer waits for the disk; on again: it does, and covers all that was written meanwhile.
   */
  reconfigure({ sync, freeDiskBytesMin, memoryBytesMax }: LiveConfig): void {
    this.#config = completeConfig({ ...this.#config, ...defined({ sync, freeDiskBytesMin, memoryBytesMax }) });
    this.#parts?.reconfigure(this.#config);
  }

  /**
   * Reads certificate and key again, for connections from now on. False when they have not changed. Rejects with a TlsFault
   * when they cannot be used; then those that are held stay.
   */
  async renewCertificate(): Promise<boolean> {
    return await this.#parts?.renewCertificate() ?? false;
  }

  /** What is listened on, with the ports that were really bound. */
  get listeners(): readonly Listening[] {
    return this.#parts?.listeners ?? [];
  }

  /** What is short, and the way to stop publishers by hand; null while the broker is not running. */
  get alarms(): Alarms | null {
    return this.#parts?.alarms ?? null;
  }

  /** What was found damaged on disk since the start; null while the broker is not running. It stops nobody. */
  get damage(): DamageList | null {
    return this.#parts?.damage ?? null;
  }

  /** Users, virtual hosts, permissions, policies, definitions. Throws while the broker is not running. */
  get management(): Management {
    if (this.#parts === null) throw new Error("the broker is not running");
    return this.#parts.management;
  }

  /** Recovers what is on disk and opens the listeners. Rejects, with everything released, when something is in the way. */
  async start(): Promise<void> {
    if (this.#parts !== null || this.#starting) throw new Error("the broker is started already");
    this.#starting = true;
    const parts = new Parts(this.#config, this.#runtime ?? await currentRuntime(), this.#onFault);
    try {
      parts.openStore();
      await loadDefinitions(parts.management, this.#config.loadDefinitions);
      await parts.listen(this.#log);
      this.#parts = parts;
    } catch (error) {
      await parts.close();
      throw error;
    } finally {
      this.#starting = false;
    }
  }

  /** Ends connections, brings everything to disk, closes. Idempotent. */
  async stop(): Promise<void> {
    const parts = this.#parts;
    this.#parts = null;
    await parts?.close();
  }
}

/** A running broker's parts. */
class Parts {
  #amqp: AmqpListener | null = null;
  readonly #mqtt: Mqtt;
  readonly alarms: Alarms;
  readonly damage: DamageList = new DamageList();
  readonly management: Management;
  readonly #http = new HttpSide();
  readonly #store: StoreSide;
  readonly #realm: Realm;
  readonly #watch: Watch;
  #config: Config;
  readonly #runtime: Runtime;
  readonly #clock = new CoarseClock();
  readonly #log: Logger = getLogger(["leveret", "store"]);
  readonly #syncer: Syncer | null;
  readonly #commit: GroupCommit;
  readonly #turn: Turn;
  readonly #timers: Timers;
  #housekeeping: ReturnType<typeof setInterval> | null = null;

  readonly #onFault: (fault: unknown) => void;

  constructor(config: Config, runtime: Runtime, onFault: (fault: unknown) => void) {
    this.#config = config;
    this.#onFault = onFault;
    this.#runtime = runtime;
    this.#syncer = config.memory ? null : this.#http.timed(runtime.startSyncer());
    this.#watch = new Watch(() => this.#config, runtime.disk);
    this.alarms = this.#watch.alarms;
    this.#commit = new GroupCommit({
      syncer: this.#syncer,
      syncing: config.sync,
      onFault,
      makeRoom: this.#watch.space.makeRoom,
    });
    this.#turn = new Turn(this.#commit, onFault);
    this.#timers = new Timers(this.#turn, onFault);
    this.#store = new StoreSide({
      config,
      runtime,
      commit: this.#commit,
      clock: this.#clock,
      watch: this.#watch,
      report: (event) => this.#reportEvent(event),
      warn: (text) => this.#warn(text),
    });
    this.#realm = this.#createRealm(config);
    this.management = new Management({
      realm: this.#realm,
      durable: () => this.#whenDurable(),
      report: (text) => this.#warn(text),
      product: { name: NAME, version: VERSION },
    });
    this.#mqtt = new Mqtt({
      settings: config.mqtt,
      realm: this.#realm,
      registry: this.#http.registry,
      turn: this.#turn,
      timers: this.#timers,
      commit: this.#commit,
      clock: this.#clock,
      alarms: this.alarms,
      log: textLog(getLogger(["leveret", "mqtt"])),
      version: `${NAME} version ${VERSION}`,
      segmentBytes: config.segmentBytes,
      openStore: (id, durable, args) => this.#store.openQueue(id, durable, args),
      nextStoreId: () => this.#store.nextQueueId(),
    });
    // What waits for room is tried again.
    this.alarms.subscribe(() => this.#turn.schedule());
  }

  reconfigure(config: Config): void {
    this.#config = config;
    this.#commit.syncing = config.sync;
    this.alarms.check();
  }

  renewCertificate(): Promise<boolean> {
    return this.#http.renewCertificate();
  }

  // Starting

  openStore(): void {
    const replay = this.#store.open();
    const loose = this.#realm.restore(replay);
    if (!replay.knowsIdentity) this.#createDefaults();
    if (loose > 0 && this.damage.entries.some(({ kind }) => kind === "damaged-definitions")) {
      this.#warn(`${loose} bindings are gone with what they led from or to`);
    }
    this.#mqtt.restore();
    this.#housekeeping = setInterval(() => this.#keepHouse(), HOUSEKEEPING_MS);
    this.#housekeeping.unref();
  }

  /** All of them or none: with a part nobody could log in, and the next start would take that for what is wanted. */
  #createDefaults(): void {
    const { defaultUser, defaultPassword } = this.#config;
    this.#realm.createDefaults(defaultUser, defaultPassword);
    try {
      this.#store.rewriteDefinitions(this.#realm.entries());
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }

  #createRealm({ defaultUser, defaultUserOnlyLoopback }: Config): Realm {
    return new Realm({
      turn: this.#turn,
      definitions: this.#store,
      openStore: (queueId, durable, args) => this.#store.openQueue(queueId, durable, args),
      openStream: (queueId, settings) => this.#store.openStream(queueId, settings),
      destroyStore: (store, durable) => this.#destroyQueue(store, durable),
      nextQueueId: () => this.#store.nextQueueId(),
      report: (text) => this.#warn(text),
      timers: this.#timers,
      commit: this.#commit,
      churn: this.#http.registry.churn,
      limits: {
        queuesMax: QUEUES_MAX,
        exchangesMax: EXCHANGES_MAX,
        bindingsMax: BINDINGS_MAX,
        warmQueuesMax: WARM_QUEUES_MAX,
      },
    }, { loopbackOnly: defaultUserOnlyLoopback ? [defaultUser] : [] });
  }

  /** A durable queue's files go when its deletion is on disk: a crash in between must not leave an emptied queue. */
  #destroyQueue(store: QueueFiles, durable: boolean): void {
    if (!durable) return store.destroy();
    this.#commit.wait({ seal: () => {}, durable: () => store.destroy() });
    this.#turn.schedule();
  }

  #reportEvent(event: StoreEvent): void {
    const { kind, path, offset, bytes, detail } = event;
    const text = `${kind} in ${path} at ${offset}, ${bytes} bytes: ${detail}`;
    this.#http.observations.storeEvent(kind);
    this.damage.add(event);
    if (isDamage(kind) || kind === "acks-delayed") this.#warn(text);
    else this.#log.info("{text}", { text });
  }

  #warn(text: string): void {
    this.#log.warn("{text}", { text });
  }

  get listeners(): readonly Listening[] {
    const amqp = this.#amqp?.address ?? null;
    const bound = [["amqp", amqp], ["mqtt", this.#mqtt.address]] as const;
    const own = bound.flatMap(([protocol, address]) => address === null ? [] : [{ protocol, ...address }]);
    return [...own, ...this.#http.listeners];
  }

  async listen(log: LogTap | null): Promise<void> {
    this.#watch.start();
    if (this.#config.amqp.port >= 0) await this.#listenForAmqp();
    await this.#mqtt.listen(this.#runtime);
    await this.#http.listen({
      socketPath: this.#store.socketPath,
      config: () => this.#config,
      realm: this.#realm,
      management: this.management,
      turn: this.#turn,
      commit: this.#commit,
      alarms: this.alarms,
      damage: this.damage,
      product: this.#product,
      freeDiskBytes: () => this.#watch.freeBytes(),
      listeners: () => this.listeners,
      otherSockets: () => (this.#amqp?.connectionCount ?? 0) + this.#mqtt.connectionCount,
      log,
    });
  }

  get #product(): Product {
    const { name } = this.#runtime;
    const platformVersion = processProbe.runtimeVersion;
    return { name: NAME, version: VERSION, platform: name, platformVersion, node: `${NAME}@${hostname()}` };
  }

  async #listenForAmqp(): Promise<void> {
    const { amqp } = this.#config;
    const services: AmqpServices = {
      settings: amqp,
      realm: this.#realm,
      turn: this.#turn,
      commit: this.#commit,
      clock: this.#clock,
      log: textLog(getLogger(["leveret", "amqp"])),
      product: this.#product,
      alarms: this.alarms,
      replies: new DirectReplies(),
      registry: this.#http.registry,
    };
    this.#amqp = await listenForAmqp(this.#runtime, { host: amqp.bind, port: amqp.port }, services);
  }

  #whenDurable(): Promise<void> {
    return new Promise((resolve) => {
      this.#commit.wait({ seal: () => {}, durable: resolve });
      this.#turn.schedule();
    });
  }

  // Running

  #keepHouse(): void {
    this.#clock.refresh();
    try {
      this.#realm.cool();
      this.#mqtt.cool();
      this.#store.compactDefinitions(() => this.#realm.entries());
    } catch (error) {
      if (!isDiskFull(error)) return this.#onFault(error);
      this.alarms.diskFull();
      this.#warn(`housekeeping waits, the disk is full: ${(error as Error).message}`);
    }
    this.#turn.schedule();
  }

  // Stopping

  /** Closes what is open, in reverse order; also when starting failed halfway. Rejects if not everything reached the disk. */
  async close(): Promise<void> {
    if (this.#housekeeping !== null) clearInterval(this.#housekeeping);
    this.#watch.close();
    this.#timers.close();
    await this.#http.close();
    await Promise.all([this.#amqp?.close(), this.#mqtt.stopListening()]);
    try {
      await this.#commit.drain();
      this.#realm.close();
      this.#mqtt.close();
      await this.#commit.drain();
      if (this.#config.sync) this.#store.noteStop();
    } finally {
      await this.#release();
    }
  }

  async #release(): Promise<void> {
    await this.#store.stopWriting();
    await this.#syncer?.close();
    await this.#store.release();
  }
}

/** Without what is undefined, which would hide what is there. */
function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
