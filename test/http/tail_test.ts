// Queues that are followed: whoever looks on sees what comes, and changes nothing for anybody else.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { TAILS_MAX } from "../../src/limits.ts";
import { HttpApi } from "../support/http_api.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import { basic, confirm, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const api = new HttpApi();
const tails: Tail[] = [];
after(async () => {
  for (const tail of tails) tail.leave();
  await api.stop();
});

// deno-lint-ignore no-explicit-any
type Json = any;

/** A reader of events that has begun. */
class Tail {
  readonly events: { kind: string; data: Json }[] = [];
  ended = false;
  readonly #controller = new AbortController();
  readonly #paused: { resume: Promise<void> } = { resume: Promise.resolve() };

  static async of(path: string, as = "guest:guest", paused: Promise<void> = Promise.resolve()): Promise<Tail> {
    const tail = new Tail();
    tails.push(tail);
    tail.#paused.resume = paused;
    const response = await fetch(`http://127.0.0.1:${await api.port("http")}/api/queues/${path}`, {
      headers: { authorization: `Basic ${btoa(as)}` },
      signal: tail.#controller.signal,
    });
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
    void tail.#read(response.body!.getReader()).catch(() => {}).finally(() => tail.ended = true);
    return tail;
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    await this.#paused.resume;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data === undefined) continue;
        this.events.push({ kind: /^event: (.*)$/m.exec(block)?.[1] ?? "message", data: JSON.parse(data) });
      }
    }
  }

  get messages(): Json[] {
    return this.events.filter(({ kind }) => kind === "message").map(({ data }) => data);
  }

  async payloads(count: number): Promise<string[]> {
    await waitFor(`${count} messages`, () => this.messages.length >= count);
    return this.messages.map(({ payload }) => payload);
  }

  async end(): Promise<string> {
    await waitFor("its end", () => this.ended);
    const last = this.events.at(-1)!;
    assert.equal(last.kind, "end");
    return last.data;
  }

  leave(): void {
    this.#controller.abort();
  }
}

async function declared(name: string, options: Parameters<typeof queue.declare>[2] = {}): Promise<RawAmqp> {
  const client = await api.amqp();
  await client.call("queue.declare-ok", queue.declare(1, name, options));
  await client.call("confirm.select-ok", confirm.select(1));
  return client;
}

async function publish(client: RawAmqp, name: string, ...bodies: string[]): Promise<void> {
  client.send(...bodies.map((body) => basic.publish(1, name, body, PERSISTENT)));
  await client.reply("basic.ack");
}

test("what comes is shown, and waits for its consumer as if nobody had looked", async () => {
  const client = await declared("seen", { durable: true });
  await publish(client, "seen", "before");
  const tail = await Tail.of("%2f/seen/tail");
  const other = await Tail.of("%2f/seen/tail?truncate=2");
  await publish(client, "seen", "one");
  await publish(client, "seen", "two");
  assert.deepEqual(await tail.payloads(2), ["one", "two"]);
  assert.deepEqual(await other.payloads(2), ["on", "tw"]);
  assert.deepEqual(tail.messages[0], {
    payload_bytes: 3,
    redelivered: false,
    exchange: "",
    routing_key: "seen",
    properties: { delivery_mode: 2 },
    payload: "one",
    payload_encoding: "string",
  });
  assert.equal(other.messages[0].payload_bytes, 3);
  const { messages_ready, messages_unacknowledged, consumers } = await api.get("queues/%2f/seen");
  assert.deepEqual([messages_ready, messages_unacknowledged, consumers], [3, 0, 0]);
  const get = { count: 9, ackmode: "ack_requeue_false", encoding: "auto" };
  const { json } = await api.expect(200, "POST", "queues/%2f/seen/get", get);
  assert.deepEqual(json.map((one: Json) => [one.payload, one.redelivered]), [["before", false], ["one", false], [
    "two",
    false,
  ]]);
  tail.leave();
  await publish(client, "seen", "three");
  assert.deepEqual(await other.payloads(3), ["on", "tw", "th"]);
  assert.equal(tail.messages.length, 2);
});

test("it is shown of queues with rules, of priorities and streams, and of what dies elsewhere", async () => {
  const kinds: Record<string, Parameters<typeof queue.declare>[2]> = {
    limited: { durable: true, args: { "x-max-length": 1 } },
    refusing: { durable: true, args: { "x-max-length": 1, "x-overflow": "reject-publish" } },
    ranked: { durable: true, args: { "x-max-priority": 5 } },
    streamed: { durable: true, args: { "x-queue-type": "stream" } },
    short: { durable: true, args: { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "grave" } },
    grave: { durable: true },
  };
  const client = await api.amqp();
  await client.call("confirm.select-ok", confirm.select(1));
  for (const [name, options] of Object.entries(kinds)) {
    await client.call("queue.declare-ok", queue.declare(1, name, options));
  }
  const shown = async (name: string, bodies: string[]) => {
    const tail = await Tail.of(`%2f/${name}/tail`);
    for (const body of bodies) await publish(client, name, body);
    assert.deepEqual(await tail.payloads(bodies.length), bodies, name);
    return tail;
  };
  await shown("limited", ["a", "b", "c"]);
  await shown("ranked", ["d", "e"]);
  const stream = await shown("streamed", ["f", "g"]);
  const again = await Tail.of("%2f/streamed/tail");
  await publish(client, "streamed", "h");
  assert.deepEqual(await again.payloads(1), ["h"]);
  assert.deepEqual(await stream.payloads(3), ["f", "g", "h"]);
  const full = await Tail.of("%2f/refusing/tail");
  await publish(client, "refusing", "i");
  client.send(basic.publish(1, "refusing", "refused", PERSISTENT));
  await client.reply("basic.nack");
  assert.equal((await api.get("queues/%2f/refusing")).messages_ready, 1);
  assert.deepEqual(await full.payloads(1), ["i"]);
  const grave = await Tail.of("%2f/grave/tail");
  await publish(client, "short", "j");
  await api.expect(200, "POST", "queues/%2f/short/get", {
    count: 1,
    ackmode: "reject_requeue_false",
    encoding: "auto",
  });
  assert.deepEqual(await grave.payloads(1), ["j"]);
  assert.equal(grave.messages[0].properties.headers["x-first-death-queue"], "short");
});

test("whoever reads too slowly misses some, is told how many, and holds nobody up", async () => {
  const client = await declared("fast");
  const resume = Promise.withResolvers<void>();
  const slow = await Tail.of("%2f/fast/tail", "guest:guest", resume.promise);
  const quick = await Tail.of("%2f/fast/tail?truncate=1");
  const count = 300;
  // More than what waits for it, and what sockets hold.
  const body = "x".repeat(64 * 1024);
  for (let sent = 0; sent < count; sent += 20) {
    client.send(...Array.from({ length: 20 }, () => basic.publish(1, "fast", body)));
    await waitFor("what was sent", async () => (await api.get("queues/%2f/fast")).messages_ready === sent + 20);
  }
  await quick.payloads(count);
  resume.resolve();
  const missed = () => slow.events.filter(({ kind }) => kind === "missed").reduce((sum, { data }) => sum + data, 0);
  await waitFor("all of it", () => missed() > 0 && slow.messages.length + missed() === count);
});

test("it ends with the queue, and when an administrator takes the permission away", async () => {
  await api.expect(201, "PUT", "users/ann", { password: "ann", tags: "management" });
  const may = (read: string) => api.ask("PUT", "permissions/%2f/ann", { body: { configure: "", write: "", read } });
  await may("^guarded$");
  const client = await declared("guarded");
  const tail = await Tail.of("%2f/guarded/tail", "ann:ann");
  await publish(client, "guarded", "for ann");
  assert.deepEqual(await tail.payloads(1), ["for ann"]);
  await may("^other$");
  await publish(client, "guarded", "not for ann");
  assert.equal(await tail.end(), "Access refused.");
  assert.deepEqual(await tail.payloads(1), ["for ann"]);
  await may(".*");
  const again = await Tail.of("%2f/guarded/tail", "ann:ann");
  await api.expect(204, "DELETE", "users/ann");
  await publish(client, "guarded", "for nobody");
  assert.equal(await again.end(), "Access refused.");
  const last = await Tail.of("%2f/guarded/tail");
  await api.expect(204, "DELETE", "queues/%2f/guarded");
  assert.equal(await last.end(), "queue 'guarded' in vhost '/' is deleted");
});

test("it takes the permission to read, a queue that is there and is nobody's own, and a place among the others", async () => {
  await api.expect(201, "PUT", "users/bob", { password: "bob", tags: "management" });
  await api.expect(201, "PUT", "permissions/%2f/bob", { configure: ".*", write: ".*", read: "" });
  const client = await declared("mine", { exclusive: true });
  await client.call("queue.declare-ok", queue.declare(1, "open"));
  const status = async (name: string, as: string) => (await api.ask("GET", `queues/%2f/${name}/tail`, { as })).status;
  assert.equal(await status("open", "bob:bob"), 401);
  assert.equal(await status("none", "guest:guest"), 404);
  assert.equal(await status("mine", "guest:guest"), 400);
  assert.equal((await api.ask("GET", "queues/%2f/open/tail?truncate=2000000")).status, 400);
  for (const tail of tails) tail.leave();
  const many: Tail[] = [];
  try {
    // Those of before may take a moment to go.
    await waitFor("all places taken", async () => {
      const { status } = await api.ask("HEAD", "queues/%2f/open/tail");
      if (status === 200) many.push(await Tail.of("%2f/open/tail"));
      return status === 503;
    });
    assert.equal((await api.ask("GET", "queues/%2f/open/tail")).status, 503);
    assert.ok(many.length <= TAILS_MAX);
  } finally {
    for (const tail of many) tail.leave();
  }
});
