// What every runtime must do: the connections' half of the seam's suite. Each case runs against whatever runtime it is
// given; file_conformance.ts holds the files' half.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Conn, ConnHandler, Listener, Runtime } from "../../src/runtime/runtime.ts";
import { spawnHelper } from "./file_conformance.ts";
import { closed, pattern, Recorder, until } from "./recorder.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };
/** More than `until` waits, which says what it waited for. */
const TEST_MS_MAX = 30_000;
const MIB = 1024 * 1024;

/** A listener whose connections are recorded in the order in which they came. */
async function record(
  runtime: Runtime,
  react: (recorder: Recorder) => Partial<ConnHandler> = () => ({}),
): Promise<{ listener: Listener; accepted: Recorder[] }> {
  const accepted: Recorder[] = [];
  const listener = await runtime.listen(LOCAL, (conn) => {
    const recorder = new Recorder(conn);
    accepted.push(recorder);
    recorder.react = react(recorder);
    return recorder;
  });
  return { listener, accepted };
}

async function dial(runtime: Runtime, listener: Listener): Promise<Recorder> {
  let recorder: Recorder | undefined;
  await runtime.connect(listener.address, (conn) => recorder = new Recorder(conn));
  return recorder!;
}

function send(conn: Conn, bytes: Uint8Array): void {
  conn.out.append(bytes);
  conn.flush();
}

/** Is busy, as long as it says. */
function spend(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Echoes, and reads no more than it can send. */
const echo = (recorder: Recorder): Partial<ConnHandler> => ({
  onData(chunk) {
    send(recorder.conn, chunk);
    if (recorder.conn.pending > MIB) recorder.conn.pause();
  },
  onDrain: () => recorder.conn.resume(),
});

/** Writes `total` bytes of the pattern as fast as the peer takes them, then calls `after`, which closes unless given. */
function pour(
  recorder: Recorder,
  total: number,
  after = () => recorder.conn.close(),
): { readonly sent: () => number; readonly pendingMax: () => number } {
  const { conn } = recorder;
  let sent = 0;
  let pendingMax = 0;
  const step = () => {
    while (sent < total && conn.pending < MIB) {
      const count = Math.min(61_000, total - sent);
      send(conn, pattern(sent, count));
      sent += count;
      pendingMax = Math.max(pendingMax, conn.pending);
    }
    if (sent === total) after();
  };
  recorder.react = { onDrain: step };
  step();
  return { sent: () => sent, pendingMax: () => pendingMax };
}

/** `make` gives a fresh runtime; `native` says that it is one of the operating system's sockets. */
export function connectionConformance(name: string, make: () => Runtime, native: boolean): void {
  const it = (what: string, run: (runtime: Runtime) => Promise<void>) =>
    test(`${name}: ${what}`, { timeout: TEST_MS_MAX }, () => run(make()));

  it("an echo comes back byte for byte", async (runtime) => {
    const { listener, accepted } = await record(runtime, echo);
    const client = await dial(runtime, listener);
    send(client.conn, pattern(0, 1000));
    await until(() => client.bytes === 1000);
    client.conn.close();
    await closed(client, accepted[0]!);
    assert.equal(client.intact, true);
    await listener.close();
  });

  it("pieces of odd sizes arrive in order, however they are cut", async (runtime) => {
    const { listener, accepted } = await record(runtime, echo);
    const client = await dial(runtime, listener);
    let sent = 0;
    for (const count of [1, 2, 3, 7, 8, 9, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1, 300_000, 1]) {
      send(client.conn, pattern(sent, count));
      sent += count;
      // A half piece, and the other half when the first came back.
      await until(() => client.bytes === sent);
    }
    client.conn.close();
    await closed(client, accepted[0]!);
    assert.equal(client.intact, true);
    await listener.close();
  });

  it("a peer that sends without a break leaves room for the others", async (runtime) => {
    const { listener, accepted } = await record(runtime, echo);
    const pinging = await dial(runtime, listener);
    const busy = await dial(runtime, listener);
    await until(() => accepted.length === 2);
    const sink = accepted.find(({ conn }) => conn.remote.port === busy.conn.local.port)!;
    // It costs a millisecond per 64 KiB, as small messages would.
    sink.react = { onData: (chunk) => spend(chunk.length / (64 * 1024)) };
    // How much of the busy one is handed over while another one's byte goes to and fro, at worst.
    let before = 0;
    let worst = 0;
    let pings = 0;
    pinging.react = {
      onData() {
        pings++;
        worst = Math.max(worst, sink.bytes - before);
        before = sink.bytes;
        send(pinging.conn, pattern(pings, 1));
      },
    };
    send(pinging.conn, pattern(0, 1));
    pour(busy, 16 * MIB);
    await until(() => sink.bytes === 16 * MIB);
    worst = Math.max(worst, sink.bytes - before);
    assert.ok(sink.chunkMax <= 256 * 1024, `${sink.chunkMax} bytes in one piece`);
    assert.ok(worst <= 3 * MIB, `${worst} bytes in between, ${pings} pings`);
    pinging.conn.close();
    await closed(pinging, busy, ...accepted);
    await listener.close();
  });

  it("64 MiB go through to a peer that pauses, with bounded memory on both sides", async (runtime) => {
    let pauses = 0;
    const { listener, accepted } = await record(runtime, (recorder) => ({
      onData() {
        if (recorder.chunks % 16 !== 0) return;
        pauses++;
        recorder.conn.pause();
        setImmediate(() => recorder.conn.resume());
      },
    }));
    const client = await dial(runtime, listener);
    const pouring = pour(client, 64 * MIB);
    await until(() => accepted[0]?.bytes === 64 * MIB);
    await closed(client, accepted[0]!);
    assert.equal(accepted[0]!.intact, true);
    assert.ok(pauses > 0 && client.drains > 0, `${pauses} pauses, ${client.drains} drains`);
    assert.ok(pouring.pendingMax() > 0 && pouring.pendingMax() < 2 * MIB, `pending up to ${pouring.pendingMax()}`);
    assert.ok(accepted[0]!.chunkMax <= 512 * 1024, `a chunk of ${accepted[0]!.chunkMax}`);
    await listener.close();
  });

  it("a paused reader holds the writer back, and resume lets everything through", async (runtime) => {
    const { listener, accepted } = await record(runtime, () => ({}));
    const client = await dial(runtime, listener);
    await until(() => accepted.length === 1);
    const server = accepted[0]!;
    server.conn.pause();
    const pouring = pour(client, 32 * MIB);
    // Quiet: two looks in a row, with turns of the loop between, see the writer stuck at the same place.
    let before = -1;
    await until(() => {
      const stuck = pouring.sent() === before;
      before = pouring.sent();
      return stuck;
    }, 50);
    assert.ok(pouring.sent() < 32 * MIB, "the writer was not held back");
    assert.ok(client.conn.pending > 0);
    assert.equal(server.bytes, 0);
    server.conn.resume();
    await until(() => server.bytes === 32 * MIB);
    await closed(client, server);
    assert.equal(server.intact, true);
    await listener.close();
  });

  it("both sides pour at once", async (runtime) => {
    const { listener, accepted } = await record(runtime);
    const client = await dial(runtime, listener);
    await until(() => accepted.length === 1);
    const server = accepted[0]!;
    const total = 8 * MIB;
    for (const side of [client, server]) {
      let sent = 0;
      const step = () => {
        while (sent < total && side.conn.pending < MIB) {
          send(side.conn, pattern(sent, 65_536));
          sent += 65_536;
        }
      };
      side.react = { onDrain: step };
      step();
    }
    await until(() => client.bytes === total && server.bytes === total);
    client.conn.close();
    await closed(client, server);
    assert.equal(client.intact && server.intact, true);
    await listener.close();
  });

  it("close delivers what was pending", async (runtime) => {
    const { listener, accepted } = await record(runtime);
    const client = await dial(runtime, listener);
    await until(() => accepted.length === 1);
    accepted[0]!.conn.pause();
    client.conn.out.append(pattern(0, 16 * MIB));
    client.conn.flush();
    assert.ok(client.conn.pending > 0);
    client.conn.close();
    accepted[0]!.conn.resume();
    await closed(client, accepted[0]!);
    assert.equal(accepted[0]!.bytes, 16 * MIB);
    assert.equal(accepted[0]!.intact, true);
    assert.deepEqual([client.error, accepted[0]!.error], [null, null]);
    await listener.close();
  });

  it("close delivers the last words although the peer is still sending", async (runtime) => {
    const { listener, accepted } = await record(runtime, (recorder) => ({
      onData() {
        if (recorder.chunks > 1) return;
        recorder.conn.out.append(pattern(0, 5000));
        recorder.conn.close();
      },
    }));
    const client = await dial(runtime, listener);
    pour(client, 32 * MIB, () => {});
    await until(() => accepted.length === 1);
    await closed(client, accepted[0]!);
    assert.equal(client.bytes, 5000);
    assert.equal(client.intact, true);
    assert.equal(accepted[0]!.chunks, 1);
    await listener.close();
  });

  it("abort is seen by the peer, and nothing follows it", async (runtime) => {
    const { listener, accepted } = await record(runtime);
    const client = await dial(runtime, listener);
    await until(() => accepted.length === 1);
    let within = true;
    client.react = { onClose: () => assert.equal(within, false) };
    client.conn.abort();
    assert.equal(client.closes, 0, "onClose came from within abort");
    within = false;
    await closed(client, accepted[0]!);
    client.conn.abort();
    client.conn.close();
    client.conn.pause();
    client.conn.resume();
    send(client.conn, pattern(0, 10));
    assert.equal(client.conn.pending, 0);
    await listener.close();
  });

  it("a side that has paused and cannot send still learns that its peer has aborted", async (runtime) => {
    const { listener, accepted } = await record(runtime);
    const client = await dial(runtime, listener);
    await until(() => accepted.length === 1);
    const server = accepted[0]!;
    server.conn.pause();
    client.conn.pause();
    send(server.conn, new Uint8Array(16 * MIB));
    assert.ok(server.conn.pending > 0);
    client.conn.abort();
    await closed(client, server);
    assert.equal(server.conn.pending, 0);
    await listener.close();
  });

  it("a peer that neither reads nor closes does not hold back a close for ever", async (runtime) => {
    const { listener, accepted } = await record(runtime);
    const client = await dial(runtime, listener);
    await until(() => accepted.length === 1);
    client.conn.pause();
    send(accepted[0]!.conn, new Uint8Array(16 * MIB));
    accepted[0]!.conn.close();
    await until(() => accepted[0]!.closes === 1, 50);
    client.conn.abort();
    await closed(client, accepted[0]!);
    await listener.close();
  });

  it("an owner that finds out by writing that its peer is gone, and then reads no more, is told", async (runtime) => {
    if (!native) return;
    const { listener, accepted } = await record(runtime, ({ conn }) => ({
      onData() {
        send(conn, new Uint8Array(2 * MIB));
        setTimeout(() => {
          // Nothing is heard meanwhile.
          spend(3000);
          for (let count = 0; count < 3; count++) send(conn, new Uint8Array(65_536));
          conn.pause();
        }, 100);
      },
    }));
    const peer = spawnHelper(["leave", `${listener.address.port}`]);
    await new Promise((resolve) => peer.on("exit", resolve));
    await until(() => accepted.length === 1);
    await closed(accepted[0]!);
    await listener.close();
  });

  it("a throw in onData ends that connection alone", async (runtime) => {
    const { listener, accepted } = await record(runtime, (recorder) => ({
      onData(chunk) {
        if (chunk[0] === 0xff) throw new Error("on purpose");
        send(recorder.conn, chunk);
      },
    }));
    const good = await dial(runtime, listener);
    const bad = await dial(runtime, listener);
    send(bad.conn, Uint8Array.of(0xff));
    await until(() => bad.closes === 1);
    await until(() => accepted.some((recorder) => recorder.error?.message === "on purpose"));
    send(good.conn, pattern(0, 100));
    await until(() => good.bytes === 100);
    good.conn.close();
    await closed(good, bad, ...accepted);
    await listener.close();
  });

  it("a throw in accept ends that connection alone", async (runtime) => {
    let count = 0;
    const listener = await runtime.listen(LOCAL, (conn) => {
      if (count++ === 0) throw new Error("on purpose");
      const recorder = new Recorder(conn);
      recorder.react = echo(recorder);
      return recorder;
    });
    const bad = await dial(runtime, listener);
    await closed(bad);
    const good = await dial(runtime, listener);
    send(good.conn, pattern(0, 10));
    await until(() => good.bytes === 10);
    good.conn.close();
    await closed(good);
    await listener.close();
  });

  it("both sides know both addresses", async (runtime) => {
    const { listener, accepted } = await record(runtime);
    assert.ok(listener.address.port > 0);
    assert.equal(listener.address.host, "127.0.0.1");
    const client = await dial(runtime, listener);
    await until(() => accepted.length === 1);
    assert.deepEqual(client.conn.remote, listener.address);
    assert.deepEqual(accepted[0]!.conn.local, listener.address);
    assert.deepEqual(accepted[0]!.conn.remote, client.conn.local);
    client.conn.close();
    await closed(client, accepted[0]!);
    await listener.close();
  });

  it("a port that is taken is a ListenFault with its address", async (runtime) => {
    const { listener } = await record(runtime);
    const { port } = listener.address;
    await assert.rejects(runtime.listen(listener.address, (conn) => new Recorder(conn)), {
      name: "ListenFault",
      message: `cannot listen on 127.0.0.1:${port}: address already in use`,
    });
    await listener.close();
    const again = await runtime.listen(listener.address, (conn) => new Recorder(conn));
    await again.close();
  });

  it("a refused connect is a ConnectFault with its address", async (runtime) => {
    const { listener } = await record(runtime);
    await listener.close();
    await assert.rejects(runtime.connect(listener.address, (conn) => new Recorder(conn)), {
      name: "ConnectFault",
      message: `cannot connect to 127.0.0.1:${listener.address.port}: connection refused`,
    });
  });

  it("closing a listener leaves its connections open", async (runtime) => {
    const { listener, accepted } = await record(runtime, echo);
    const client = await dial(runtime, listener);
    await until(() => accepted.length === 1);
    await listener.close();
    send(client.conn, pattern(0, 100));
    await until(() => client.bytes === 100);
    client.conn.close();
    await closed(client, accepted[0]!);
  });

  it("200 connections at once", async (runtime) => {
    const { listener, accepted } = await record(runtime, echo);
    const clients = await Promise.all(Array.from({ length: 200 }, () => dial(runtime, listener)));
    for (const client of clients) send(client.conn, pattern(0, 10_000));
    await until(() => clients.every((client) => client.bytes === 10_000));
    for (const client of clients) client.conn.close();
    await closed(...clients, ...accepted);
    assert.equal(accepted.length, 200);
    assert.ok(clients.every((client) => client.intact));
    await listener.close();
  });

  it("what waits in the out-buffer of a drained connection costs no buffer", async (runtime) => {
    const { listener, accepted } = await record(runtime, echo);
    const client = await dial(runtime, listener);
    send(client.conn, pattern(0, 100_000));
    await until(() => client.bytes === 100_000 && client.conn.pending === 0);
    assert.equal(client.conn.out.bytes.length, 0);
    client.conn.close();
    await closed(client, accepted[0]!);
    await listener.close();
  });

  if (!native) return;

  it("an IPv6 address is listened on and named in brackets", async (runtime) => {
    const accepted: Recorder[] = [];
    const accept = (conn: Conn) => {
      const recorder = new Recorder(conn);
      accepted.push(recorder);
      recorder.react = echo(recorder);
      return recorder;
    };
    const listener = await runtime.listen({ host: "::1", port: 0 }, accept);
    const client = await dial(runtime, listener);
    send(client.conn, pattern(0, 10));
    await until(() => client.bytes === 10);
    assert.equal(accepted[0]!.conn.remote.host, "::1");
    await assert.rejects(runtime.listen(listener.address, accept), {
      message: `cannot listen on [::1]:${listener.address.port}: address already in use`,
    });
    client.conn.close();
    await closed(client, accepted[0]!);
    await listener.close();
  });

  it("an address that is not ours is a ListenFault", async (runtime) => {
    await assert.rejects(runtime.listen({ host: "192.0.2.1", port: 0 }, (conn) => new Recorder(conn)), {
      name: "ListenFault",
      message: "cannot listen on 192.0.2.1:0: address not available",
    });
  });
}
