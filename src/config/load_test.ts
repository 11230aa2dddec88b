import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryBytesLimit } from "../lib/process_memory.ts";
import { completeConfig, defaultValues } from "./config.ts";
import { type Flags, loadConfig, loadSettings } from "./load.ts";
import { OPTION_NAMES, OPTIONS } from "./options.ts";

const HOME = { HOME: "/home/hare" };

function load(ini: string | null, environment: Record<string, string> = {}, flags: Flags = {}) {
  const withFile = ini === null ? flags : { config: "leveret.ini", ...flags };
  return loadConfig(withFile, { ...HOME, ...environment }, (path) => {
    assert.equal(path, "leveret.ini");
    return ini!;
  });
}

function refuses(message: string, ini: string | null, environment: Record<string, string> = {}, flags: Flags = {}) {
  assert.throws(() => load(ini, environment, flags), { name: "ConfigFault", message });
}

test("without any setting every option has its default", () => {
  const config = load(null);
  const { dataDir: _, memoryBytesMax, ...rest } = config;
  assert.equal(memoryBytesMax, Math.floor(0.6 * memoryBytesLimit()));
  assert.deepEqual(rest, {
    logLevel: "info",
    sync: true,
    memory: false,
    store: "auto",
    segmentBytes: 8 * 1024 * 1024,
    freeDiskBytesMin: 50 * 1024 * 1024,
    defaultUser: "guest",
    defaultPassword: "guest",
    defaultUserOnlyLoopback: true,
    statsIntervalMs: 5000,
    statsLogSize: 120,
    http: { bind: "127.0.0.1", port: 15_672, tlsPort: 15_671 },
    metrics: { bind: "127.0.0.1", port: 15_692 },
    loadDefinitions: "",
    tls: { certificate: "", key: "", versionMin: "1.2" },
    amqp: {
      bind: "127.0.0.1",
      port: 5672,
      heartbeatSeconds: 60,
      frameBytesMax: 131_072,
      channelMax: 2047,
      messageBytesMax: 16 * 1024 * 1024,
      handshakeMs: 10_000,
      consumerPrefetch: 65_535,
    },
    mqtt: {
      bind: "127.0.0.1",
      port: 1883,
      packetBytesMax: 16 * 1024 * 1024,
      inFlightMax: 1000,
      queuedMax: 100_000,
      sessionExpiryMax: 0,
      keepAliveMax: 0,
      systemIntervalSeconds: 10,
      topicMapping: "rabbitmq",
    },
  });
  assert.throws(() => ((config.amqp as { port: number }).port = 1), TypeError);
});

test("every default is a value that its own option accepts", () => {
  const values = defaultValues(HOME);
  for (const name of OPTION_NAMES) {
    assert.equal(OPTIONS[name].kind.schema.safeParse(values[name]).data, values[name], name);
    assert.equal(OPTIONS[name].kind.schema.safeParse(`${values[name]}`).data, values[name], name);
  }
});

test("flags go before the environment, the environment before the file", () => {
  const ini = "[amqp]\nport = 1\nheartbeat = 1\nchannel_max = 1\n";
  const environment = { LEVERET_AMQP_PORT: "2", LEVERET_AMQP_HEARTBEAT: "2" };
  const { amqp } = load(ini, environment, { amqpPort: "3" });
  assert.deepEqual([amqp.port, amqp.heartbeatSeconds, amqp.channelMax], [3, 2, 1]);
});

test("each value's origin is known", () => {
  const { origins } = loadSettings({ amqpPort: "3" }, { LEVERET_SYNC: "off", LEVERET_CONFIG: "x.ini" }, (path) => {
    assert.equal(path, "x.ini");
    return "[main]\nmemory = on\n";
  });
  assert.equal(origins.amqpPort, "flag --port");
  assert.equal(origins.sync, "environment variable LEVERET_SYNC");
  assert.equal(origins.memory, "x.ini, line 2");
  assert.equal(origins.amqpBind, "default");
});

test("sizes take units, switches take the usual words", () => {
  const config = load("[main]\nsegment_size = 1 MiB\nsync = no\n[amqp]\nmax_message_size=512mib\n");
  assert.deepEqual([config.segmentBytes, config.sync, config.amqp.messageBytesMax], [1 << 20, false, 512 << 20]);
});

test("limits of disk and memory go by the names that other brokers have for them, too", () => {
  const disk = (line: string) => load(`[main]\n${line}\n`).freeDiskBytesMin;
  assert.equal(disk("free_disk_min = 2 GiB"), 2 * 2 ** 30);
  assert.equal(disk("disk_free_limit = 1000000"), 1_000_000);
  assert.equal(disk("disk_free_limit.absolute = 50MB"), 50_000_000);
  const memory = (line: string) => load(`[main]\n${line}\n`).memoryBytesMax;
  assert.equal(memory("vm_memory_high_watermark = 0.25"), Math.floor(memoryBytesLimit() / 4));
  assert.equal(memory("vm_memory_high_watermark.relative = 1"), memoryBytesLimit());
  assert.equal(memory("vm_memory_high_watermark.absolute = 2GB"), 2_000_000_000);
  assert.equal(memory("memory_high_watermark = 512 MiB"), 512 * 2 ** 20);
  assert.equal(memory("memory_high_watermark = 0"), 0);
  for (const bad of ["-0.1", "1.5", "60 %", "much"]) {
    assert.throws(() => memory(`memory_high_watermark = ${bad}`), { name: "ConfigFault" }, bad);
  }
  refuses(
    "leveret.ini, line 3: key 'disk_free_limit' is another name of what line 2 sets",
    "[main]\nfree_disk_min = 1\ndisk_free_limit = 2\n",
  );
});

test("an unknown key names its line and the nearest known key", () => {
  refuses(
    "leveret.ini: unknown key 'hearbeat' in [amqp], line 3; did you mean 'heartbeat'?",
    "[amqp]\nport = 1\nhearbeat = 3\n",
  );
});

test("a key in the wrong section is told where it belongs", () => {
  refuses("leveret.ini: unknown key 'port' in [main], line 2; it belongs to [amqp]", "[main]\nport = 1\n");
});

test("an unknown section names its line and the nearest known section", () => {
  refuses("leveret.ini: unknown section [ampq], line 2; did you mean 'amqp'?", "\n[ampq]\n");
});

test("an unknown variable names the nearest known one", () => {
  refuses("unknown environment variable 'LEVERET_DATADIR'; did you mean 'LEVERET_DATA_DIR'?", null, {
    LEVERET_DATADIR: "/x",
  });
  refuses("unknown environment variable 'LEVERET_PORT'; did you mean 'LEVERET_AMQP_PORT'?", null, {
    LEVERET_PORT: "1",
  });
});

test("variables of the tests and of others are no settings", () => {
  assert.equal(load(null, { LEVERET_TEST_TARGETS: "bun", PORT: "x" }).amqp.port, 5672);
});

test("a bad value names option, origin, value and expectation", () => {
  const bad = "expected a whole number from -1 to 65535";
  refuses(`bad value '70000' for 'port' in [amqp], from leveret.ini, line 2: ${bad}`, "[amqp]\nport = 70000\n");
  refuses(`bad value 'x' for 'port' in [amqp], from environment variable LEVERET_AMQP_PORT: ${bad}`, null, {
    LEVERET_AMQP_PORT: "x",
  });
  refuses(`bad value '' for 'port' in [amqp], from flag --port: ${bad}`, null, {}, { amqpPort: "" });
  refuses(
    "bad value 'loud' for 'log_level' in [main], from flag --log-level: expected one of debug, info, warn, error, none",
    null,
    {},
    { logLevel: "loud" },
  );
});

for (
  const [variable, value] of [
    ["LEVERET_SEGMENT_SIZE", "3 MiB"],
    ["LEVERET_SEGMENT_SIZE", "2 KiB"],
    ["LEVERET_SEGMENT_SIZE", "2 GiB"],
    ["LEVERET_AMQP_MAX_MESSAGE_SIZE", "513 MiB"],
    ["LEVERET_AMQP_MAX_MESSAGE_SIZE", "0"],
    ["LEVERET_AMQP_FRAME_MAX", "4096"],
    ["LEVERET_AMQP_CHANNEL_MAX", "0"],
    ["LEVERET_AMQP_CHANNEL_MAX", "1e3"],
    ["LEVERET_AMQP_HEARTBEAT", "-1"],
    ["LEVERET_AMQP_PORT", "-2"],
    ["LEVERET_AMQP_PORT", "5672.5"],
    ["LEVERET_SYNC", "maybe"],
    ["LEVERET_DATA_DIR", ""],
    ["LEVERET_DATA_DIR", "a\0b"],
    ["LEVERET_STORE", "constructor"],
  ] as const
) {
  test(`${variable}=${JSON.stringify(value)} is refused`, () => {
    assert.throws(() => load(null, { [variable]: value }), /^ConfigFault: bad value .*expected/s);
  });
}

test("a bad password is not repeated", () => {
  assert.throws(() => load(null, { LEVERET_DEFAULT_PASSWORD: "carrot\u0001" }), (error: Error) => {
    return error.message.includes("default_password") && !error.message.includes("carrot") &&
      !error.message.includes("\x01");
  });
});

test("a file that cannot be read is named", () => {
  const unreadable = () => {
    throw new Error("no such file");
  };
  assert.throws(() => loadConfig({ config: "gone.ini" }, HOME, unreadable), {
    message: "cannot read the configuration file gone.ini: no such file",
  });
});

test("a program gives some settings and gets the others", () => {
  const config = completeConfig({ memory: true, amqp: { port: 0 } });
  assert.deepEqual([config.memory, config.amqp.port, config.amqp.bind, config.sync], [true, 0, "127.0.0.1", true]);
});

test("a program's bad or unknown setting is refused", () => {
  assert.throws(
    () => completeConfig({ amqp: { port: 70_000 } }),
    /^ConfigFault: bad value '70000' for 'port' in \[amqp\]/,
  );
  assert.throws(() => completeConfig({ durable: true } as object), { message: "unknown setting 'durable'" });
});

test("a fault is one line, whatever it quotes", () => {
  refuses(
    "bad value '1\\x0a\\x1b[2Jx' for 'port' in [amqp], from environment variable LEVERET_AMQP_PORT: " +
      "expected a whole number from -1 to 65535",
    null,
    { LEVERET_AMQP_PORT: "1\n\x1b[2Jx" },
  );
  refuses(
    "leveret.ini: unknown key 'po\\x00rt' in [amqp], line 2; did you mean 'port'?",
    "[amqp]\npo\0rt = 1\n",
  );
});

test("the largest size is taken with a unit and, as it is printed, without", () => {
  for (const text of ["1048576 GiB", "1125899906842624"]) {
    assert.equal(load(`[main]\nfree_disk_min = ${text}\n`).freeDiskBytesMin, 2 ** 50);
  }
  assert.throws(() => load("[main]\nfree_disk_min = 1125899906842625\n"), { name: "ConfigFault" });
  assert.throws(() => load("[main]\nfree_disk_min = 9999999999999999\n"), { name: "ConfigFault" });
});
