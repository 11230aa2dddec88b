// Target `client`: whatever a server answers, our own client ends in order. Every promise is settled, with an AmqpFault
// when it fails; nothing else is thrown; what it sends is AMQP; and no size that a server names makes it run wild.
//
// Input: an octet for the cuts, then what the server says from the first octet on.

import assert from "node:assert/strict";
import { AmqpConnection } from "../../../src/client/amqp_connection.ts";
import { AmqpFault } from "../../../src/client/amqp_fault.ts";
import { parseAmqpUri } from "../../../src/client/amqp_uri.ts";
import { BufferPool } from "../../../src/lib/out_buffer.ts";
import { writeBody } from "../../../src/wire/amqp_frame.ts";
import {
  METHOD_QUEUE_DECLARE_OK,
  METHOD_TX_SELECT_OK,
  type QueueDeclareOk,
  type TxSelectOk,
  writeQueueDeclare,
  writeTxSelect,
} from "../../../src/wire/amqp_methods.ts";
import { METHOD_ROWS } from "../../../scripts/amqp_methods_table.ts";
import { longString, method, octet, short, shortString, table } from "../../support/raw_bytes.ts";
import { PROTOCOL_HEADER } from "../../support/raw_bytes.ts";
import { Wire } from "../stepped_conn.ts";
import { spoil } from "../amqp/speech.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { joined, mutate, putBig } from "../mutate.ts";
import { FuzzRandom } from "../random.ts";
import { Builder } from "../wire/builder.ts";
import { framesOf } from "../wire/frames.ts";
import { judgeMethod } from "../wire/grammar.ts";

const OPTIONS_BYTES = 1;
const STEPS_MAX = 20_000;
/** Of a body to be sent, octets. */
const BODY_BYTES = 10_000;
/** Microtasks between two chunks. */
const TURNS = 6;
const POOL = new BufferPool();
const URI = parseAmqpUri("amqp://guest:guest@server");

const HANDSHAKE: readonly Uint8Array[] = [
  method(
    0,
    10,
    10,
    octet(0),
    octet(9),
    table({ product: "hostile" }),
    longString("PLAIN AMQPLAIN"),
    longString("en_US"),
  ),
  method(0, 10, 30, short(2047), Uint8Array.of(0, 2, 0, 0), short(60)),
  method(0, 10, 41, shortString("")),
  method(1, 20, 11, longString("")),
];
/** Of what a server says on an open channel. */
const ANSWERS: readonly [classId: number, methodId: number][] = [
  [50, 11],
  [90, 11],
  [60, 60],
  [60, 80],
  [60, 120],
  [60, 50],
  [60, 71],
  [60, 30],
  [20, 40],
  [20, 41],
  [20, 20],
  [10, 50],
  [10, 51],
  [10, 60],
];

export const client: FuzzTarget = {
  name: "client",
  form: "hex",
  share: 3,

  make(random, corpus) {
    if (corpus.length > 0 && random.oneIn(6)) return mutate(random.pick(corpus), random, corpus);
    let frames = [...HANDSHAKE];
    if (random.oneIn(4)) frames[1] = tune(random);
    for (let count = random.below(12); count > 0; count--) frames.push(answer(random));
    if (!random.oneIn(3)) frames = spoil(frames, random);
    const input = joined(random.bytes(OPTIONS_BYTES), ...frames);
    return random.oneIn(8) ? mutate(input, random, corpus) : input;
  },

  async check(input) {
    const wire = new Wire(POOL, (conn) => new AmqpConnection(conn, URI, "fuzzed"));
    const session = new Session(wire.handler);
    wire.send(...chunksOf(input[0] ?? 0, input.slice(OPTIONS_BYTES)));
    wire.end();
    for (let step = 0; !wire.ended; step++) {
      assert.ok(step < STEPS_MAX, "a client comes to its end");
      wire.step();
      // So that what was asked for is asked before the next answer comes.
      for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
    }
    await session.ended();
    expectAmqp(joined(...wire.received));
  },

  pieces: (input) => [input.subarray(0, OPTIONS_BYTES), ...framesOf(input.slice(OPTIONS_BYTES))],
};

/** Limits of any size. */
function tune(random: FuzzRandom): Uint8Array {
  const limits = new Uint8Array(8);
  putBig(limits, 0, 2, random.edge());
  putBig(limits, 2, 4, random.oneIn(2) ? random.edge() : BigInt(random.below(5000)));
  putBig(limits, 6, 2, random.edge());
  return method(0, 10, 30, limits);
}

/** A frame at a time mostly: what is answered before it was asked for is not heard. */
function chunksOf(option: number, stream: Uint8Array): readonly Uint8Array[] {
  if (option < 192) return framesOf(stream);
  const random = new FuzzRandom(option);
  const most = random.pick([stream.length, 100, 7]);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < stream.length;) {
    const count = Math.max(1, random.below(most + 1), stream.length >> 8);
    chunks.push(stream.subarray(at, at + count));
    at += count;
  }
  return chunks;
}

function answer(random: FuzzRandom): Uint8Array {
  const builder = new Builder(random);
  const channel = random.oneIn(8) ? random.below(4) : 1;
  switch (random.below(6)) {
    case 0:
      builder.frame(2, channel, () => {
        builder.raw(Uint8Array.of(0, 60, 0, 0));
        builder.header(random.below(100));
      });
      break;
    case 1:
      builder.frame(3, channel, () => builder.raw(random.bytes(random.size(100))));
      break;
    case 2:
      builder.frame(8, 0, () => {});
      break;
    default: {
      const [classId, methodId] = random.pick(ANSWERS);
      const at = classId === 10 ? 0 : channel;
      builder.frame(1, at, () => builder.method(METHOD_ROWS.find((row) => row[1] === classId && row[3] === methodId)));
    }
  }
  if (random.oneIn(6)) builder.breakOne();
  return builder.take();
}

/** What a program does with a connection: opens it and a channel, asks, publishes. */
class Session {
  readonly #done: Promise<void>;
  #settled = false;

  constructor(connection: AmqpConnection) {
    this.#done = this.#run(connection).finally(() => this.#settled = true);
    this.#done.catch(() => {});
  }

  async #run(connection: AmqpConnection): Promise<void> {
    try {
      await connection.opened;
      const channel = await connection.openChannel();
      const nothing = (): void => {};
      channel.handler = {
        deliver: (bytes, at, size) => assert.ok(at + size <= bytes.length && size >= 16 + bytes[at + 4]!, "whole"),
        header: (bytes, at, size) => assert.ok(at + size <= bytes.length && size >= 14, "whole"),
        body: nothing,
        settle: (tag) => assert.ok(tag >= 0, "a confirm has a tag"),
        turn: nothing,
        closed: nothing,
      };
      assert.ok(connection.frameBytesMax >= 4096, `frames of ${connection.frameBytesMax} octets were agreed upon`);
      writeBody(connection.out, channel.number, new Uint8Array(BODY_BYTES), 0, BODY_BYTES, connection.frameBytesMax);
      const fields = { queue: "q", passive: false, durable: true, exclusive: false, autoDelete: false, noWait: false };
      await Promise.all([
        channel.call<QueueDeclareOk>(
          METHOD_QUEUE_DECLARE_OK,
          (out, number) => writeQueueDeclare(out, number, { ...fields, arguments: new Map() }),
        ),
        channel.call<TxSelectOk>(METHOD_TX_SELECT_OK, writeTxSelect),
      ]);
      await channel.close();
      await connection.close();
    } catch (error) {
      if (!(error instanceof AmqpFault)) throw error;
    }
  }

  /** The connection is gone: nothing may wait any more. */
  async ended(): Promise<void> {
    for (let turn = 0; turn < 20 && !this.#settled; turn++) await Promise.resolve();
    assert.ok(this.#settled, "who waits on a connection that is gone is told");
    await this.#done;
  }
}

/** What a client sends. */
function expectAmqp(octets: Uint8Array): void {
  assert.deepEqual([...octets.subarray(0, 8)], [...PROTOCOL_HEADER], "a client begins with the protocol header");
  const frames = framesOf(octets.slice(8));
  const rest = frames.pop()!;
  assert.equal(rest.length, 0, "its last frame is whole");
  for (const frame of frames) {
    assert.equal(frame.at(-1), 0xce, "its frames end as frames do");
    if (frame[0] === 1) assert.ok(judgeMethod(frame.slice(7, -1)).ok, "its methods are whole");
  }
}
