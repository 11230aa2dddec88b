// The answers of RabbitMQ 4, field by field and type by type: whatever it answers, Leveret answers too, unless it is
// listed here, and in docs/management.md with the reason. The shapes were taken from a RabbitMQ 4.0.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { DIFFERENCES } from "../support/api_differences.ts";
import { type Scene, setScene } from "../support/api_scene.ts";
import { differences, type Shape } from "../support/api_shapes.ts";
import { HttpApi } from "../support/http_api.ts";

interface Recorded {
  readonly status: number;
  readonly shape?: Shape;
}

const SHAPES = JSON.parse(readFileSync(new URL("./rabbitmq_shapes.json", import.meta.url), "utf8")) as Record<
  string,
  Recorded
>;

/** Where the answers differ from those of 4.0. Each is in docs/management.md. */
const KNOWN: readonly RegExp[] = [
  ...DIFFERENCES,
  /\.publishers$/,
  /\.messages_ready_(high|normal|returned)$/,
  // What the client says of itself, which is not the broker's.
  /\.client_properties\.|\.user_provided_name$/,
  /^definitions\.global_parameters\[\]\.value$/,
  /^definitions.*\.(explanation|original_cluster_name|original_vhost_name|rabbitmq_definition_format|limits|description|default_queue_type|metadata)/,
  /^deprecated-features\[\]$/,
  /^health\/checks\/port-listener\/1/,
  /^vhosts\/shape$/,
  /^auth\/attempts/,
  /^reset$|^shovels|^federation-links/,
];

const api = new HttpApi({ statsIntervalMs: 100 });
const names = new Map<string, string>();
let scene: Scene | undefined;

before(async () => {
  scene = await setScene(await api.port("amqp"), await api.port("http"));
  names.set("rabbit@localhost", scene.node);
  names.set("{conn}", encodeURIComponent(scene.connection));
});

after(async () => {
  scene?.close();
  await api.stop();
});

const GETS = Object.keys(SHAPES).filter((name) => name.startsWith("GET ") && SHAPES[name]!.shape !== undefined);
assert.ok(GETS.length > 60);

for (const name of GETS) {
  const path = name.slice("GET ".length);
  test(`GET ${path}`, async () => {
    const { status, shape } = SHAPES[name]!;
    let asked = path;
    for (const [from, to] of names) asked = asked.replaceAll(from, to);
    asked = asked.replace("port-listener/5672", `port-listener/${await api.port("amqp")}`);
    const answer = await api.ask("GET", asked);
    const known = KNOWN.some((difference) => difference.test(path));
    if (!known) assert.equal(answer.status, status, answer.text);
    if (known && answer.status !== status) return;
    if (answer.text !== "") {
      assert.deepEqual(differences(shape!, answer.json, path, { known: KNOWN, names }), []);
    }
  });
}
