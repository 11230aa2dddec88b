// The same scene at a running RabbitMQ 3.10 and at Leveret, and every GET of both held against one another, field by field
// and type by type: whatever RabbitMQ answers Leveret answers too, unless it is listed here, and in docs/management.md with
// the reason.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DIFFERENCES } from "../support/api_differences.ts";
import { type Scene, setScene } from "../support/api_scene.ts";
import { differences, shapeOf } from "../support/api_shapes.ts";
import { BrokerProcess, testTargets } from "../support/broker_process.ts";
import { type Answer, ask } from "../support/http_api.ts";
import { rabbitMissing, RabbitMq, rabbitVersion } from "../support/rabbitmq.ts";
import { GETS, MANAGER, REFUSED } from "./api_calls.ts";

const START_TIMEOUT_MS = 300_000;
/** Where the answers differ from those of 3.10. Each is in docs/management.md. */
const KNOWN: readonly RegExp[] = [
  ...DIFFERENCES,
  // What 4.x no longer has.
  /\.release_series_support_status$/,
  /\.backing_queue_status$|\.recoverable_slaves$|\.single_active_consumer_ctag$/,
  /^queues.*\[\]\.garbage_collection$/,
  /^definitions\/%2f\.(parameters|policies)\[\]\.vhost$/,
  /^auth\.(enable_uaa|uaa_client_id|uaa_location)$/,
  // What 3.10 does not have yet.
  /^users\?page/,
  /^auth\/hash_password/,
  /^connections\/\{connection\}\?columns/,
  /^nodes\/nope/,
];

/** Answered with another status, each as docs/management.md says. */
const OTHERWISE: readonly RegExp[] = [
  // 500 at 3.10.
  /^GET (nodes|connections|channels)\/nope as /,
  /^GET connections\/username\/guest as manager/,
  /^POST .*"ackmode":"nope"/,
  // Who may look at what.
  /^GET vhosts\/(%2f|shape|nope) as /,
  /^GET (user-limits.*|feature-flags|consumers\/%2f) as /,
  /^GET auth\/hash_password/,
  // What there is no virtual host or user for.
  /^POST (exchanges|queues)\/nope\//,
  /^PUT user-limits\/nope\//,
  // What is refused.
  /^POST exchanges\/.*\/publish .* as manager/,
  /^PUT users\/bad .*"password":""/,
];

/** Said in other words: those of 4.x, or a text where RabbitMQ's reason is a term of Erlang's. */
const WORDED: readonly RegExp[] = [
  /^GET aliveness-test\/%2f as manager/,
  /^POST queues\/%2f\/shape\.q\/get .* as manager/,
  /^PUT queues\/%2f\/shape\.q .*"x-max-length":101/,
  /^PUT queues\/%2f\/bad (\[\]|.*"durable":"yes")/,
  /^PUT exchanges\/%2f\/bad .*"type":"nope"/,
  /^DELETE queues\/%2f\/shape\.quorum\?if-empty/,
  /^POST queues\/%2f\/shape\.q\/actions/,
  /^POST exchanges\/%2f\/shape\.x\/publish .*"nope"/,
  /^POST queues\/%2f\/shape\.stream\/get/,
  /^PUT users\/bad .*"password_hash":"!"/,
  /^PUT permissions\/%2f\/guest .*"\("/,
  /^PUT policies\/%2f\/bad .*("\("|"nope"|"x")/,
  /^POST definitions .*"nope"/,
];

interface Peer {
  readonly port: number;
  readonly httpPort: number;
  dispose(): Promise<void>;
}

interface Asked {
  readonly body?: unknown;
  readonly as?: string;
}

class Side {
  readonly peer: Peer;
  readonly scene: Scene;

  constructor(peer: Peer, scene: Scene) {
    this.peer = peer;
    this.scene = scene;
  }

  static async start(start: Promise<Peer>): Promise<Side> {
    const peer = await start;
    return new Side(peer, await setScene(peer.port, peer.httpPort));
  }

  async ask(method: string, path: string, options: Asked): Promise<Answer> {
    const { node, connection } = this.scene;
    const asked = path.replace("{node}", node).replace("{connection}", encodeURIComponent(connection))
      .replace("{port}", `${this.peer.port}`);
    return await ask(this.peer.httpPort, method, asked, options);
  }

  async dispose(): Promise<void> {
    this.scene.close();
    await this.peer.dispose();
  }
}

const isOther = rabbitVersion?.startsWith("3.10.") !== true;
const skip = rabbitMissing ?? (isOther ? `what is known is about RabbitMQ 3.10, here is ${rabbitVersion}` : false);

describe("the HTTP API beside RabbitMQ 3.10", { skip }, () => {
  let rabbit: Side;
  let leveret: Side;
  const names = new Map<string, string>();

  before(async () => {
    [rabbit, leveret] = await Promise.all([
      Side.start(RabbitMq.start()),
      Side.start(BrokerProcess.start(testTargets()[0]!, { http: true })),
    ]);
    names.set(rabbit.scene.node, leveret.scene.node);
  }, { timeout: START_TIMEOUT_MS });

  after(async () => {
    await rabbit?.dispose();
    await leveret?.dispose();
  });

  for (const path of GETS) {
    it(`GET ${path}`, async () => {
      const [theirs, ours] = await both("GET", path);
      const isKnown = KNOWN.some((known) => known.test(path));
      if (!isKnown) {
        assert.equal(ours.status, theirs.status, `${theirs.text.slice(0, 500)}\n${ours.text.slice(0, 500)}`);
      }
      if (isKnown || theirs.text === "") return;
      assert.deepEqual(differences(shapeOf(theirs.json), ours.json, path, { known: KNOWN, names }), []);
    });
  }

  for (const path of GETS.filter((path) => !path.includes("?"))) {
    it(`GET ${path}: who may`, async () => {
      for (const as of [MANAGER, "shape:p", "none:p"]) {
        const [theirs, ours] = await both("GET", path, { as });
        const shown = (answer: Answer) => answer.status === 401 ? problemOf(answer) : { status: answer.status };
        compare(`GET ${path} as ${as}`, shown(ours), shown(theirs));
      }
    });
  }

  for (const [method, path, body, as = "guest:guest"] of REFUSED) {
    const text = body === undefined ? "" : ` ${JSON.stringify(body)}`;
    const name = `${method} ${path}${text.slice(0, 100)}${as === "guest:guest" ? "" : ` as ${as}`}`;
    it(name, async () => {
      const [theirs, ours] = await both(method, path, { body, as });
      compare(name, problemOf(ours), problemOf(theirs));
    });
  }

  it("a new binding is found where the header Location says", async () => {
    for (const [body, name] of [[{ routing_key: "é /%~.#" }, "shape.q"], [{ routing_key: "" }, "shape.q2"]] as const) {
      const [theirs, ours] = await both("POST", `bindings/%2F/e/amq.topic/q/${name}`, { body });
      assert.equal(ours.headers.get("location"), theirs.headers.get("location"));
    }
  });

  async function both(method: string, path: string, options: Asked = {}): Promise<[theirs: Answer, ours: Answer]> {
    return [await rabbit.ask(method, path, options), await leveret.ask(method, path, options)];
  }
});

interface ShownProblem {
  readonly status: number;
  readonly error?: unknown;
  readonly reason?: unknown;
}

function problemOf({ status, text }: Answer): ShownProblem {
  return { status, ...(text.startsWith("{") ? JSON.parse(text) : {}) };
}

function compare(name: string, ours: ShownProblem, theirs: ShownProblem): void {
  if (OTHERWISE.some((known) => known.test(name))) return;
  const isWorded = WORDED.some((known) => known.test(name));
  const shown = ({ reason, ...rest }: ShownProblem) => isWorded ? rest : { reason, ...rest };
  assert.deepEqual(shown(ours), shown(theirs), name);
}
