// The HTTP server under peers that mean ill or are broken: bounds hold, and others are served meanwhile. The same over TLS.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { request } from "node:http";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { connect as connectSecurely } from "node:tls";
import type { HttpHandler } from "../../src/runtime/http_exchange.ts";
import { type HttpServer, listenHttp, listenHttpSocket } from "../../src/runtime/http_server.ts";
import { listenHttps } from "../../src/runtime/https_server.ts";
import { readTlsIdentity } from "../../src/runtime/tls_identity.ts";
import { askSecurely, makeCertificate, noCertificates } from "../support/certificates.ts";
import { ask, HttpApi, type RequestOptions } from "../support/http_api.ts";
import { waitFor, within } from "../support/wait.ts";

const LIMITS = { connectionsMax: 20, headersMs: 1_000, requestMs: 2_000, stallMs: 1_000, handshakeMs: 1_000 };
const servers: HttpServer[] = [];
after(() => Promise.all(servers.map((server) => server.close())));

const handler: HttpHandler = async (exchange) => {
  const { pathname } = new URL(exchange.request.url);
  if (pathname === "/unread") return new Response("no", { status: 401 });
  if (pathname === "/fault") throw new Error("a fault of the handler");
  if (pathname === "/remote") return new Response(`${exchange.remote.host} ${exchange.remote.port}`);
  if (pathname === "/endless") {
    const piece = new Uint8Array(64 * 1024);
    return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(piece) }));
  }
  if (pathname === "/slow") {
    // Longer than heads and bodies may take.
    await new Promise((resolve) => setTimeout(resolve, LIMITS.requestMs + LIMITS.headersMs));
  }
  const body = await exchange.readBody(1_000);
  return body === null ? new Response("too long", { status: 413 }) : new Response(`${body.length}`);
};

/** How an answer `0` ends. */
const WHOLE = "1\r\n0\r\n0\r\n\r\n";

const certificate = noCertificates === false ? makeCertificate() : null;

/** Over TLS when it is given what to trust. */
class Peer {
  received = "";
  readonly closed: Promise<void>;
  readonly socket: Socket;

  constructor(port: number, secure: boolean) {
    this.socket = secure
      ? connectSecurely({ port, host: "127.0.0.1", ca: certificate!.certificate })
      : connect(port, "127.0.0.1");
    this.socket.on("data", (bytes: Uint8Array) => this.received += Buffer.from(bytes).toString("latin1"));
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.socket.on("close", () => resolve()));
  }

  send(text: string): this {
    this.socket.write(text, "latin1");
    return this;
  }

  /** Ends when the server has cut it off. */
  async cut(): Promise<string> {
    await within("the end of the connection", this.closed);
    return this.received;
  }
}

/** A peer that asks and reads nothing; gives what ends it. Over TLS a process: Deno's own TLS sockets read while paused. */
function stall(port: number, secure: boolean, request: string): () => void {
  if (secure) {
    const args = ["s_client", "-quiet", "-connect", `127.0.0.1:${port}`];
    const child = spawn("openssl", args, { stdio: ["pipe", "pipe", "ignore"] });
    child.stdin.on("error", () => {});
    child.stdin.write(request);
    return () => child.kill("SIGKILL");
  }
  const { socket } = new Peer(port, false);
  socket.pause();
  socket.write(request);
  return () => socket.destroy();
}

for (const secure of [false, true]) {
  describe(secure ? "HTTPS" : "HTTP", { skip: secure && noCertificates }, () => {
    async function listen(): Promise<HttpServer> {
      const place = { host: "127.0.0.1", port: 0 };
      const server = secure
        ? await listenHttps(place, readTlsIdentity({ ...certificate!, versionMin: "1.2" }), handler, LIMITS)
        : await listenHttp(place, handler, LIMITS);
      servers.push(server);
      return server;
    }

    const go = (port: number, method: string, path: string, options: RequestOptions = {}) =>
      secure ? askSecurely(port, certificate!, method, path, options) : ask(port, method, path, options);

    test("who does not come to the end of its head is cut off, however busily it sends", async () => {
      const { address: { port } } = await listen();
      const slow = new Peer(port, secure).send("GET / HTTP/1.1\r\nhost: x\r\n");
      const timer = setInterval(() => slow.send("x-more: 1\r\n"), 50);
      const silent = new Peer(port, secure);
      try {
        assert.match(await slow.cut(), /^(HTTP\/1\.1 408|$)/);
        assert.match(await silent.cut(), /^(HTTP\/1\.1 408|$)/);
      } finally {
        clearInterval(timer);
      }
    });

    test("who does not come to the end of its body is cut off", async () => {
      const { address: { port } } = await listen();
      const slow = new Peer(port, secure).send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n");
      const timer = setInterval(() => slow.send("x"), 50);
      try {
        await slow.cut();
      } finally {
        clearInterval(timer);
      }
    });

    test("a head that is too large is refused", async () => {
      const { address: { port } } = await listen();
      const peer = new Peer(port, secure).send(`GET / HTTP/1.1\r\nhost: x\r\nx-large: ${"y".repeat(40_000)}\r\n\r\n`);
      assert.match(await peer.cut(), /^HTTP\/1\.1 431 /);
    });

    test("a body that is too long is not read, whether it says so or not", async () => {
      const { address: { port } } = await listen();
      const honest = new Peer(port, secure).send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n");
      assert.match(await honest.cut(), /^HTTP\/1\.1 413 /);
      const chunk = `400\r\n${"x".repeat(1024)}\r\n`;
      const chunked = new Peer(port, secure).send(
        `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${chunk}`,
      );
      assert.match(await chunked.cut(), /^HTTP\/1\.1 413 /);
      const unread = new Peer(port, secure).send(
        "POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nxxx",
      );
      assert.match(await unread.cut(), /^HTTP\/1\.1 401 /);
    });

    test("who reads nothing of a long answer is cut off, and no more of it is made than fits in between", async () => {
      const server = await listen();
      const { port } = server.address;
      const leave = stall(port, secure, "GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
      try {
        // Its own receive buffer keeps its socket open; that the server let go is seen there.
        await waitFor("its connection", () => server.connectionCount > 0);
        await waitFor("its end", () => server.connectionCount === 0);
      } finally {
        leave();
      }
    });

    test("requests that could be read two ways are refused", async () => {
      const { address: { port } } = await listen();
      for (
        const request of [
          "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
          "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
          "GET / HTTP/1.1\r\n\r\n",
          "GET / HTTP/1.1\r\nhost: x\r\nbad\x01name: y\r\n\r\n",
          "TRACE / HTTP/1.1\r\nhost: x\r\n\r\n",
          "CONNECT elsewhere:1 HTTP/1.1\r\nhost: x\r\n\r\n",
          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
          "AMQP\x00\x00\x09\x01",
        ]
      ) {
        const answer = await new Peer(port, secure).send(request).cut();
        assert.match(answer, /^(HTTP\/1\.1 4\d\d |$)/, request);
      }
      assert.equal((await go(port, "POST", "/", { body: "still here" })).text, "10");
    });

    test("requests behind each other on one connection are answered in order, and 100-continue is said", async () => {
      const { address: { port } } = await listen();
      const post = (body: string) => `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
      const last = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
      const peer = new Peer(port, secure).send(post("a") + post("bb") + last);
      const answers = (await peer.cut()).split("HTTP/1.1 200 OK").length - 1;
      assert.equal(answers, 3);
      const expecting = new Peer(port, secure)
        .send(
          "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc",
        );
      assert.match(await expecting.cut(), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    });

    test("a fault of a handler ends that connection alone", async () => {
      const { address: { port } } = await listen();
      assert.equal(await new Peer(port, secure).send("GET /fault HTTP/1.1\r\nhost: x\r\n\r\n").cut(), "");
      assert.equal((await go(port, "GET", "/")).text, "0");
    });

    test("more connections than allowed are turned away, and room is made when some go", async () => {
      const server = await listen();
      const { port } = server.address;
      const peers = Array.from({ length: LIMITS.connectionsMax + 5 }, () => new Peer(port, secure));
      await within("some to be turned away", Promise.any(peers.map((peer) => peer.closed)));
      assert.ok(server.connectionCount <= LIMITS.connectionsMax);
      for (const peer of peers) peer.socket.destroy();
      const deadline = Date.now() + 30_000;
      while (server.connectionCount > 0 && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.equal((await go(port, "GET", "/")).text, "0");
    });

    test("an answer may take longer than a request, and the connection is used again", async () => {
      const { address: { port } } = await listen();
      const peer = new Peer(port, secure).send("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n");
      await waitFor("the first answer", () => peer.received.endsWith(WHOLE));
      peer.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
      assert.equal((await peer.cut()).split("HTTP/1.1 200 OK").length - 1, 2);
    });

    test("a server that closes lets answers under way end, and cuts the others off", async () => {
      const server = await listen();
      const idle = new Peer(server.address.port, secure).send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
      await waitFor("its answer", () => idle.received.endsWith(WHOLE));
      const endless = new Peer(server.address.port, secure).send("GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
      await waitFor("its begin", () => endless.received !== "");
      await server.close();
      await idle.cut();
      await endless.cut();
      // Of what it has destroyed it hears a moment later.
      await waitFor("nobody to be left", () => server.connectionCount === 0);
    });

    test("a request says who sent it", async () => {
      const { address: { port } } = await listen();
      const peer = new Peer(port, secure).send("GET /remote HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
      assert.match(await peer.cut(), /\r\n127\.0\.0\.1 [1-9]\d+\r\n/);
    });

    test("a port that is taken is a clear error", async () => {
      const { address } = await listen();
      const answer = () => Promise.resolve(new Response());
      const again = secure
        ? listenHttps(address, readTlsIdentity({ ...certificate!, versionMin: "1.2" }), answer)
        : listenHttp(address, answer);
      await assert.rejects(again, {
        name: "ListenFault",
        message: `cannot listen on 127.0.0.1:${address.port}: address already in use`,
      });
    });
  });
}

test("a Unix socket is its owner's alone, replaces what a killed process left, and goes when it is closed", async () => {
  const directory = mkdtempSync(join(tmpdir(), "leveret-"));
  const path = join(directory, "http.sock");
  try {
    writeFileSync(path, "left behind");
    const seen: boolean[] = [];
    const server = await listenHttpSocket(path, (exchange) => {
      seen.push(exchange.viaSocket);
      return Promise.resolve(new Response("over a socket"));
    });
    servers.push(server);
    const { mode } = statSync(path);
    assert.equal(mode & 0o777, 0o600);
    const text = await new Promise<string>((resolve, reject) => {
      const asked = request({ socketPath: path, path: "/", agent: false }, (answer) => {
        let text = "";
        answer.on("data", (part) => text += part);
        answer.on("end", () => resolve(text));
      });
      asked.on("error", reject);
      asked.end();
    });
    assert.deepEqual([text, seen], ["over a socket", [true]]);
    await server.close();
    assert.throws(() => statSync(path), { code: "ENOENT" });
    const tooLong = join(directory, "n".repeat(100));
    await assert.rejects(listenHttpSocket(tooLong, () => Promise.resolve(new Response())), {
      name: "ListenFault",
      message: `cannot listen on ${tooLong}: a socket's path has at most 107 bytes`,
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a broker whose HTTP port is taken does not start, and leaves nothing behind", async () => {
  const taken = await listenHttp({ host: "127.0.0.1", port: 0 }, handler);
  servers.push(taken);
  const { address } = taken;
  const api = new HttpApi({ http: { port: address.port } });
  await assert.rejects(api.broker, /^ListenFault: cannot listen on 127\.0\.0\.1:\d+: address already in use$/);
});
