import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { LoopbackRuntime } from "../runtime/loopback.ts";
import type { Conn } from "../runtime/runtime.ts";
import { FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD, FrameReader } from "../wire/amqp_frame.ts";
import {
  decodeMethod,
  type Method,
  METHOD_CHANNEL_CLOSE,
  METHOD_CHANNEL_OPEN,
  METHOD_CONNECTION_CLOSE,
  METHOD_CONNECTION_OPEN,
  METHOD_CONNECTION_START_OK,
  METHOD_CONNECTION_TUNE_OK,
  METHOD_QUEUE_DECLARE,
  METHOD_QUEUE_DECLARE_OK,
  type QueueDeclareOk,
  writeBasicAck,
  writeBasicNack,
  writeChannelClose,
  writeChannelCloseOk,
  writeChannelOpenOk,
  writeConnectionClose,
  writeConnectionCloseOk,
  writeConnectionOpenOk,
  writeConnectionStart,
  writeConnectionTune,
  writeExchangeDeclareOk,
  writeQueueDeclare,
  writeQueueDeclareOk,
} from "../wire/amqp_methods.ts";
import { tableOf } from "../wire/amqp_table.ts";
import { beginFrame, endFrame } from "../wire/amqp_values.ts";
import type { AmqpChannel } from "./amqp_channel.ts";
import { type AmqpConnection, connectAmqp } from "./amqp_connection.ts";
import { AmqpFault } from "./amqp_fault.ts";
import { parseAmqpUri } from "./amqp_uri.ts";

interface Broker {
  readonly runtime: LoopbackRuntime;
  readonly uri: string;
  readonly methods: Method[];
  heartbeats: number;
  conn: Conn | null;
  connect(query?: string): Promise<AmqpConnection>;
}

type Answer = (method: Method, channel: number, conn: Conn) => boolean;

/** A broker of which `answer` may take over any method; the others are answered as in a smooth session. */
async function brokerOf(answer: Answer = () => false, mechanisms = "PLAIN AMQPLAIN"): Promise<Broker> {
  const runtime = new LoopbackRuntime({ kernelBytes: 4096, chunkBytesMax: 13 });
  const methods: Method[] = [];
  const listener = await runtime.listen({ host: "broker", port: 0 }, (conn) => {
    broker.conn = conn;
    const reader = new FrameReader({
      frame(type, channel, bytes, at, size) {
        if (type === FRAME_HEARTBEAT) broker.heartbeats++;
        if (type !== FRAME_METHOD) return true;
        const method = decodeMethod(bytes, at, size);
        methods.push(method);
        if (!answer(method, channel, conn)) smooth(method, channel, conn);
        return true;
      },
    });
    let greeting = 8;
    return {
      onData(chunk) {
        const skipped = Math.min(greeting, chunk.length);
        greeting -= skipped;
        if (skipped > 0 && greeting === 0) {
          const serverProperties = tableOf({ product: "test" });
          writeConnectionStart(conn.out, 0, {
            versionMajor: 0,
            versionMinor: 9,
            serverProperties,
            mechanisms,
            locales: "en_US",
          });
        }
        reader.push(chunk.subarray(skipped));
        conn.flush();
      },
      onDrain() {},
      onClose() {},
    };
  });
  const uri = `amqp://user:secret@broker:${listener.address.port}/v%2Fh`;
  const connect = (query = "") => connectAmqp(runtime, parseAmqpUri(uri + query), "test");
  const broker: Broker = { runtime, uri, methods, heartbeats: 0, conn: null, connect };
  return broker;
}

function smooth(method: Method, channel: number, { out }: Conn): void {
  if (method.kind === METHOD_CONNECTION_START_OK) {
    writeConnectionTune(out, 0, { channelMax: 2, frameMax: 9000, heartbeat: 60 });
  } else if (method.kind === METHOD_CONNECTION_OPEN) writeConnectionOpenOk(out, 0);
  else if (method.kind === METHOD_CONNECTION_CLOSE) writeConnectionCloseOk(out, 0);
  else if (method.kind === METHOD_CHANNEL_OPEN) writeChannelOpenOk(out, channel);
  else if (method.kind === METHOD_CHANNEL_CLOSE) writeChannelCloseOk(out, channel);
  else if (method.kind === METHOD_QUEUE_DECLARE) {
    writeQueueDeclareOk(out, channel, { queue: method.queue, messageCount: 7, consumerCount: 0 });
  }
}

function declare(channel: AmqpChannel, queue: string): Promise<QueueDeclareOk> {
  return channel.call<QueueDeclareOk>(METHOD_QUEUE_DECLARE_OK, (out, number) =>
    writeQueueDeclare(out, number, {
      queue,
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: false,
      noWait: false,
      arguments: tableOf({}),
    }));
}

const faultOf = (code: number, text: RegExp) => (error: unknown) =>
  error instanceof AmqpFault && error.code === code && text.test(error.message) && !error.message.includes("secret");

test("a connection is opened with the URI's user and virtual host, and closed in the protocol's way", async () => {
  const broker = await brokerOf();
  const connection = await broker.connect();
  const [startOk, tuneOk, open] = broker.methods;
  assert.ok(startOk?.kind === METHOD_CONNECTION_START_OK && open?.kind === METHOD_CONNECTION_OPEN);
  assert.equal(new TextDecoder().decode(startOk.response), "\0user\0secret");
  assert.equal(open.virtualHost, "v/h");
  assert.deepEqual(tuneOk, { kind: METHOD_CONNECTION_TUNE_OK, channelMax: 2, frameMax: 9000, heartbeat: 60 });
  assert.deepEqual([connection.frameBytesMax, connection.heartbeatS], [9000, 60]);
  await connection.close();
  assert.equal(broker.methods.at(-1)!.kind, METHOD_CONNECTION_CLOSE);
  await assert.rejects(connection.openChannel(), AmqpFault);
});

test("the lower limit of both sides counts", async () => {
  const broker = await brokerOf();
  const connection = await broker.connect("?frame_max=4096&heartbeat=0&channel_max=1");
  assert.deepEqual([connection.frameBytesMax, connection.heartbeatS], [4096, 0]);
  await connection.openChannel();
  await assert.rejects(connection.openChannel(), /1 channels/);
  await connection.close();
});

test("calls are answered in their order, and a closed channel's number is used again", async () => {
  const connection = await (await brokerOf()).connect();
  const first = await connection.openChannel();
  const second = await connection.openChannel();
  const replies = await Promise.all([declare(first, "a"), declare(first, "b"), declare(second, "c")]);
  assert.deepEqual(replies.map((reply) => [reply.queue, reply.messageCount]), [["a", 7], ["b", 7], ["c", 7]]);
  await first.close();
  await assert.rejects(declare(first, "d"), /closed/);
  assert.deepEqual([first.number, second.number, (await connection.openChannel()).number], [1, 2, 1]);
  await connection.close();
});

test("refused credentials are the broker's code and text", async () => {
  const broker = await brokerOf((method, _, { out }) => {
    if (method.kind !== METHOD_CONNECTION_START_OK) return false;
    writeConnectionClose(out, 0, { replyCode: 403, replyText: "ACCESS_REFUSED - no", classId: 0, methodId: 0 });
    return true;
  });
  await assert.rejects(broker.connect(), faultOf(403, /^403 ACCESS_REFUSED - no$/));
});

test("a broker that closes the socket in the handshake is told as such", async () => {
  const broker = await brokerOf((method, _, conn) => {
    if (method.kind !== METHOD_CONNECTION_OPEN) return false;
    conn.abort();
    return true;
  });
  await assert.rejects(broker.connect(), faultOf(0, /during the handshake/));
});

test("a broker without PLAIN is refused", async () => {
  await assert.rejects((await brokerOf(undefined, "EXTERNAL")).connect(), faultOf(0, /EXTERNAL, not PLAIN/));
});

for (const frameMax of [1, 8, 4095]) {
  test(`a broker that takes frames of ${frameMax} octets only is refused: nothing could be sent in them`, async () => {
    const broker = await brokerOf((method, _, { out }) => {
      if (method.kind !== METHOD_CONNECTION_START_OK) return false;
      writeConnectionTune(out, 0, { channelMax: 2, frameMax, heartbeat: 60 });
      return true;
    });
    await assert.rejects(broker.connect(), faultOf(0, /4096 or more/));
  });
}

for (
  const [what, type, hex] of [
    ["an ack", FRAME_METHOD, "003c0050"],
    ["a nack", FRAME_METHOD, "003c0078000000000000"],
    ["a delivery", FRAME_METHOD, "003c003c0874616700000000000000"],
    ["a content header", FRAME_HEADER, "003c000000000000"],
  ] as const
) {
  test(`${what} that is cut ends the connection, and its owner is not told of it`, async () => {
    const broker = await brokerOf((method, channel, { out }) => {
      if (method.kind !== METHOD_QUEUE_DECLARE) return false;
      const mark = beginFrame(out, type, channel);
      out.append(Uint8Array.from(Buffer.from(hex, "hex")));
      endFrame(out, mark);
      return true;
    });
    const channel = await (await broker.connect()).openChannel();
    const told: string[] = [];
    const note = (name: string) => () => void told.push(name);
    channel.handler = silentHandler({ deliver: note("deliver"), header: note("header"), settle: note("settle") });
    await assert.rejects(declare(channel, "q"), faultOf(0, /is cut/));
    assert.deepEqual(told, []);
  });
}

test("a refusal ends its channel alone", async () => {
  const broker = await brokerOf((method, channel, { out }) => {
    if (method.kind !== METHOD_QUEUE_DECLARE || method.queue !== "bad") return false;
    writeChannelClose(out, channel, { replyCode: 406, replyText: "PRECONDITION_FAILED", classId: 50, methodId: 10 });
    return true;
  });
  const connection = await broker.connect();
  const channel = await connection.openChannel();
  const other = await connection.openChannel();
  const outcomes = await Promise.allSettled([
    declare(channel, "bad"),
    declare(channel, "after"),
    declare(other, "good"),
  ]);
  assert.deepEqual(outcomes.map((outcome) => outcome.status), ["rejected", "rejected", "fulfilled"]);
  assert.ok(outcomes[0]!.status === "rejected" && faultOf(406, /PRECONDITION_FAILED/)(outcomes[0]!.reason));
  await connection.close();
});

test("a lost connection rejects what waits and tells the handlers", async () => {
  const broker = await brokerOf((method, _, conn) => {
    if (method.kind === METHOD_QUEUE_DECLARE) conn.abort();
    return method.kind === METHOD_QUEUE_DECLARE;
  });
  const connection = await broker.connect();
  const channel = await connection.openChannel();
  const told: (AmqpFault | null)[] = [];
  channel.handler = silentHandler({ closed: (fault) => told.push(fault) });
  await assert.rejects(declare(channel, "q"), faultOf(0, /closed the connection/));
  assert.equal(told.length, 1);
  assert.ok(told[0] instanceof AmqpFault);
  await connection.close();
});

test("an answer that was not asked for ends the connection", async () => {
  const broker = await brokerOf((method, channel, { out }) => {
    if (method.kind === METHOD_QUEUE_DECLARE) writeExchangeDeclareOk(out, channel);
    return method.kind === METHOD_QUEUE_DECLARE;
  });
  const connection = await broker.connect();
  const channel = await connection.openChannel();
  await assert.rejects(declare(channel, "q"), faultOf(0, /exchange.declare-ok, expected queue.declare-ok/));
});

test("confirms reach the handler, and a turn ends each chunk that brought some", async () => {
  const broker = await brokerOf();
  const connection = await broker.connect();
  const channel = await connection.openChannel();
  const heard: string[] = [];
  const settled = new Promise<void>((resolve) => {
    channel.handler = silentHandler({
      settle: (tag, multiple, accepted) => heard.push(`${tag} ${multiple} ${accepted}`),
      turn: () => heard.length === 2 && resolve(),
    });
  });
  writeBasicAck(broker.conn!.out, 1, { deliveryTag: 2 ** 33 + 1, multiple: true });
  writeBasicNack(broker.conn!.out, 1, { deliveryTag: 4, multiple: false, requeue: false });
  broker.conn!.flush();
  await settled;
  assert.deepEqual(heard, [`${2 ** 33 + 1} true true`, "4 false false"]);
  await connection.close();
});

test("heartbeats are sent, and four silent halves of the interval end the connection", async () => {
  const broker = await brokerOf();
  mock.timers.enable({ apis: ["setInterval"] });
  try {
    const connection = await broker.connect("?heartbeat=2");
    const channel = await connection.openChannel();
    const lost = new Promise<AmqpFault | null>((resolve) => channel.handler = silentHandler({ closed: resolve }));
    for (let half = 0; half < 5; half++) mock.timers.tick(1000);
    assert.match((await lost)!.message, /no heartbeat from the broker for 4 s/);
  } finally {
    mock.timers.reset();
  }
});

function silentHandler(part: Partial<NonNullable<AmqpChannel["handler"]>>): NonNullable<AmqpChannel["handler"]> {
  const nothing = () => {};
  return { deliver: nothing, header: nothing, body: nothing, settle: nothing, turn: nothing, closed: nothing, ...part };
}
