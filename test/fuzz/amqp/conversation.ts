// Target `amqp`: whatever a client says, in whatever pieces, nothing breaks but its own channel or connection. The error
// is the one it is owed, nothing of it is left behind, and another connection goes on publishing and consuming.
//
// Input: four octets of options (see `Options`), then what the client says.

import assert from "node:assert/strict";
import type { AmqpConnection } from "../../../src/amqp/connection.ts";
import { connection } from "../../support/raw_methods.ts";
import { basic, channel, confirm, queue } from "../../support/raw_methods.ts";
import { PROTOCOL_HEADER } from "../../support/raw_bytes.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { joined, mutate } from "../mutate.ts";
import { framesOf } from "../wire/frames.ts";
import { CHANNEL_MAX, FRAME_BYTES_MAX, MemoryHost, MESSAGE_BYTES_MAX } from "./memory_host.ts";
import { type Ending, type OracleOptions, predict } from "./oracle.ts";
import { hear, type Heard } from "./replies.ts";
import { handshake, Speaker, spoil } from "./speech.ts";
import { chunksOf, type Wire } from "../stepped_conn.ts";

const OPTIONS_BYTES = 4;
const SMALL_FRAME_BYTES_MAX = 4096;
const BUILT_IN: readonly string[] = ["", "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"];
/** Long enough for timers of 1 ms. */
const TIMERS_MS = 4;
const ALARM = "fuzz";

/** How a case goes, by its first four octets. */
interface Options {
  /** Channels 1 and 2 are open; only the socket is; channel 1 is, with small frames; publishers are stopped meanwhile. */
  readonly mode: "open" | "raw" | "small" | "alarm";
  /** How the octets are cut; 0: not at all. */
  readonly cut: number;
  /** What the client's socket takes at a time. */
  readonly window: number;
  readonly end: "close" | "hang up" | "reset";
  /** Time passes before the end. */
  readonly waits: boolean;
}

function optionsOf([mode = 0, cut = 0, window = 0, end = 0]: Uint8Array): Options {
  return {
    mode: (["open", "raw", "small", "alarm"] as const)[mode % 4]!,
    cut,
    window: window < 128 ? Infinity : (window - 127) * 64,
    end: (["close", "hang up", "reset"] as const)[end % 3]!,
    waits: end >= 252,
  };
}

/** A broker and the client that watches it; made anew after a failure. */
class Bench {
  readonly host = new MemoryHost();
  readonly witness = new Witness(this.host);

  static async start(): Promise<Bench> {
    const bench = new Bench();
    await bench.witness.start();
    return bench;
  }
}

let bench: Bench | null = null;

export const amqp: FuzzTarget = {
  name: "amqp",
  form: "hex",
  share: 10,

  make(random, corpus) {
    if (corpus.length > 0 && random.oneIn(8)) return mutate(random.pick(corpus), random, corpus);
    const options = random.bytes(OPTIONS_BYTES);
    if (random.oneIn(2)) options[0] = 0;
    const { mode } = optionsOf(options);
    const speaker = new Speaker(random, mode === "open" || mode === "alarm" ? 2 : 1);
    let frames = speaker.frames(random.between(1, random.oneIn(8) ? 60 : 14));
    if (mode === "raw") frames = [...handshake(random), ...frames.slice(0, 5)];
    if (frames.length > 0 && !random.oneIn(4)) frames = spoil(frames, random);
    const input = joined(options, ...frames);
    return random.oneIn(10) ? mutate(input, random, corpus) : input;
  },

  async check(input) {
    bench ??= await Bench.start();
    const { host, witness } = bench;
    try {
      const wire = host.connect();
      try {
        await converse(host, wire, optionsOf(input), input.slice(OPTIONS_BYTES));
      } finally {
        host.alarms.clear(ALARM);
        wire.abort();
        await host.settle();
      }
      assert.ok(wire.ended, "a connection that was dropped is gone");
      assert.deepEqual(host.errors.splice(0), [], "the broker found no fault with itself");
      assert.deepEqual(host.faults.splice(0), [], "nothing happened that the broker cannot go on after");
      await expectRestorable(host);
      await expectNothingLeft(host, witness);
      host.takeDefinitions();
      await witness.check();
    } catch (error) {
      // What is wrong with this one must not be found again by the next case.
      bench = null;
      throw error;
    }
  },

  pieces: (input) => [input.subarray(0, OPTIONS_BYTES), ...framesOf(input.slice(OPTIONS_BYTES))],

  async close() {
    await bench?.host.close();
    bench = null;
  },
};

async function converse(
  host: MemoryHost,
  wire: Wire<AmqpConnection>,
  options: Options,
  stream: Uint8Array,
): Promise<void> {
  const { mode, cut, window, end, waits } = options;
  let channels = 0;
  let before = 0;
  const frameBytesMax = mode === "small" ? SMALL_FRAME_BYTES_MAX : FRAME_BYTES_MAX;
  if (mode !== "raw") {
    channels = mode === "small" ? 1 : 2;
    wire.send(PROTOCOL_HEADER, connection.startOk());
    wire.send(connection.tuneOk({ channelMax: CHANNEL_MAX, frameMax: frameBytesMax }), connection.open());
    for (let number = 1; number <= channels; number++) wire.send(channel.open(number));
    await host.settle();
    before = wire.received.length;
  }
  wire.window = window;
  if (mode === "alarm") host.alarms.raise(ALARM);
  wire.send(...chunksOf(stream, cut));
  await host.settle();
  if (waits) {
    await new Promise((resolve) => setTimeout(resolve, TIMERS_MS));
    await host.settle();
  }
  if (mode === "alarm") {
    host.alarms.clear(ALARM);
    await host.settle();
  }
  const said = joined(...wire.received.slice(before));
  if (mode === "raw") {
    hearRaw(said, wire, stream);
  } else {
    const heard = hear(said, frameBytesMax);
    const oracle: OracleOptions = {
      frameBytesMax: frameBytesMax + 8,
      channelMax: CHANNEL_MAX,
      messageBytesMax: MESSAGE_BYTES_MAX,
      channels,
      exchanges: BUILT_IN,
    };
    const { ending, channelCodes } = predict(stream, oracle);
    compare(ending, heard, wire);
    // A delivery that was out for too long closes its channel, too.
    if (ending !== "unknown" && mode !== "alarm" && !waits) compareChannels(channelCodes, heard, ending);
  }
  wire.handler.tick(performance.now());
  if (end === "reset") return;
  if (end === "close") wire.send(connection.close(), connection.closeOk());
  wire.end();
  await host.settle();
  assert.ok(wire.ended, "a connection ends when its client wants it to");
}

function compare(ending: Ending, { connectionClose }: Heard, wire: Wire<AmqpConnection>): void {
  if (ending === "unknown") return;
  const code = connectionClose?.code ?? null;
  const said = connectionClose === null ? "nothing was said" : `${code}, ${connectionClose.text}`;
  if (ending === "open") {
    assert.equal(code, null, `expected the connection to stay open: ${said}`);
    assert.ok(!wire.ended, "expected the connection to stay open, it is gone");
  } else if (ending === "closed") {
    assert.equal(code, null, `expected no error before the client's own close: ${said}`);
    assert.ok(wire.ended, "a client that closes is let go");
  } else {
    assert.ok(code !== null && ending.codes.includes(code), `expected one of ${ending.codes}: ${said}`);
  }
}

function compareChannels(expected: ReadonlyMap<number, readonly number[]>, heard: Heard, ending: Ending): void {
  for (const [number, codes] of expected) {
    const found = heard.channelCloses.filter((close) => close.channel === number).map(({ code }) => code);
    // Replies that wait for the disk are not sent any more when the connection ends.
    if (ending !== "open" && found.length < codes.length) continue;
    assert.deepEqual(found, codes, `channel ${number} is closed with ${codes.join(", ") || "nothing"}`);
  }
}

/** Before the handshake is done little can be said that does not depend on what was said. */
function hearRaw(said: Uint8Array, wire: Wire<AmqpConnection>, stream: Uint8Array): void {
  const length = Math.min(stream.length, PROTOCOL_HEADER.length);
  if (Buffer.compare(stream.subarray(0, length), PROTOCOL_HEADER.subarray(0, length)) !== 0) {
    assert.deepEqual([...said], [...PROTOCOL_HEADER], "who does not speak AMQP is told what is spoken here");
    assert.ok(wire.ended, "and let go");
    return;
  }
  const { methods } = hear(said, FRAME_BYTES_MAX);
  const names = methods.map(({ name }) => name);
  if (stream.length >= PROTOCOL_HEADER.length) assert.equal(names[0], "connection.start", "the broker begins");
  else assert.deepEqual(names, [], "nothing is said before the protocol header is whole");
  const tuned = names.indexOf("connection.tune");
  const opened = names.indexOf("connection.open-ok");
  const first = names.findIndex((name) => !name.startsWith("connection."));
  assert.ok(first < 0 || (opened > tuned && tuned > 0 && first > opened), "channels come behind the handshake");
}

/** What is durable is the same when it is read from the log: nothing that was declared keeps a broker from starting. */
async function expectRestorable(host: MemoryHost): Promise<void> {
  const definitions = host.takeDefinitions();
  if (definitions.length === 0) return;
  const restored = MemoryHost.restored(definitions);
  assert.deepEqual(textsOf(restored), textsOf(host), "what is durable comes back");
  await restored.close();
}

function textsOf({ vhost }: MemoryHost): string[] {
  return [...vhost.entries()].map((entry) => JSON.stringify(entry)).sort();
}

async function expectNothingLeft(host: MemoryHost, witness: Witness): Promise<void> {
  const { vhost } = host;
  assert.equal(host.wires.size, 1, "only the witness is connected");
  for (const queue of [...vhost.queues.values()]) {
    if (queue.name === witness.queue) continue;
    assert.equal(queue.owner, null, `queue '${queue.name}' was the connection's own and is still there`);
    assert.equal(queue.consumers.length, 0, `queue '${queue.name}' has a consumer of a connection that is gone`);
    const { unackedCount = 0 } = queue.store as { readonly unackedCount?: number };
    assert.equal(unackedCount, 0, `queue '${queue.name}' has deliveries of a connection that is gone`);
    vhost.removeQueue(queue);
  }
  for (const { name } of [...vhost.exchanges.values()]) if (!BUILT_IN.includes(name)) vhost.deleteExchange(name, false);
  // The broker's own may be bound to each other.
  for (
    const { name, bindings } of vhost.exchanges.values().map((exchange) => ({
      name: exchange.name,
      bindings: [...exchange.bindings()],
    }))
  ) {
    for (const { destination, routingKey, args } of bindings) vhost.unbind(name, destination, routingKey, args);
  }
  await host.settle();
  assert.deepEqual([...vhost.exchanges.keys()].sort(), [...BUILT_IN].sort(), "only the broker's exchanges are left");
  for (const { name, bindingCount } of vhost.exchanges.values()) assert.equal(bindingCount, 0, `of '${name}'`);
}

/** A client in good order: each of its messages is confirmed, delivered, and the one that it was. */
class Witness {
  queue = "";
  readonly #host: MemoryHost;
  readonly #wire: Wire<AmqpConnection>;
  #count = 0;

  constructor(host: MemoryHost) {
    this.#host = host;
    this.#wire = host.connect();
  }

  async start(): Promise<void> {
    this.#wire.send(PROTOCOL_HEADER, connection.startOk());
    this.#wire.send(connection.tuneOk({ channelMax: CHANNEL_MAX, frameMax: FRAME_BYTES_MAX }), connection.open());
    this.#wire.send(channel.open(1), queue.declare(1, "", { exclusive: true }));
    await this.#host.settle();
    const { methods } = this.#take();
    const { name, payload } = methods.at(-1)!;
    assert.equal(name, "queue.declare-ok");
    this.queue = new TextDecoder().decode(payload.subarray(5, 5 + payload[4]!));
    this.#wire.send(confirm.select(1), basic.consume(1, this.queue, { tag: "w" }));
    await this.#host.settle();
    assert.deepEqual(this.#take().methods.map((method) => method.name), ["confirm.select-ok", "basic.consume-ok"]);
  }

  async check(): Promise<void> {
    this.#count++;
    this.#wire.send(basic.publish(1, this.queue, `message ${this.#count}`));
    await this.#host.settle();
    const octets = joined(...this.#wire.received);
    const { methods } = this.#take();
    assert.deepEqual(methods.map(({ name }) => name).sort(), ["basic.ack", "basic.deliver"], "the witness is served");
    assert.ok(Buffer.from(octets).includes(`message ${this.#count}`), "and gets its own message");
    this.#wire.send(basic.ack(1, this.#count));
    await this.#host.settle();
    assert.deepEqual(this.#take().methods, []);
  }

  #take(): Heard {
    return hear(joined(...this.#wire.received.splice(0)), FRAME_BYTES_MAX);
  }
}
