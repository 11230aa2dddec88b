// The settings of a broker as the rest of the code reads them, and how they are made from option values.

import { memoryBytesLimit } from "../lib/process_memory.ts";
import { ConfigFault } from "./fault.ts";
import { defaultDataDir } from "./data_dir.ts";
import { OPTION_NAMES, type OptionName, OPTIONS, type OptionValues } from "./options.ts";

export interface Config {
  readonly dataDir: string;
  readonly logLevel: OptionValues["logLevel"];
  readonly sync: boolean;
  readonly memory: boolean;
  readonly store: OptionValues["store"];
  /** A power of two. */
  readonly segmentBytes: number;
  /** With less free space on the disk publishers are stopped; 0 for none. */
  readonly freeDiskBytesMin: number;
  /** With more memory in use publishers are stopped; 0 for none. Given as 1 or less it is a part of the machine's. */
  readonly memoryBytesMax: number;
  readonly defaultUser: string;
  readonly defaultPassword: string;
  readonly defaultUserOnlyLoopback: boolean;
  /** How often samples are taken, and how many are kept. */
  readonly statsIntervalMs: number;
  readonly statsLogSize: number;
  /** The HTTP API. */
  readonly http: ApiConfig;
  /** What Prometheus reads, without a password. */
  readonly metrics: HttpConfig;
  /** A definitions file to import at start; "" for none. */
  readonly loadDefinitions: string;
  /** Of the HTTP API over TLS. */
  readonly tls: TlsConfig;
  readonly amqp: AmqpConfig;
  readonly mqtt: MqttConfig;
}

export interface TlsConfig {
  /** A file in PEM; "" for none, and then nothing is listened on over TLS. */
  readonly certificate: string;
  /** "": the key is in the certificate's file. */
  readonly key: string;
  readonly versionMin: OptionValues["tlsVersionMin"];
}

export interface ApiConfig extends HttpConfig {
  /** The same over TLS. */
  readonly tlsPort: number;
}

export interface HttpConfig {
  readonly bind: string;
  /** 0 picks a free one, -1 is off: the default for programs that embed the broker. */
  readonly port: number;
}

export interface AmqpConfig {
  readonly bind: string;
  /** 0 picks a free one, -1 is off. */
  readonly port: number;
  /** 0 is off. */
  readonly heartbeatSeconds: number;
  readonly frameBytesMax: number;
  readonly channelMax: number;
  readonly messageBytesMax: number;
  /** From accept to connection.open. */
  readonly handshakeMs: number;
  /** Unsettled deliveries of a consumer that sets no prefetch; 0 for any number. */
  readonly consumerPrefetch: number;
}

export interface MqttConfig {
  readonly bind: string;
  /** 0 picks a free one, -1 is off. */
  readonly port: number;
  readonly packetBytesMax: number;
  /** Messages that a client may have unacknowledged. */
  readonly inFlightMax: number;
  /** Messages that wait for one session; 0 for any number. */
  readonly queuedMax: number;
  /** 0 for ever. */
  readonly sessionExpiryMax: number;
  /** 0 for any. */
  readonly keepAliveMax: number;
  /** 0 for never. */
  readonly systemIntervalSeconds: number;
  readonly topicMapping: OptionValues["topicMapping"];
}

/** What a program that embeds the broker may give; everything else has its default. */
export type PartialConfig = Partial<Omit<Config, "amqp" | "mqtt" | "http" | "metrics" | "tls">> & {
  readonly tls?: Partial<TlsConfig>;
  readonly amqp?: Partial<AmqpConfig>;
  readonly mqtt?: Partial<MqttConfig>;
  readonly http?: Partial<ApiConfig>;
  readonly metrics?: Partial<HttpConfig>;
};

const OFF = -1;

/** Every default; `dataDir` as found for `environment`. */
export function defaultValues(environment: Readonly<Record<string, string | undefined>>): OptionValues {
  const values: Record<string, unknown> = {};
  for (const name of OPTION_NAMES) values[name] = OPTIONS[name].fallback;
  values["dataDir"] = defaultDataDir(environment);
  return values as OptionValues;
}

/** Checks what a program gave and fills up with defaults. Throws a ConfigFault that names the setting. */
export function completeConfig(
  given: PartialConfig = {},
  environment: Readonly<Record<string, string | undefined>> = {},
): Config {
  const values = defaultValues(environment);
  const { amqp = {}, mqtt = {}, http = {}, metrics = {}, tls = {}, ...main } = given;
  const { bind, port, ...amqpTuning } = amqp;
  const { bind: mqttBind, port: mqttPort, ...mqttTuning } = mqtt;
  const flat: Record<string, unknown> = {
    ...main,
    ...amqpTuning,
    ...mqttTuning,
    amqpBind: bind,
    amqpPort: port,
    // A program gets no listener that it did not ask for: who starts several brokers must not find a port taken.
    mqttBind,
    mqttPort: mqttPort ?? OFF,
    httpBind: http.bind,
    httpPort: http.port ?? OFF,
    httpTlsPort: http.tlsPort ?? OFF,
    tlsCertificate: tls.certificate,
    tlsKey: tls.key,
    tlsVersionMin: tls.versionMin,
    metricsBind: metrics.bind,
    metricsPort: metrics.port ?? OFF,
  };
  for (const [name, value] of Object.entries(flat)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(OPTIONS, name)) throw new ConfigFault(`unknown setting '${name}'`);
    setValue(values, name as OptionName, value, `the program's setting '${name}'`);
  }
  return configOf(values);
}

/** Checks `value` and puts it into `values`. `origin` says where it came from. */
export function setValue(values: OptionValues, name: OptionName, value: unknown, origin: string): void {
  const { key, section, kind, isSecret } = OPTIONS[name];
  const result = kind.schema.safeParse(value);
  if (!result.success) {
    const found = isSecret ? "" : ` '${value}'`;
    throw new ConfigFault(`bad value${found} for '${key}' in [${section}], from ${origin}: expected ${kind.expects}`);
  }
  (values as Record<OptionName, unknown>)[name] = result.data;
}

export function configOf(values: OptionValues): Config {
  if (values.tlsKey !== "" && values.tlsCertificate === "") {
    throw new ConfigFault("'tls_key' in [main] is there without 'tls_cert'");
  }
  return Object.freeze({
    dataDir: values.dataDir,
    logLevel: values.logLevel,
    sync: values.sync,
    memory: values.memory,
    store: values.store,
    segmentBytes: values.segmentBytes,
    freeDiskBytesMin: values.freeDiskBytesMin,
    memoryBytesMax: bytesOfPart(values.memoryBytesMax),
    defaultUser: values.defaultUser,
    defaultPassword: values.defaultPassword,
    defaultUserOnlyLoopback: values.defaultUserOnlyLoopback,
    statsIntervalMs: values.statsIntervalMs,
    statsLogSize: values.statsLogSize,
    http: Object.freeze({ bind: values.httpBind, port: values.httpPort, tlsPort: values.httpTlsPort }),
    metrics: Object.freeze({ bind: values.metricsBind, port: values.metricsPort }),
    loadDefinitions: values.loadDefinitions,
    tls: Object.freeze({
      certificate: values.tlsCertificate,
      key: values.tlsKey,
      versionMin: values.tlsVersionMin,
    }),
    amqp: Object.freeze({
      bind: values.amqpBind,
      port: values.amqpPort,
      heartbeatSeconds: values.heartbeatSeconds,
      frameBytesMax: values.frameBytesMax,
      channelMax: values.channelMax,
      messageBytesMax: values.messageBytesMax,
      handshakeMs: values.handshakeMs,
      consumerPrefetch: values.consumerPrefetch,
    }),
    mqtt: Object.freeze({
      bind: values.mqttBind,
      port: values.mqttPort,
      packetBytesMax: values.packetBytesMax,
      inFlightMax: values.inFlightMax,
      queuedMax: values.queuedMax,
      sessionExpiryMax: values.sessionExpiryMax,
      keepAliveMax: values.keepAliveMax,
      systemIntervalSeconds: values.systemIntervalSeconds,
      topicMapping: values.topicMapping,
    }),
  });
}

function bytesOfPart(value: number): number {
  return value > 0 && value <= 1 ? Math.floor(value * memoryBytesLimit()) : value;
}
