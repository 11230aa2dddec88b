// Target `sockets`: conversations as in `amqp`, through the listener and the runtime in memory, whose sockets take little
// at a time. Whatever is said and however it ends, both ends learn of it, the listener forgets the connection, and
// what was sent is AMQP.
//
// Input: an octet for the sockets, an octet for the end, then all that the client says from the protocol header on.

import assert from "node:assert/strict";
import { type AmqpListener, listenForAmqp } from "../../../src/amqp/listener.ts";
import { LoopbackRuntime } from "../../../src/runtime/loopback.ts";
import type { Conn } from "../../../src/runtime/runtime.ts";
import { channel, connection } from "../../support/raw_methods.ts";
import { PROTOCOL_HEADER } from "../../support/raw_bytes.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { joined, mutate } from "../mutate.ts";
import { framesOf } from "../wire/frames.ts";
import { CHANNEL_MAX, FRAME_BYTES_MAX, MemoryHost } from "./memory_host.ts";
import { hear } from "./replies.ts";
import { Speaker, spoil } from "./speech.ts";

const OPTIONS_BYTES = 2;
/** What a socket holds in transit, octets. */
const KERNEL_BYTES: readonly number[] = [64, 300, 5000, 65_536];
/** Longer than a close waits for a peer that does not read. */
const LINGER_MS = 20;
const END_MS_MAX = 10_000;
const OPENING: Uint8Array = joined(
  PROTOCOL_HEADER,
  connection.startOk(),
  connection.tuneOk({ channelMax: CHANNEL_MAX, frameMax: FRAME_BYTES_MAX }),
  connection.open(),
  channel.open(1),
  channel.open(2),
);

/** A broker with a listener for each size of sockets; made anew after a failure. */
class Bench {
  readonly host = new MemoryHost();
  readonly runtimes: LoopbackRuntime[] = [];
  readonly listeners: AmqpListener[] = [];

  static async start(): Promise<Bench> {
    const bench = new Bench();
    for (const kernelBytes of KERNEL_BYTES) {
      const runtime = new LoopbackRuntime({
        kernelBytes,
        chunkBytesMax: Math.min(kernelBytes, 4000),
        lingerMs: LINGER_MS,
      });
      bench.runtimes.push(runtime);
      bench.listeners.push(await listenForAmqp(runtime, { host: "127.0.0.1", port: 0 }, bench.host.services));
    }
    return bench;
  }

  async stop(): Promise<void> {
    await Promise.all(this.listeners.map((listener) => listener.close()));
    await this.host.close();
  }
}

let bench: Bench | null = null;

export const sockets: FuzzTarget = {
  name: "sockets",
  form: "hex",
  share: 3,

  make(random, corpus) {
    if (corpus.length > 0 && random.oneIn(8)) return mutate(random.pick(corpus), random, corpus);
    let frames = new Speaker(random, 2).frames(random.between(1, 12));
    if (frames.length > 0 && !random.oneIn(3)) frames = spoil(frames, random);
    const input = joined(
      random.bytes(OPTIONS_BYTES),
      OPENING,
      ...frames,
      ...random.oneIn(3) ? [connection.close()] : [],
    );
    return random.oneIn(12) ? mutate(input, random, corpus) : input;
  },

  async check(input) {
    bench ??= await Bench.start();
    try {
      await converse(bench, input[0] ?? 0, input[1] ?? 0, input.slice(OPTIONS_BYTES));
      const { host } = bench;
      assert.deepEqual(host.errors.splice(0), [], "the broker found no fault with itself");
      assert.deepEqual(host.faults.splice(0), [], "nothing happened that the broker cannot go on after");
      clear(host);
    } catch (error) {
      bench = null;
      throw error;
    }
  },

  pieces: (
    input,
  ) => [input.subarray(0, OPTIONS_BYTES), input.subarray(OPTIONS_BYTES, 10), ...framesOf(input.slice(10))],

  async close() {
    await bench?.stop();
    bench = null;
  },
};

async function converse({ host, runtimes, listeners }: Bench, socket: number, end: number, stream: Uint8Array) {
  const size = socket % KERNEL_BYTES.length;
  const listener = listeners[size]!;
  const client = new Client(end);
  await runtimes[size]!.connect(listener.address, (conn) => client.begin(conn, stream));
  const deadlineMs = performance.now() + END_MS_MAX;
  while (!client.gone || listener.connectionCount > 0) {
    assert.ok(performance.now() < deadlineMs, client.gone ? "the listener forgets who is gone" : "a connection ends");
    await new Promise((resolve) => setImmediate(resolve));
    host.answerSync();
  }
  client.expectAmqp(stream);
}

/** Sends what it is given; reads all, some, or nothing; ends as it is told. */
class Client {
  gone = false;
  readonly #received: Uint8Array[] = [];
  readonly #end: number;
  #heard = 0;
  #conn: Conn | null = null;

  constructor(end: number) {
    this.#end = end;
  }

  begin(conn: Conn, stream: Uint8Array) {
    this.#conn = conn;
    conn.out.append(stream);
    queueMicrotask(() => conn.flush());
    if (this.#end % 8 === 7) conn.pause();
    // Its own side ends after a while, whatever the broker does; some are gone at once.
    const turns = this.#end % 4 === 3 ? 2 : 30;
    const ends = (left: number): void => {
      if (this.gone) return;
      if (left > 0) return void setImmediate(() => ends(left - 1));
      if (this.#end % 2 === 0) conn.close();
      else conn.abort();
    };
    // Who still has something to send gets the time to.
    const sent = (): void =>
      void (conn.pending > 0 && !this.gone && this.#patience-- > 0 ? setImmediate(sent) : ends(turns));
    setImmediate(sent);
    return {
      onData: (chunk: Uint8Array) => {
        this.#received.push(chunk.slice());
        if (this.#end % 16 === 5 && ++this.#heard > 3) this.#conn!.pause();
      },
      onDrain: () => {},
      onClose: () => void (this.gone = true),
    };
  }

  #patience = 3000;

  /** What came is AMQP, up to where it was cut off. */
  expectAmqp(stream: Uint8Array): void {
    const octets = joined(...this.#received);
    if (stream.length < 8 || Buffer.compare(stream.subarray(0, 8), PROTOCOL_HEADER) !== 0) {
      assert.ok(octets.length === 0 || Buffer.compare(octets, PROTOCOL_HEADER) === 0, "nothing but the right header");
      return;
    }
    const whole = framesOf(octets).slice(0, -1);
    hear(joined(...whole), FRAME_BYTES_MAX, true);
  }
}

function clear({ vhost }: MemoryHost): void {
  for (const queue of [...vhost.queues.values()]) {
    assert.equal(queue.owner, null, `queue '${queue.name}' was a connection's own and is still there`);
    assert.equal(queue.consumers.length, 0, `queue '${queue.name}' has a consumer of a connection that is gone`);
    vhost.removeQueue(queue);
  }
  for (const { name } of [...vhost.exchanges.values()]) {
    if (name !== "" && !name.startsWith("amq.")) vhost.deleteExchange(name, false);
  }
  for (const exchange of vhost.exchanges.values()) {
    for (const { destination, routingKey, args } of [...exchange.bindings()]) {
      vhost.unbind(exchange.name, destination, routingKey, args);
    }
  }
}
