// From the first byte to connection.open-ok, and class connection after it.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { CloseReason, RawAmqp } from "../support/raw_amqp.ts";
import {
  contentHeader,
  frame,
  HEARTBEAT,
  longString,
  METHOD,
  method,
  PROTOCOL_HEADER,
  short,
  shortString,
  table,
} from "../support/raw_bytes.ts";
import { basic, CAPABILITIES, channel, connection, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function upToTune(): Promise<RawAmqp> {
  const client = await broker.connect();
  client.send(PROTOCOL_HEADER);
  await client.reply("connection.start");
  await client.call("connection.tune", connection.startOk());
  return client;
}

/** The broker says why and ends the connection. */
async function expectEnd(client: RawAmqp, code: number, text?: RegExp): Promise<CloseReason> {
  const reason = await client.refused();
  assert.equal(reason.level, "connection");
  assert.equal(reason.code, code, reason.text);
  if (text !== undefined) assert.match(reason.text, text);
  assert.equal(await client.next(), null, "nothing follows");
  return reason;
}

test("bytes that are no AMQP 0-9-1 are answered with its protocol header, and that is all (behaviours 39)", async () => {
  const others: [string, Uint8Array][] = [
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
    ["AMQP 1.0", Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0])],
    ["AMQP 1.0 with SASL", Buffer.from([0x41, 0x4d, 0x51, 0x50, 3, 1, 0, 0])],
    ["AMQP 0-8", Buffer.from([0x41, 0x4d, 0x51, 0x50, 1, 1, 8, 0])],
    ["AMQP 0-9", Buffer.from([0x41, 0x4d, 0x51, 0x50, 1, 1, 0, 9])],
    ["one wrong byte", Buffer.from("B")],
    ["the last byte wrong", Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 2])],
  ];
  for (const [name, bytes] of others) {
    const client = await broker.connect();
    client.send(bytes);
    assert.deepEqual(await client.rest(), PROTOCOL_HEADER, name);
    client.socket.end();
    await client.closed;
    assert.equal(client.error, null, `${name}: closed in an orderly way`);
  }
});

test("the broker offers version 0-9, PLAIN and en_US, and names itself", async () => {
  const client = await broker.connect();
  client.send(PROTOCOL_HEADER);
  const { args } = await client.reply("connection.start");
  assert.deepEqual([args.octet(), args.octet()], [0, 9]);
  const properties = args.longString();
  const keys = ["capabilities", "cluster_name", "copyright", "information", "platform", "product", "version"];
  const capabilities = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
  ];
  for (const key of keys) assert.ok(properties.includes(key), `server-properties have ${key}`);
  for (const key of capabilities) assert.ok(properties.includes(`${key}t\x01`), `${key} is announced as true`);
  assert.deepEqual(args.longString().split(" "), ["PLAIN", "AMQPLAIN"]);
  assert.ok(args.longString().split(" ").includes("en_US"));
});

test("a handshake that comes byte by byte is as good as any, and so is one that comes in one piece", async () => {
  const whole = [
    PROTOCOL_HEADER,
    connection.startOk(),
    connection.tuneOk(),
    connection.open(),
    channel.open(1),
    queue.declare(1, "", { exclusive: true }),
  ];
  for (const pieces of [[Buffer.concat(whole)], [...Buffer.concat(whole)].map((byte) => Buffer.from([byte]))]) {
    const client = await broker.connect();
    for (const piece of pieces) client.send(piece);
    await client.reply("connection.start");
    await client.reply("connection.tune");
    await client.reply("connection.open-ok");
    await client.reply("channel.open-ok");
    await client.reply("queue.declare-ok");
    await client.close();
  }
});

test("refused credentials are a 403 for clients that understand it, and silence for others", async () => {
  const wrong = [{ password: "wrong" }, { user: "nobody" }, { password: "" }, { user: "", password: "" }];
  for (const credentials of wrong) {
    const client = await broker.connect();
    client.send(PROTOCOL_HEADER);
    await client.reply("connection.start");
    client.send(connection.startOk(credentials));
    await expectEnd(client, 403, /^ACCESS_REFUSED/);
    const plain = await broker.connect();
    plain.send(PROTOCOL_HEADER);
    await plain.reply("connection.start");
    plain.send(connection.startOk({ ...credentials, properties: {} }));
    assert.equal(await plain.next(), null);
  }
});

test("after refused credentials nothing is tried any more, though it came in the same piece", async () => {
  const client = await broker.connect();
  client.send(
    PROTOCOL_HEADER,
    connection.startOk({ password: "wrong", properties: {} }),
    connection.startOk({ properties: {} }),
    connection.tuneOk(),
    connection.open(),
  );
  await client.reply("connection.start");
  assert.equal(await client.next(), null);
});

test("who guesses passwords waits longer each time, for the right one too", { timeout: 60_000 }, async () => {
  const attempt = async (user: string, password: string): Promise<RawAmqp> => {
    const client = await broker.connect();
    client.send(PROTOCOL_HEADER);
    await client.reply("connection.start");
    client.send(connection.startOk({ user, password }));
    return client;
  };
  const first = await attempt("guest", "guest");
  await first.reply("connection.tune");
  first.socket.destroy();
  for (let count = 0; count < 7; count++) await expectEnd(await attempt("guest", "wrong"), 403, /^ACCESS_REFUSED/);
  const startedMs = performance.now();
  const [late, hasty] = [await attempt("guest", "guest"), await attempt("guest", "guest")];
  // What comes meanwhile is read when its turn has come.
  hasty.send(connection.tuneOk(), connection.open());
  await late.reply("connection.tune");
  // After seven failures it is 400 ms.
  assert.ok(performance.now() - startedMs >= 390, `${performance.now() - startedMs} ms`);
  late.socket.destroy();
  await hasty.reply("connection.tune");
  await hasty.reply("connection.open-ok");
  hasty.socket.destroy();
  const again = await attempt("guest", "guest");
  await again.reply("connection.tune");
  again.socket.destroy();
});

test("an unknown mechanism is a 503, EXTERNAL without a certificate a 403", async () => {
  const refused: [string, number][] = [["EXTERNAL", 403], ["SCRAM-SHA-256", 503], ["", 503]];
  for (const [mechanism, code] of refused) {
    const client = await broker.connect();
    client.send(PROTOCOL_HEADER);
    await client.reply("connection.start");
    client.send(connection.startOk({ mechanism }));
    await expectEnd(client, code, new RegExp(mechanism));
  }
  const silent = await broker.connect();
  silent.send(PROTOCOL_HEADER);
  await silent.reply("connection.start");
  silent.send(connection.startOk({ mechanism: "EXTERNAL", properties: {} }));
  assert.equal(await silent.next(), null, "who does not understand it is not told");
});

test("AMQPLAIN is a table of LOGIN and PASSWORD, and refused like PLAIN", async () => {
  const startOk = (response: Uint8Array): Buffer =>
    method(0, 10, 11, table(CAPABILITIES), shortString("AMQPLAIN"), longString(response), shortString("en_US"));
  const responses: [Uint8Array, number | null][] = [
    [table({ LOGIN: "guest", PASSWORD: "guest" }).subarray(4), null],
    [table({ PASSWORD: "guest", x: 1, LOGIN: "guest" }).subarray(4), null],
    [table({ LOGIN: "guest", PASSWORD: "wrong" }).subarray(4), 403],
    [table({ LOGIN: "guest", PASSWORD: 5 }).subarray(4), 403],
    [table({ LOGIN: "guest" }).subarray(4), 403],
    [Buffer.alloc(0), 403],
    [table({ LOGIN: "guest", PASSWORD: "guest" }).subarray(4, -1), 501],
  ];
  for (const [response, code] of responses) {
    const client = await broker.connect();
    client.send(PROTOCOL_HEADER);
    await client.reply("connection.start");
    client.send(startOk(response));
    if (code === null) await client.reply("connection.tune");
    else await expectEnd(client, code, code === 403 ? /mechanism AMQPLAIN/ : undefined);
  }
});

test("a new secret is answered when it is the user's password, and a 530 when it is not", async () => {
  const updateSecret = (secret: string): Buffer => method(0, 10, 70, longString(secret), shortString("renewed"));
  const client = await broker.open();
  await client.call("connection.update-secret-ok", updateSecret("guest"));
  await client.expectSilence(1);
  client.send(updateSecret("other"));
  await expectEnd(client, 530, /^NOT_ALLOWED - New secret was refused/);
});

test("an unknown virtual host is a 530 that names it", async () => {
  const client = await upToTune();
  client.send(connection.tuneOk(), connection.open("nowhere"));
  await expectEnd(client, 530, /nowhere/);
});

test("what was offered may be lowered, neither raised nor made unlimited (behaviours 40)", async () => {
  const refused = [
    { frameMax: 0 },
    { frameMax: 131_073 },
    { frameMax: 4095 },
    { channelMax: 0 },
    { channelMax: 2048 },
  ];
  for (const tuning of refused) {
    const client = await upToTune();
    client.send(connection.tuneOk(tuning), connection.open());
    await expectEnd(client, 530, /^NOT_ALLOWED.*(frame|channel)_max/);
  }
  const lowered = await broker.open({ channelMax: 1, frameMax: 4096 });
  await lowered.close();
});

test("a channel above the negotiated number is a 530 (behaviours 40)", async () => {
  const client = await broker.open({ channelMax: 3, channels: 3 });
  client.send(channel.open(4));
  await expectEnd(client, 530, /channel_max \(3\)/);
});

test("a frame's payload may be as large as the negotiated size, one octet more is a 501 (behaviours 40)", async () => {
  const client = await broker.open({ frameMax: 4096 });
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  for (const bytes of [4088, 4096]) {
    client.send(basic.publish(1, name, Buffer.alloc(bytes), { frameMax: 4096 + 8 }), basic.get(1, name, true));
    assert.equal((await client.message()).body.length, bytes);
  }
  client.send(basic.publish(1, name, Buffer.alloc(4097), { frameMax: 4097 + 8 }));
  await expectEnd(client, 501, /^FRAME_ERROR/);
});

test("before the connection is open a frame has 8 KiB at most", async () => {
  const fits = await broker.connect();
  fits.send(PROTOCOL_HEADER);
  await fits.reply("connection.start");
  const bare = connection.startOk({ properties: { filler: "" } });
  fits.send(connection.startOk({ properties: { filler: "x".repeat(8192 - bare.length) } }));
  await fits.reply("connection.tune");
  const larger = await broker.connect();
  larger.send(PROTOCOL_HEADER);
  await larger.reply("connection.start");
  larger.send(connection.startOk({ properties: { filler: "x".repeat(8193 - bare.length) } }));
  await expectEnd(larger, 501);
});

test("steps of the handshake out of their order are a 503, channels before its end a 504", async () => {
  const early: [Buffer, number][] = [
    [connection.open(), 503],
    [connection.startOk(), 503],
    [channel.open(1), 504],
    [channel.open(0), 503],
    [contentHeader(0, 0), 505],
  ];
  for (const [bytes, code] of early) {
    const client = await upToTune();
    client.send(bytes);
    await expectEnd(client, code);
  }
});

test("channel 0 of an open connection takes class connection only", async () => {
  const wrong: [Buffer, number][] = [
    [channel.open(0), 503],
    [queue.declare(0, "q"), 503],
    [connection.open(), 503],
    [connection.startOk(), 503],
    [contentHeader(0, 5), 505],
    [frame(3, 0, Buffer.from("hello")), 505],
    [method(0, 10, 99), 540],
    [frame(METHOD, 0, short(10)), 501],
  ];
  for (const [bytes, code] of wrong) {
    const client = await broker.open();
    client.send(bytes);
    await expectEnd(client, code);
  }
});

test("a heartbeat is taken on channel 0 and is a 505 on any other (behaviours 41)", async () => {
  const client = await broker.open();
  client.send(frame(HEARTBEAT, 0));
  await client.expectSilence(1);
  client.send(frame(HEARTBEAT, 1));
  await expectEnd(client, 505);
});

test("a broken frame ends the connection at once: what follows cannot be read", async () => {
  const broken: [string, Buffer][] = [
    ["end octet", Buffer.concat([channel.flow(1, true).subarray(0, -1), Buffer.from([0])])],
    ["empty, with a wrong end octet", Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xcd])],
    ["unknown type", frame(5, 1, Buffer.from("x"))],
    ["4 GiB", Buffer.from([1, 0, 1, 0xff, 0xff, 0xff, 0xff])],
    ["method of 3 octets", frame(METHOD, 1, Buffer.from([0, 20, 0]))],
  ];
  for (const [name, bytes] of broken) {
    const client = await broker.open();
    const start = performance.now();
    client.send(bytes);
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["connection", 501], name);
    assert.equal(await client.next(), null, name);
    assert.ok(performance.now() - start < 3000, `${name}: not only when a deadline for close-ok is over`);
  }
});

test("connection.close is answered, what comes behind it is not", async () => {
  const client = await broker.open();
  client.send(connection.close(), queue.declare(1, "too-late"), channel.open(2), frame(9, 0));
  await client.reply("connection.close-ok");
  assert.equal(await client.next(), null);
  const other = await broker.open();
  other.send(queue.declare(1, "too-late", { passive: true }));
  assert.equal((await other.refused()).code, 404);
});

test("between the broker's connection.close and close-ok everything is ignored", async () => {
  const client = await broker.open();
  client.send(channel.open(1));
  const closing = await client.next();
  assert.equal(closing?.name, "10.50");
  client.send(queue.declare(1, "ignored"), channel.open(2), contentHeader(1, 3), frame(HEARTBEAT, 0));
  client.send(connection.closeOk());
  assert.equal(await client.next(), null);
  const other = await broker.open();
  other.send(queue.declare(1, "ignored", { passive: true }));
  assert.equal((await other.refused()).code, 404);
});

test("a connection.close that crosses the broker's is answered too", async () => {
  const client = await broker.open();
  client.send(channel.open(1), connection.close());
  assert.equal((await client.next())?.name, "10.50");
  await client.reply("connection.close-ok");
  assert.equal(await client.next(), null);
});

test("the broker sends heartbeats, and cuts off who is silent for two intervals", async () => {
  const silent = await broker.open({ heartbeat: 1 });
  const start = performance.now();
  const first = await silent.next();
  assert.deepEqual([first?.type, first?.channel, first?.payload.length], [HEARTBEAT, 0, 0]);
  while (await silent.next() !== null);
  await silent.closed;
  const elapsedMs = performance.now() - start;
  assert.ok(elapsedMs > 1900 && elapsedMs < 6000, `cut off after ${elapsedMs} ms`);
});
