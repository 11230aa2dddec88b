// Every option of the broker, once: where it stands in the INI file, its environment variable, its flag, what values
// it takes, its default and its help. Loader, command line and documentation are made from this table.

import { boolean, byteSize, integer, oneOf, partOrSize, text, textOrNone, type ValueKind } from "./value.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;

export interface Option<T> {
  readonly section: "main" | "amqp" | "mqtt" | "mgmt";
  readonly key: string;
  /** What other brokers call it in their files. */
  readonly aliases: readonly string[];
  readonly environment: string;
  /** As commander writes it, `--port <n>`; null where an option has none. A `--no-...` flag sets false. */
  readonly flag: string | null;
  readonly kind: ValueKind<T>;
  /** Null: found out at start (see `help`). */
  readonly fallback: T | null;
  readonly help: string;
  /** Never printed, neither in errors nor by `leveret config`. */
  readonly isSecret: boolean;
}

export const OPTIONS = {
  dataDir: main(
    "data_dir",
    "--data-dir <dir>",
    text("the path of a directory"),
    null,
    "where messages and definitions are kept",
  ),
  logLevel: main(
    "log_level",
    "--log-level <level>",
    oneOf("debug", "info", "warn", "error", "none"),
    "info",
    "least severe messages that are logged on standard error",
  ),
  sync: main(
    "sync",
    "--no-sync",
    boolean(),
    true,
    "wait for the disk before a confirm (without it, what is confirmed may be lost when the power goes)",
  ),
  memory: main("memory", "--memory", boolean(), false, "keep everything in memory; nothing survives the process"),
  store: main(
    "store",
    null,
    oneOf("auto", "mapped", "plain"),
    "auto",
    "how segment files are accessed: memory-mapped, by plain reads and writes, or mapped where possible",
  ),
  segmentBytes: main(
    "segment_size",
    null,
    byteSize(4 * KIB, GIB, "power of two"),
    8 * MIB,
    "size of a full segment file; the first ones of a queue are smaller",
  ),
  freeDiskBytesMin: main(
    "free_disk_min",
    null,
    byteSize(0, 1024 * TIB),
    50 * MIB,
    "free space on the disk of the data directory below which publishers are stopped; 0 for none",
    ["disk_free_limit", "disk_free_limit.absolute"],
  ),
  memoryBytesMax: main(
    "memory_high_watermark",
    null,
    partOrSize("the machine's or the control group's memory", 1024 * TIB),
    0.6,
    "memory of the process, mapped files not counted, above which publishers are stopped; 0 for none",
    ["vm_memory_high_watermark", "vm_memory_high_watermark.relative", "vm_memory_high_watermark.absolute"],
  ),
  defaultUser: main(
    "default_user",
    null,
    text("a user name"),
    "guest",
    "name of the user that is there from the start",
  ),
  defaultPassword: secret(main("default_password", null, text("a password"), "guest", "password of that user")),
  defaultUserOnlyLoopback: main(
    "default_user_only_loopback",
    null,
    boolean(),
    true,
    "the default user may connect only from this machine",
  ),
  statsIntervalMs: main(
    "stats_interval",
    null,
    integer(100, 3_600_000),
    5000,
    "how often samples for rates are taken, milliseconds",
  ),
  statsLogSize: main(
    "stats_log_size",
    null,
    integer(2, 10_000),
    120,
    "samples that are kept of everything that is in use",
  ),
  metricsBind: main(
    "metrics_http_bind",
    "--metrics-http-bind <address>",
    text("an address"),
    "127.0.0.1",
    "address to listen on for Prometheus, without a password",
  ),
  metricsPort: main(
    "metrics_http_port",
    "--metrics-http-port <n>",
    integer(-1, 65_535),
    15_692,
    "port to listen on for Prometheus; 0 picks a free one, -1 turns it off",
  ),
  loadDefinitions: main(
    "load_definitions",
    "--load-definitions <file>",
    textOrNone("the path of a file, or nothing"),
    "",
    "definitions file, of RabbitMQ's format, that is imported at start; users that are there stay as they are",
  ),
  tlsCertificate: main(
    "tls_cert",
    "--cert <file>",
    textOrNone("the path of a file, or nothing"),
    "",
    "certificate of the HTTPS listener, and those that lead to one that clients know, in PEM; read again on SIGHUP",
  ),
  tlsKey: main(
    "tls_key",
    "--key <file>",
    textOrNone("the path of a file, or nothing"),
    "",
    "key of that certificate, in PEM, without a password; nothing where it is in the same file; read again on SIGHUP",
  ),
  tlsVersionMin: main(
    "tls_min_version",
    "--tls-min-version <version>",
    oneOf("1.2", "1.3"),
    "1.2",
    "oldest TLS that is spoken",
  ),
  amqpBind: amqp("bind", "--bind <address>", text("an address"), "127.0.0.1", "address to listen on"),
  amqpPort: amqp(
    "port",
    "--port <n>",
    integer(-1, 65_535),
    5672,
    "port to listen on; 0 picks a free one, -1 turns AMQP off",
  ),
  heartbeatSeconds: amqp(
    "heartbeat",
    null,
    integer(0, 65_535),
    60,
    "heartbeat proposed to clients, seconds; 0 proposes none",
  ),
  frameBytesMax: amqp("frame_max", null, byteSize(8 * KIB, MIB), 128 * KIB, "largest frame proposed to clients, bytes"),
  channelMax: amqp("channel_max", null, integer(1, 65_535), 2047, "channels per connection proposed to clients"),
  handshakeMs: amqp(
    "handshake_timeout",
    null,
    integer(100, 3_600_000),
    10_000,
    "time that a client has from connecting to an open connection, whatever it sends, milliseconds",
  ),
  consumerPrefetch: amqp(
    "default_consumer_prefetch",
    null,
    integer(0, 2 ** 31 - 1),
    65_535,
    "messages that a consumer may hold unsettled if it sets no prefetch, or 0; 0 for any number",
  ),
  messageBytesMax: amqp("max_message_size", null, byteSize(1, 512 * MIB), 16 * MIB, "largest message body, bytes"),
  httpBind: mgmt("bind", "--http-bind <address>", text("an address"), "127.0.0.1", "address to listen on for HTTP"),
  httpPort: mgmt(
    "port",
    "--http-port <n>",
    integer(-1, 65_535),
    15_672,
    "port to listen on for the HTTP API; 0 picks a free one, -1 turns it off",
  ),
  httpTlsPort: mgmt(
    "tls_port",
    "--https-port <n>",
    integer(-1, 65_535),
    15_671,
    "port to listen on for the HTTP API over TLS, once there is tls_cert; 0 picks a free one, -1 turns it off",
    ["https_port"],
  ),
  mqttBind: mqtt("bind", "--mqtt-bind <address>", text("an address"), "127.0.0.1", "address to listen on for MQTT"),
  mqttPort: mqtt(
    "port",
    "--mqtt-port <n>",
    integer(-1, 65_535),
    1883,
    "port to listen on for MQTT; 0 picks a free one, -1 turns MQTT off",
  ),
  packetBytesMax: mqtt("max_packet_size", null, byteSize(KIB, 256 * MIB - 1), 16 * MIB, "largest MQTT packet, bytes"),
  inFlightMax: mqtt(
    "max_inflight_messages",
    null,
    integer(1, 65_535),
    1000,
    "messages with QoS 1 and 2 that a client may have unacknowledged, at most",
  ),
  queuedMax: mqtt(
    "max_queued_messages",
    null,
    integer(0, 2 ** 31 - 1),
    100_000,
    "messages that wait for one session; beyond it the oldest go; 0 for any number",
  ),
  sessionExpiryMax: mqtt(
    "max_session_expiry",
    null,
    integer(0, 2 ** 32 - 2),
    0,
    "seconds that a session outlives its connection at most; 0 for ever",
  ),
  keepAliveMax: mqtt(
    "max_keepalive",
    null,
    integer(0, 65_535),
    0,
    "longest keep-alive that clients of MQTT 5 are told to have, seconds; 0 for any",
  ),
  systemIntervalSeconds: mqtt(
    "sys_interval",
    null,
    integer(0, 86_400),
    10,
    "how often $SYS topics are published, seconds; 0 for never",
  ),
  topicMapping: mqtt(
    "topic_mapping",
    null,
    oneOf("rabbitmq", "exact"),
    "rabbitmq",
    "dots in MQTT topics: as with RabbitMQ, a level's end like '/'; or exact, kept apart (AMQP sees '/' for them)",
  ),
} as const;

/** May change while the broker runs; the others take a restart. */
export const LIVE_OPTIONS = ["logLevel", "sync", "freeDiskBytesMin", "memoryBytesMax"] as const;
export type LiveOptionName = typeof LIVE_OPTIONS[number];

export type OptionName = keyof typeof OPTIONS;
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[];

/** Every option's value, flat. */
export type OptionValues = {
  -readonly [Name in OptionName]: typeof OPTIONS[Name] extends Option<infer T> ? T : never;
};

/** Variables with these names are not options of the broker and are left alone. */
export const CONFIG_FILE_VARIABLE = "LEVERET_CONFIG";
export const FOREIGN_VARIABLES = /^LEVERET_(TEST|CTL)_/;

/** "--data-dir" of "--data-dir <dir>". */
export function flagName(option: Option<unknown>): string | null {
  return option.flag === null ? null : option.flag.split(" ")[0]!;
}

type Rest<T> = readonly [
  key: string,
  flag: string | null,
  kind: ValueKind<T>,
  fallback: T | null,
  help: string,
  aliases?: readonly string[],
];

function main<T>(...rest: Rest<T>): Option<T> {
  return optionIn("main", "LEVERET", rest);
}

function amqp<T>(...rest: Rest<T>): Option<T> {
  return optionIn("amqp", "LEVERET_AMQP", rest);
}

function mgmt<T>(...rest: Rest<T>): Option<T> {
  return optionIn("mgmt", "LEVERET_MGMT", rest);
}

function mqtt<T>(...rest: Rest<T>): Option<T> {
  return optionIn("mqtt", "LEVERET_MQTT", rest);
}

function optionIn<T>(
  section: Option<T>["section"],
  prefix: string,
  [key, flag, kind, fallback, help, aliases = []]: Rest<T>,
): Option<T> {
  const environment = `${prefix}_${key.toUpperCase()}`;
  return { section, key, aliases, environment, flag, kind, fallback, help, isSecret: false };
}

function secret<T>(option: Option<T>): Option<T> {
  return { ...option, isSecret: true };
}
