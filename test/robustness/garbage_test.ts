// Garbage on the port never hurts another connection: a witness publishes and consumes through all of it, and each
// attacker gets the answer it is owed.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { testTargets } from "../support/broker_process.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { frame, HEARTBEAT, PROTOCOL_HEADER, Random, type RawFrame, takeFrame } from "../support/raw_bytes.ts";
import { basic, channel, connection, queue, REPLIES } from "../support/raw_methods.ts";
import { waitFor, within } from "../support/wait.ts";
import { ATTACKS, randomFrames, session, spoiled } from "./attacks.ts";
import { Siege } from "./siege.ts";

const MIB = 1024 * 1024;
const TEST_TIMEOUT_MS = 60_000;
/** Connections at a time, so that the test itself is not what is slow. */
const AT_ONCE = 25;
/** limits.ts says 10 s; the broker looks twice a second, and a busy machine is later still. */
const HANDSHAKE_MS = [9_500, 14_000] as const;
/** What the broker may hold for one client that does not read, and what a collector may leave lying about. */
const HELD_BYTES_MAX = 320 * MIB;
const GROWTH_BYTES_MAX = 400 * MIB;

const DESCRIPTORS_PREPARED_MAX = 30;

/** Runs `job` for 0 to count-1, some at a time. */
async function many(count: number, job: (index: number) => Promise<void>, atOnce = AT_ONCE): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, async () => {
    while (next < count) await job(next++);
  }));
}

/** The reply codes of all closes in what the broker sent. */
function closeCodes(bytes: Buffer): number[] {
  const codes: number[] = [];
  for (let taken = takeFrame(bytes); taken !== null; taken = takeFrame(taken.rest)) {
    const { name, args }: RawFrame = taken.frame;
    if (name === "10.50" || name === "20.40") codes.push(args.short());
  }
  return codes;
}

/** Sends `bytes` and FIN; gives what the broker says until it ends the connection. */
async function say(client: RawAmqp, bytes: Uint8Array): Promise<Buffer> {
  client.send(bytes);
  client.socket.end();
  return await client.rest();
}

const KNOWN_CODES = new Set([311, 312, 313, 320, 402, 403, 404, 405, 406, 501, 502, 503, 504, 505, 506, 530, 540]);

for (const target of testTargets()) {
  describe(`garbage on the port of ${target}`, () => {
    let started: Promise<Siege> | undefined;
    after(async () => (await started?.catch(() => undefined))?.dispose());

    /** A test in the middle of the siege: the witness must get on before and after it. */
    const siegeTest = (name: string, run: (siege: Siege) => Promise<void>) => {
      test(name, { timeout: TEST_TIMEOUT_MS }, async () => {
        const siege = await (started ??= Siege.start(target));
        await run(siege).catch((error) => {
          throw new Error(`${siege.broker.program.describe()}`, { cause: error });
        });
        await siege.witness.check();
        assert.equal(siege.broker.stderr, "");
      });
    };

    siegeTest("what is not AMQP 0-9-1 is answered with its protocol header and closed", async (siege) => {
      const hello = Buffer.from("16030100c8010000c40303" + "5a".repeat(32), "hex");
      const random = new Random(99);
      const others: Buffer[] = [
        Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        Buffer.from("POST /api HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"),
        hello,
        Buffer.from("AMQP\x00\x01\x00\x00", "latin1"),
        Buffer.from("AMQP\x03\x01\x00\x00", "latin1"),
        Buffer.from("AMQP\x01\x01\x00\x09", "latin1"),
        Buffer.from("AMQP\x01\x01\x08\x00", "latin1"),
        Buffer.from("AMQP\xff\xff\xff\xff", "latin1"),
        Buffer.from("\x10\x10\x00\x04MQTT", "latin1"),
        Buffer.alloc(100_000),
      ];
      while (others.length < 60) {
        // Not by chance the first byte of AMQP.
        others.push(Buffer.concat([Buffer.from([random.below(64)]), random.bytes(random.below(20_000))]));
      }
      await many(others.length, async (index) => {
        const client = await siege.connect();
        client.send(others[index]!);
        assert.deepEqual(await client.rest(), PROTOCOL_HEADER, `case ${index}`);
        client.socket.end();
        await client.closed;
      });
    });

    siegeTest("every violation gets the reply code it is owed", async (siege) => {
      await many(ATTACKS.length, async (index) => {
        const attack = ATTACKS[index]!;
        const client = await siege.open();
        client.send(attack.bytes);
        const { level, code, text } = await client.refused();
        assert.deepEqual([level, code], [attack.level, attack.code], `${attack.name}: ${text}`);
        if (level === "channel") await client.close();
        else assert.equal(await client.next(), null, attack.name);
      });
    });

    siegeTest("a handshake cut anywhere, by FIN or RST, leaves nothing behind", async (siege) => {
      const whole = Buffer.concat([PROTOCOL_HEADER, connection.startOk(), connection.tuneOk(), connection.open()]);
      await many(2 * whole.length, async (index) => {
        const client = await siege.connect();
        client.send(whole.subarray(0, index >> 1));
        if (index % 2 === 0) client.socket.end();
        else client.reset();
        await within("end of the connection", client.closed);
      });
    });

    siegeTest("a session cut anywhere gives back what it held", async (siege) => {
      const keeper = await siege.open();
      await keeper.call("queue.declare-ok", queue.declare(1, "cut", { durable: true }));
      for (let index = 0; index < 5; index++) keeper.send(basic.publish(1, "cut", String(index)));
      await keeper.expectSilence(1);
      const whole = Buffer.concat([
        basic.consume(1, "cut"),
        basic.publish(1, "nowhere", "x".repeat(20)),
        basic.get(1, "cut"),
      ]);
      await many(whole.length, async (index) => {
        const client = await siege.open();
        client.send(whole.subarray(0, index));
        if (index % 2 === 0) client.socket.end();
        else client.reset();
        await within("end of the connection", client.closed);
      });
      const ready = async (): Promise<number> => {
        const args = await keeper.call("queue.declare-ok", queue.declare(1, "cut", { passive: true }));
        args.shortString();
        return args.long();
      };
      await waitFor("all messages back", async () => await ready() === 5);
      for (let index = 0; index < 5; index++) {
        keeper.send(basic.get(1, "cut", true));
        assert.equal((await keeper.message()).body.toString(), String(index), "in their order");
      }
      await keeper.call("queue.delete-ok", queue.delete(1, "cut"));
    });

    siegeTest("spoiled sessions and random frames are refused or borne, never an internal error", async (siege) => {
      const random = new Random(2024);
      let refused = 0;
      await many(300, async (index) => {
        const name = `spoiled-${index}`;
        const bytes = index % 3 === 0 ? randomFrames(10, random) : spoiled(session(name), random);
        const codes = closeCodes(await say(await siege.open(), bytes));
        refused += codes.length;
        for (const code of codes) assert.ok(KNOWN_CODES.has(code), `session ${index} (seed 2024): ${code}`);
      });
      assert.ok(refused > 100, `only ${refused} were refused: the bytes are not spoiled enough`);
    });

    siegeTest("who sends close and goes on is heard no more", async (siege) => {
      const client = await siege.open();
      client.send(connection.close(), queue.declare(1, "after-close"), randomFrames(50, new Random(7)));
      await client.reply("connection.close-ok");
      assert.equal(await client.next(), null);
      const other = await siege.open();
      other.send(queue.declare(1, "after-close", { passive: true }));
      assert.equal((await other.refused()).code, 404);
    });

    siegeTest("a thousand connections opened and dropped at once are no burden", async (siege) => {
      await many(1000, async (index) => {
        const client = await siege.connect();
        if (index % 4 === 1) client.send(PROTOCOL_HEADER);
        if (index % 4 === 2) client.send(Buffer.concat([PROTOCOL_HEADER, connection.startOk(), connection.tuneOk()]));
        if (index % 2 === 0) client.reset();
        else client.socket.destroy();
        await within("end of the connection", client.closed);
      }, 1000);
      const startMs = performance.now();
      await (await siege.open()).close();
      assert.ok(performance.now() - startMs < 5000, "a new connection is served soon after");
    });

    siegeTest("connections that are reset before they can be accepted hold up nobody", async (siege) => {
      await many(200, async () => {
        const client = await siege.connect();
        client.reset();
        await within("end of the connection", client.closed);
      });
      const startMs = performance.now();
      await (await siege.open()).close();
      assert.ok(performance.now() - startMs < 3000, "a new connection is served soon after");
    });

    siegeTest("a consumer that never reads costs no memory, however much piles up", async (siege) => {
      const stuck = await siege.open();
      await stuck.call("queue.declare-ok", queue.declare(1, "stuck", { exclusive: true }));
      await stuck.call("basic.consume-ok", basic.consume(1, "stuck", { noAck: true }));
      stuck.socket.pause();
      const before = siege.anonymousBytes;
      const publisher = await siege.open();
      const message = basic.publish(1, "stuck", Buffer.alloc(2 * MIB, 5));
      for (let index = 0; index < 256; index++) {
        publisher.send(message);
        if (index % 8 === 7) await publisher.expectSilence(1);
      }
      const held = siege.anonymousBytes - before;
      assert.ok(held < HELD_BYTES_MAX, `512 MiB were published, the broker grew by ${Math.round(held / MIB)} MiB`);
      stuck.reset();
      await publisher.close();
    });

    siegeTest("who asks and asks without reading the answers is not heard meanwhile", async (siege) => {
      const client = await siege.open();
      await client.call("queue.declare-ok", queue.declare(1, "greedy", { exclusive: true }));
      client.send(basic.publish(1, "greedy", Buffer.alloc(2 * MIB, 6)));
      await client.expectSilence(1);
      client.socket.pause();
      const before = siege.anonymousBytes;
      const once = (tag: number) => [basic.get(1, "greedy"), basic.reject(1, tag, true)];
      // 1 GiB of answers is owed.
      client.send(...Array.from({ length: 512 }, (_, index) => once(index + 1)).flat());
      const beggar = await siege.open();
      beggar.socket.pause();
      const unroutable = basic.publish(1, "nowhere", Buffer.alloc(2 * MIB, 7), { mandatory: true });
      for (let index = 0; index < 64; index++) beggar.send(unroutable);
      for (let index = 0; index < 5; index++) await siege.witness.check();
      const held = siege.anonymousBytes - before;
      assert.ok(held < HELD_BYTES_MAX, `the broker grew by ${Math.round(held / MIB)} MiB`);
      // Whoever reads again gets every answer.
      beggar.socket.resume();
      for (let index = 0; index < 64; index++) assert.equal((await beggar.message()).body.length, 2 * MIB);
      await beggar.close();
      client.reset();
    });

    siegeTest("announced sizes that never come cost no memory", async (siege) => {
      const before = siege.anonymousBytes;
      const clients: RawAmqp[] = [];
      await many(200, async () => {
        const client = await siege.open();
        clients.push(client);
        // 16 MiB are allowed and announced, one octet comes; then a frame of 128 KiB of which 10 octets come.
        const header = Buffer.alloc(14);
        header.writeUInt16BE(60, 0);
        header.writeUInt32BE(16 * MIB, 8);
        client.send(basic.publishMethod(1, "q"), frame(2, 1, header), frame(3, 1, Buffer.from("x")));
        client.send(Buffer.from([3, 0, 1, 0, 1, 0xff, 0xf8]), Buffer.alloc(10));
      });
      await siege.witness.check();
      const held = siege.anonymousBytes - before;
      assert.ok(held < HELD_BYTES_MAX, `3 GiB were announced, the broker grew by ${Math.round(held / MIB)} MiB`);
      for (const client of clients) client.reset();
    });

    siegeTest("who dawdles in the handshake is cut off at its deadline, a byte at a time or not", async (siege) => {
      await within("end of the dawdlers", Promise.all(siege.dawdlers.map(({ ended }) => ended)));
      const [earliest, latest] = HANDSHAKE_MS;
      for (const { kind, endedMs } of siege.dawdlers) {
        assert.ok(endedMs! > earliest && endedMs! < latest, `${kind}: ended after ${endedMs} ms`);
      }
    });

    siegeTest("who closes with deliveries unread still gets close-ok, when it reads again", async (siege) => {
      const client = await siege.open();
      const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
      for (let index = 0; index < 24; index++) client.send(basic.publish(1, name, Buffer.alloc(1_000_000)));
      await client.call("basic.consume-ok", basic.consume(1, name, { noAck: true }));
      client.socket.pause();
      client.send(connection.close());
      // The broker looks after all its deadlines in the same go as after this one's heartbeats.
      const clock = await siege.open({ heartbeat: 1 });
      for (let beats = 0; beats < 2; beats++) assert.equal((await clock.next())?.type, HEARTBEAT);
      client.socket.resume();
      let last = await client.next();
      for (let frame = last; frame !== null; frame = await client.next()) last = frame;
      assert.equal(last?.name, REPLIES["connection.close-ok"]);
    });

    test("after all of it the broker is the same process, has let go of every socket and has not grown", {
      timeout: TEST_TIMEOUT_MS,
    }, async () => {
      const siege = await (started ??= Siege.start(target));
      const { broker, witness } = siege;
      siege.letGo();
      // Threads and files that the broker has prepared meanwhile are no sockets left over.
      const descriptorsMax = siege.descriptors + DESCRIPTORS_PREPARED_MAX;
      await waitFor("release of the sockets", () => siege.openDescriptors() <= descriptorsMax);
      assert.equal(broker.program.exit, undefined);
      const client = await siege.open();
      await client.call("channel.close-ok", channel.close(1));
      await client.close();
      const { anonymousBytes } = siege;
      assert.ok(anonymousBytes < GROWTH_BYTES_MAX, `it holds ${Math.round(anonymousBytes / MIB)} MiB`);
      await witness.stop();
      assert.ok(witness.count > 100, `the witness got ${witness.count} messages through`);
      assert.ok(witness.slowestMs < 5000, `and waited ${Math.round(witness.slowestMs)} ms for one`);
      assert.equal(await broker.terminate(), 0);
      assert.equal(broker.stderr, "");
    });
  });
}
