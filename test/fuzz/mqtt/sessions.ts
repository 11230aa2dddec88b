// Target `mqtt`: whatever a client says, in whatever pieces, its connection ends as it should, with the reason that it is
// owed, or goes on; it gets the answers that it is owed, in their order; what the broker says is MQTT. Its session is there
// when it comes back, if it should be, and nothing of it when that has ended. Another client goes on meanwhile.
//
// Input: four octets of options (see `Options`), then what the client says.

import assert from "node:assert/strict";
import type { Packet as TheirPacket } from "mqtt-packet";
import { parser } from "mqtt-packet";
import type { MqttConnection } from "../../../src/mqtt/connection.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { joined, mutate } from "../mutate.ts";
import { chunksOf, type Wire } from "../stepped_conn.ts";
import { Bad, framed, nameOf, packetOf, type Version } from "./grammar.ts";
import { MqttMemoryHost, PACKET_BYTES_MAX } from "./memory_host.ts";
import { type Owed, predict } from "./oracle.ts";
import { bytes, connect, number, packet, Speaker, spoil, text, variable } from "./speech.ts";

const OPTIONS_BYTES = 4;
const NEVER = 0xffffffff;
const ALARM = "fuzz";
const WITNESS = "the/witness/has/a/topic/of/its/own";
/** In `raw` mode, before CONNECT. */
const CONNECT_BYTES_MAX = 64 * 1024;

/** How a case goes, by its first four octets. */
interface Options {
  readonly version: Version;
  /** The connection is open; only the socket is; publishers are stopped meanwhile. */
  readonly mode: "open" | "raw" | "alarm";
  /** The session outlives its connection, and the client comes back. */
  readonly persistent: boolean;
  /** How the octets are cut; 0: not at all. */
  readonly cut: number;
  /** What the client's socket takes at a time. */
  readonly window: number;
  readonly hangsUp: boolean;
  /** Of MQTT 5: receive maximum 1, aliases, a small packet size. */
  readonly narrow: boolean;
}

function optionsOf([kind = 0, cut = 0, window = 0, end = 0]: Uint8Array): Options {
  return {
    version: (kind % 3 + 3) as Version,
    mode: (["open", "open", "open", "raw", "alarm"] as const)[Math.floor(kind / 3) % 5]!,
    persistent: end % 2 === 1,
    cut,
    window: window < 128 ? Infinity : (window - 127) * 64,
    hangsUp: Math.floor(end / 2) % 2 === 1,
    narrow: Math.floor(end / 4) % 3 === 2,
  };
}

/** A broker and the client that watches it; made anew after a failure. */
class Bench {
  readonly host = new MqttMemoryHost();
  readonly witness = new Witness(this.host);

  static async start(): Promise<Bench> {
    const bench = new Bench();
    await bench.witness.start();
    return bench;
  }
}

let bench: Bench | null = null;

export const mqtt: FuzzTarget = {
  name: "mqtt",
  form: "hex",
  share: 8,

  make(random, corpus) {
    if (corpus.length > 0 && random.oneIn(8)) return mutate(random.pick(corpus), random, corpus);
    const options = random.bytes(OPTIONS_BYTES);
    const { mode, version } = optionsOf(options);
    const speaker = new Speaker(random, version);
    let list = speaker.packets(random.between(1, random.oneIn(8) ? 60 : 14));
    if (!random.oneIn(3)) list.unshift(speaker.subscribe());
    if (mode === "raw") list.unshift(speaker.connect());
    if (random.oneIn(2)) list = spoil(list, random);
    const input = joined(options, ...list);
    return random.oneIn(12) ? mutate(input, random, corpus) : input;
  },

  async check(input) {
    bench ??= await Bench.start();
    const { host, witness } = bench;
    try {
      await converse(host, optionsOf(input), input.slice(OPTIONS_BYTES));
      assert.deepEqual(host.errors.splice(0), [], "the broker found no fault with itself");
      assert.deepEqual(host.faults.splice(0), [], "nothing happened that the broker cannot go on after");
      await expectRestorable(host, witness);
      await expectNothingLeft(host, witness);
      await witness.check();
    } catch (error) {
      // What is wrong with this one must not be found again by the next case.
      bench = null;
      throw error;
    }
  },

  pieces: (input) => {
    const { packets, rest } = framed(input.subarray(OPTIONS_BYTES), Infinity);
    return [input.subarray(0, OPTIONS_BYTES), ...packets.map(({ octets }) => octets), rest];
  },

  async close() {
    await bench?.host.close();
    bench = null;
  },
};

const CLIENT = "fuzzed";

async function converse(host: MqttMemoryHost, options: Options, stream: Uint8Array): Promise<void> {
  const { mode, persistent } = options;
  if (mode === "raw") return await converseRaw(host, options, stream);
  const first = await open(host, options, false);
  const owed = await speak(host, first, options, stream);
  if (!persistent) return;
  const second = await open(host, options, owed.expiry !== 0);
  // What waits in the session comes now, and is MQTT like everything else.
  hear(second.received.splice(0), options.version, ALIASES_MAX);
  second.abort();
  await host.settle();
}

/** A connection with its CONNACK behind it. */
async function open(host: MqttMemoryHost, options: Options, isPresent: boolean): Promise<Wire<MqttConnection>> {
  const { version, persistent, narrow } = options;
  const wire = host.connect();
  const properties = narrow
    ? joined(Uint8Array.of(0x21), number(2, 1), Uint8Array.of(0x22), number(2, ALIASES_MAX))
    : undefined;
  const expiry = version === 5 && persistent ? { expiry: NEVER } : {};
  wire.send(connect({ version, clientId: CLIENT, clean: !persistent, ...expiry, ...properties && { properties } }));
  await host.settle();
  const [connack, ...rest] = hear([joined(...wire.received)], version, narrow ? ALIASES_MAX : 0);
  assert.equal(connack?.cmd, "connack");
  const { returnCode, reasonCode, sessionPresent } = connack as unknown as Record<string, unknown>;
  assert.deepEqual(
    [reasonCode ?? returnCode, sessionPresent],
    [0, isPresent],
    "the client gets the session it is owed",
  );
  if (!isPresent) {
    assert.deepEqual(rest, [], "nothing waits in a session that is new");
    wire.received.splice(0);
  }
  return wire;
}

async function speak(
  host: MqttMemoryHost,
  wire: Wire<MqttConnection>,
  { version, mode, persistent, cut, window, hangsUp, narrow }: Options,
  stream: Uint8Array,
): Promise<Owed> {
  wire.window = window;
  if (mode === "alarm") host.alarms.raise(ALARM);
  wire.send(...chunksOf(stream, cut));
  await host.settle();
  if (mode === "alarm") {
    host.alarms.clear(ALARM);
    await host.settle();
  }
  const expiry = persistent ? NEVER : 0;
  const owed = predict(stream, { version, packetBytesMax: PACKET_BYTES_MAX, expiry });
  compare(owed, hear(wire.received.splice(0), version, narrow ? ALIASES_MAX : 0), wire, version);
  wire.handler.tick(performance.now());
  if (hangsUp) wire.end();
  else wire.abort();
  await host.settle();
  assert.ok(wire.ended, "a connection ends when its client wants it to");
  return owed;
}

function compare(owed: Owed, said: readonly Said[], wire: Wire<MqttConnection>, version: Version): void {
  const { ending } = owed;
  const last = said.at(-1);
  const code = last?.cmd === "disconnect" ? Number(last.reasonCode) : null;
  if (ending === "open") {
    assert.ok(!wire.ended, `expected the connection to stay open; it is gone, with 0x${code?.toString(16)}`);
  } else {
    assert.ok(wire.ended, `expected the connection to end: ${JSON.stringify(ending)}`);
    const codes: readonly (number | null)[] = ending === "goodbye" || version < 5 ? [null] : ending.codes;
    assert.ok(codes.includes(code), `expected an end with ${codes}, found ${code}`);
  }
  const of = (...commands: string[]) => said.filter(({ cmd }) => commands.includes(cmd));
  const acks = of("puback", "pubrec").map(({ cmd, messageId }) => `${cmd} ${messageId}`);
  const releases = of("pubrel", "pubcomp").map(({ cmd, messageId }) => `${cmd} ${messageId}`);
  const replies = of("suback", "unsuback").map(({ cmd, messageId, granted }) => {
    return `${cmd} ${messageId} ${(granted as unknown[] | undefined)?.length ?? 0}`;
  });
  const pairs = [["acknowledgements", acks, owed.acks], ["releases", releases, owed.releases], [
    "replies",
    replies,
    owed.replies,
  ]] as const;
  for (const [what, found, expected] of pairs) {
    // What waits for the disk is not said any more when the connection ends.
    const due = ending === "open" ? expected : expected.slice(0, found.length);
    assert.deepEqual(found, due, `${what} are those that the client is owed`);
  }
  const pings = of("pingresp").length;
  assert.ok(ending === "open" ? pings === owed.pings : pings <= owed.pings, "every ping is answered once");
}

/** Before CONNACK little can be said that does not depend on what was said. */
async function converseRaw(host: MqttMemoryHost, { version, cut, window }: Options, stream: Uint8Array): Promise<void> {
  const wire = host.connect();
  wire.window = window;
  wire.send(...chunksOf(stream, cut));
  await host.settle();
  const { packets: [first], broken } = framed(stream, CONNECT_BYTES_MAX);
  const octets = joined(...wire.received);
  if (first === undefined) {
    assert.equal(wire.ended, broken !== "", "a packet that cannot be one ends the connection");
    assert.ok(octets.length === 0 || octets[0] === 0x20, "and nothing is said but CONNACK");
  } else if (nameOf(first.first) !== "CONNECT") {
    assert.deepEqual([wire.ended, octets.length], [true, 0], "who does not begin with CONNECT is told nothing");
  } else {
    const level = levelOf(first.first, first.body);
    const said = hear([octets], level ?? (octets[1] === 2 ? 4 : version === 5 ? 5 : 4), OUR_ALIASES_MAX);
    const refusal = said.length > 0 && Number(said[0]!.reasonCode ?? said[0]!.returnCode) !== 0;
    if (level === null) {
      assert.ok(wire.ended && (said.length === 0 || refusal), "a CONNECT that breaks the rules is refused");
    }
    if (refusal || said.length === 0) assert.ok(wire.ended && said.length <= 1, "who is refused is told nothing else");
    else assert.equal(said[0]!.cmd, "connack", "CONNACK comes first");
  }
  wire.abort();
  await host.settle();
  assert.ok(wire.ended, "a connection that was dropped is gone");
}

/** The version of a CONNECT that keeps to the rules, null of any other. */
function levelOf(first: number, body: Uint8Array): Version | null {
  try {
    return packetOf(4, first, body).version as Version;
  } catch (error) {
    if (error instanceof Bad) return null;
    throw error;
  }
}

interface Said {
  readonly cmd: string;
  readonly messageId?: number;
  readonly reasonCode?: number;
  readonly returnCode?: number;
  readonly granted?: readonly unknown[];
}

/** Of a client that has a word for them: see `Options.narrow`. */
const ALIASES_MAX = 2;
/** At most, whatever a client takes. */
const OUR_ALIASES_MAX = 64;

/** What the broker said, taken apart by another maker's codec: whole packets that make sense together. */
function hear(octets: readonly Uint8Array[], version: Version, aliasesMax = 0): Said[] {
  const said: Said[] = [];
  const other = parser({ protocolVersion: version });
  other.on("packet", (packet: TheirPacket) => said.push(packet as unknown as Said));
  other.on("error", (error) => assert.fail(`what the broker says is no MQTT: ${error.message}`));
  const all = joined(...octets);
  if (all.length > 0) other.parse(Buffer.from(all));
  const { rest, broken } = framed(all, Infinity);
  assert.deepEqual([rest.length, broken], [0, ""], "the broker says whole packets");
  const aliases = new Set<unknown>();
  for (const [index, one] of said.entries()) {
    if (one.cmd === "connack") assert.equal(index, 0, "CONNACK comes once, and first");
    if (one.cmd === "disconnect") assert.equal(index, said.length - 1, "after DISCONNECT nothing is said");
    if (one.cmd !== "publish") continue;
    const { topic, qos, messageId, properties } = one as unknown as Record<string, unknown>;
    assert.ok(qos === 0 || Number(messageId) > 0, "a message with QoS 1 or 2 has an identifier");
    const { topicAlias } = (properties ?? {}) as Record<string, unknown>;
    if (topicAlias !== undefined) {
      assert.ok(Number(topicAlias) > 0 && Number(topicAlias) <= aliasesMax, "an alias it takes");
    }
    if (topic === "") assert.ok(aliases.has(topicAlias), "a message has a topic, or an alias that was told");
    else if (topicAlias !== undefined) aliases.add(topicAlias);
    assert.ok(!/[+#]/.test(String(topic)), "no wildcards in a topic name");
  }
  return said;
}

/** Sessions that are to survive a restart do, with what they have subscribed to. */
async function expectRestorable(host: MqttMemoryHost, witness: Witness): Promise<void> {
  const definitions = witness.definitions(host.takeDefinitions());
  if (definitions === null) return;
  const restored = MqttMemoryHost.restored(definitions);
  const durable = [...host.mqtt.sessions.values()].filter((session) => session.durable);
  assert.deepEqual(sessionsOf(restored), durable.map(describe).sort(), "sessions that last come back");
  assert.deepEqual(restored.errors, [], "nothing is wrong with them");
  await restored.close();
}

function sessionsOf({ mqtt }: MqttMemoryHost): string[] {
  return [...mqtt.sessions.values()].map(describe).sort();
}

type Session = MqttMemoryHost["mqtt"]["sessions"] extends Map<string, infer S> ? S : never;

function describe({ clientId, expirySeconds, subscriptions, shares, system }: Session): string {
  const own = [...subscriptions.values()].map((one) => JSON.stringify(one, Object.keys(one).sort()));
  return JSON.stringify([
    clientId,
    expirySeconds,
    own.sort(),
    [...shares?.keys() ?? []].sort(),
    [...system?.keys() ?? []].sort(),
  ]);
}

async function expectNothingLeft(host: MqttMemoryHost, witness: Witness): Promise<void> {
  assert.equal(host.wires.size, 1, "only the witness is connected");
  for (const session of [...host.mqtt.sessions.values()]) {
    if (session.clientId === witness.clientId) continue;
    assert.equal(session.connection, null, `the session of '${session.clientId}' is not connected`);
    assert.ok(session.durable, `the session of '${session.clientId}' was to end with its connection`);
    // As a clean start would.
    session.will = null;
    host.mqtt.end(session);
  }
  await host.settle();
  const queues = [...host.vhost.queues.keys()];
  assert.deepEqual(queues, [witness.queue], "no queue of a session is left that has ended");
  const exchange = host.vhost.exchange("amq.topic");
  assert.equal([...exchange.bindings()].length, 1, "and no binding");
  assert.equal(host.mqtt.shares.count, 0, "and no shared subscription");
  assert.equal(host.mqtt.systemSubscribers.size, 0, "and no subscription to $SYS topics");
  const { retained } = host;
  retained.forgetAll();
  assert.deepEqual([retained.count, retained.bytes], [0, 0], "retained messages can be taken away");
}

/** A client in good order: each of its messages is acknowledged, delivered, and the one that it was. */
class Witness {
  readonly clientId = "witness";
  readonly queue = `mqtt-subscription-${this.clientId}qos1`;
  readonly #host: MqttMemoryHost;
  readonly #wire: Wire<MqttConnection>;
  #own: string[] = [];
  #count = 0;

  constructor(host: MqttMemoryHost) {
    this.#host = host;
    this.#wire = host.connect();
  }

  async start(): Promise<void> {
    this.#wire.send(connect({ version: 5, clientId: this.clientId, clean: true }));
    this.#wire.send(packet(0x82, number(2, 1), variable(0), text(WITNESS), Uint8Array.of(1)));
    await this.#host.settle();
    assert.deepEqual(hear(this.#wire.received.splice(0), 5).map(({ cmd }) => cmd), ["connack", "suback"]);
    this.#own = this.#host.takeDefinitions();
  }

  /** The whole log; null when nothing was written since the last call. */
  definitions(more: readonly string[]): string[] | null {
    return more.length === 0 ? null : [...this.#own, ...more];
  }

  async check(): Promise<void> {
    const id = this.#count++ % 65_535 + 1;
    const payload = `message ${this.#count}`;
    this.#wire.send(packet(0x32, text(WITNESS), number(2, id), variable(0), bytes(new TextEncoder().encode(payload))));
    await this.#host.settle();
    const octets = joined(...this.#wire.received);
    const said = hear(this.#wire.received.splice(0), 5);
    assert.deepEqual(said.map(({ cmd }) => cmd).sort(), ["puback", "publish"], "the witness is served");
    assert.ok(Buffer.from(octets).includes(payload), "and gets its own message");
    this.#wire.send(packet(0x40, number(2, said.find(({ cmd }) => cmd === "publish")!.messageId!)));
    await this.#host.settle();
    assert.deepEqual(hear(this.#wire.received.splice(0), 5), []);
    // What was said of sessions that have ended.
    this.#host.takeDefinitions();
  }
}
