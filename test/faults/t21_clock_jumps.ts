// T21: somebody sets the wall clock, by an hour, back again, by years. What waits goes on to wait for as long as it was
// to, and connections live. libfaketime gives the broker its wall clock; the monotonic one stays true.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BrokerProcess, temporaryDirectory } from "../support/broker_process.ts";
import { RawAmqp } from "../support/raw_amqp.ts";
import { HEARTBEAT } from "../support/raw_bytes.ts";
import { headersOf, type Plain, withProperties } from "../support/raw_headers.ts";
import { basic, channel, confirm, exchange, queue, REPLIES } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { faketimeLibrary } from "./needs.ts";

const HOUR_S = 3_600;
const YEAR_S = 365 * 24 * HOUR_S;
const TEN_MINUTES_MS = 600_000;
const BRIEF_MS = 1_000;
/** For what takes a second. Far below an hour. */
const WAIT_MS = { real: 30_000, mutant: 5_000 };
const COUNT = 50;
const HEARTBEAT_S = 1;
const BEAT_FRAME = Uint8Array.of(HEARTBEAT, 0, 0, 0, 0, 0, 0, 0xce);
/** The broker keeps house every ten seconds, and looks at the ages of streams then. */
const HOUSEKEEPING_MS = 12_000;

const WALL_CLOCK_TIMERS: Mutant = {
  name: "wall-clock-timers",
  edits: [{
    file: "lib/clock.ts",
    find: "return Math.floor(performance.timeOrigin + performance.now());",
    replace: "return Date.now();",
  }],
};

export const clockJumps: FaultCase = {
  name: "T21",
  title: "jumps of the wall clock",
  needs: ["faketime"],
  run: jump,
  control: {
    what: "timers by the wall clock",
    run: (context) => jump({ ...context, mutant: buildMutant(WALL_CLOCK_TIMERS) }),
  },
};

/** Seconds between the true time and the broker's, one after the other. */
function jumps(): readonly number[] {
  const in2038 = Math.floor((Date.UTC(2038, 0, 19, 3, 14, 5) - Date.now()) / 1000);
  return [HOUR_S, 0, -HOUR_S, 10 * YEAR_S, in2038];
}

async function jump(context: FaultContext): Promise<FaultResult> {
  const directory = temporaryDirectory();
  const clock = new WallClock(join(directory, "clock"));
  clock.set(0);
  const broker = await startFaultBroker(context, {
    dataDir: join(directory, "data"),
    args: ["--log-level", "warn"],
    environment: clock.environment,
  });
  const pids = [broker.pid];
  const failures: string[] = [];
  let done = 0;
  try {
    const scene = await Scene.open(broker, context.mutant === null ? WAIT_MS.real : WAIT_MS.mutant, failures);
    for (const offsetS of jumps()) {
      await scene.prepareBrief(done);
      clock.set(offsetS);
      await scene.check(done, offsetS);
      done++;
      if (failures.length > 0) break;
    }
    if (context.full && failures.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, HOUSEKEEPING_MS));
      await scene.checkLong("behind the housekeeping");
    }
    if (failures.length === 0) await scene.restart(() => clock.set(0));
    pids.push(broker.pid);
    scene.close();
  } finally {
    await broker.dispose();
    forget(pids);
  }
  const counts = `${done} jumps of up to ${Math.round(Math.max(...jumps()) / YEAR_S)} years and a restart; ` +
    `${2 * COUNT} messages with times to live, delayed ones, leases, a stream, a held delivery, heartbeats`;
  return { lost: 0, phantom: 0, counts, failures };
}

/** A process that is killed leaves behind what the library shares with its children. */
function forget(pids: readonly number[]): void {
  for (const pid of pids) {
    for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) rmSync(`/dev/shm/${name}`, { force: true });
  }
}

/** The broker's wall clock. */
class WallClock {
  readonly environment: Record<string, string>;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.environment = {
      LD_PRELOAD: faketimeLibrary()!,
      FAKETIME_TIMESTAMP_FILE: path,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    };
  }

  set(offsetS: number): void {
    writeFileSync(this.#path, `${offsetS < 0 ? "" : "+"}${offsetS}\n`);
  }
}

/** What waits in the broker, for long and for a moment. */
class Scene {
  readonly #broker: BrokerProcess;
  readonly #waitMs: number;
  readonly #failures: string[];
  #client: RawAmqp;
  #idle: Idle;
  #dues = 0;

  static async open(broker: BrokerProcess, waitMs: number, failures: string[]): Promise<Scene> {
    const client = await RawAmqp.open(broker.port, { channels: 1 });
    const scene = new Scene(broker, waitMs, failures, client, await Idle.open(broker.port));
    await scene.#prepareLong();
    return scene;
  }

  private constructor(broker: BrokerProcess, waitMs: number, failures: string[], client: RawAmqp, idle: Idle) {
    this.#broker = broker;
    this.#waitMs = waitMs;
    this.#failures = failures;
    this.#client = client;
    this.#idle = idle;
  }

  /** What is over in a moment, whatever the clock does in it. */
  async prepareBrief(round: number): Promise<void> {
    await this.#declare(`brief-${round}`, { "x-message-ttl": BRIEF_MS });
    await this.#declare(`gone-${round}`, { "x-expires": BRIEF_MS });
    await this.#publish(`brief-${round}`, COUNT);
    await this.#publish("", 1, { exchange: "later", headers: { "x-delay": BRIEF_MS } });
    this.#dues++;
  }

  async check(round: number, offsetS: number): Promise<void> {
    const where = `at ${offsetS} s`;
    await this.#checkProbe(where, offsetS);
    await this.#expect(`${where}: messages that live ${BRIEF_MS} ms are gone`, async () => {
      return await this.#ready(`brief-${round}`) === 0;
    });
    await this.#expect(`${where}: a queue that is kept ${BRIEF_MS} ms is gone`, async () => {
      return !await this.#exists(`gone-${round}`);
    });
    await this.#expect(`${where}: a message that is late by ${BRIEF_MS} ms has come`, async () => {
      return await this.#ready("due") >= this.#dues;
    });
    await this.checkLong(where);
  }

  /** What is to be there for ten minutes is there. */
  async checkLong(where: string): Promise<void> {
    const heard = this.#idle.beats;
    for (const name of ["ttl", "own"]) {
      const count = await this.#ready(name);
      if (count !== COUNT) this.#failures.push(`${where}: queue '${name}' has ${count} messages, not ${COUNT}`);
    }
    const due = await this.#ready("due");
    if (due !== this.#dues) this.#failures.push(`${where}: ${due} delayed messages have come, not ${this.#dues}`);
    if (!await this.#exists("unused")) this.#failures.push(`${where}: the queue that is kept ten minutes is gone`);
    const count = await this.#ready("log");
    if (count !== COUNT) this.#failures.push(`${where}: the stream has ${count} messages, not ${COUNT}`);
    await this.#expect(`${where}: heartbeats go on`, () => Promise.resolve(this.#idle.beats > heard + 1));
    if (this.#idle.ended !== null) this.#failures.push(`${where}: a connection was ended: ${this.#idle.ended}`);
  }

  /** A kill while the clock is ahead, and a start when it is right again. */
  async restart(setClock: () => void): Promise<void> {
    await this.#declare("ahead", { "x-message-ttl": 5 * BRIEF_MS });
    await this.#publish("ahead", COUNT);
    this.close();
    await this.#broker.kill9();
    setClock();
    await this.#broker.restart();
    this.#client = await RawAmqp.open(this.#broker.port, { channels: 1 });
    this.#idle = await Idle.open(this.#broker.port);
    await this.#expect("after a restart: messages stamped by a clock that was ahead are gone in time", async () => {
      return await this.#ready("ahead") === 0;
    });
    await this.checkLong("after a restart");
  }

  close(): void {
    this.#client.reset();
    this.#idle.close();
  }

  async #prepareLong(): Promise<void> {
    await this.#client.call("confirm.select-ok", confirm.select(1));
    const options = { durable: true, args: { "x-delayed-type": "fanout" } };
    await this.#client.call("exchange.declare-ok", exchange.declare(1, "later", "x-delayed-message", options));
    await this.#declare("due", {});
    await this.#client.call("queue.bind-ok", queue.bind(1, "due", "later", ""));
    await this.#declare("dead", {});
    await this.#declare("probe", {
      "x-message-ttl": 0,
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": "dead",
    });
    await this.#declare("ttl", { "x-message-ttl": TEN_MINUTES_MS });
    await this.#declare("own", {});
    await this.#declare("unused", { "x-expires": TEN_MINUTES_MS });
    await this.#declare("log", { "x-queue-type": "stream", "x-max-age": "1h" });
    await this.#publish("ttl", COUNT);
    await this.#publish("own", COUNT, { expiration: `${TEN_MINUTES_MS}` });
    await this.#publish("log", COUNT);
    await this.#publish("", 1, { exchange: "later", headers: { "x-delay": TEN_MINUTES_MS } });
    await this.#declare("held", { "x-consumer-timeout": TEN_MINUTES_MS });
    await this.#publish("held", 1);
    await this.#idle.hold("held");
  }

  /** A dead letter tells when it died by the wall clock: so the jump has come to the broker. */
  async #checkProbe(where: string, offsetS: number): Promise<void> {
    await this.#publish("probe", 1);
    await waitFor("dead letter", async () => await this.#ready("dead") > 0);
    this.#client.send(basic.get(1, "dead", true));
    const death = (headersOf(await this.#client.message())["x-death"] as { time: Plain }[])[0]!;
    const expectedS = Date.now() / 1000 + offsetS;
    if (Math.abs(Number(death.time) - expectedS) > HOUR_S / 2) {
      throw new Error(
        `${where}: the broker's wall clock says ${death.time}, expected ${expectedS}: faketime has no effect`,
      );
    }
  }

  async #expect(what: string, condition: () => Promise<boolean>): Promise<void> {
    await waitFor(what, condition, this.#waitMs).catch(() => this.#failures.push(`not so: ${what}`));
  }

  async #declare(name: string, args: Record<string, string | number>): Promise<void> {
    await this.#client.call("queue.declare-ok", queue.declare(1, name, { durable: true, args }));
  }

  async #publish(
    key: string,
    count: number,
    options: { exchange?: string; headers?: Record<string, Plain>; expiration?: string } = {},
  ): Promise<void> {
    const { exchange: to = "", ...properties } = options;
    for (let i = 0; i < count; i++) {
      this.#client.send(
        basic.publish(1, key, `${i}`, { exchange: to, ...withProperties({ persistent: true, ...properties }) }),
      );
    }
    for (let open = count; open > 0;) {
      const { args } = await this.#client.reply("basic.ack");
      const tag = args.longlong();
      open -= args.octet() === 1 ? tag - this.#confirmed : 1;
      this.#confirmed = Math.max(this.#confirmed, tag);
    }
  }
  #confirmed = 0;

  async #ready(name: string): Promise<number> {
    const args = await this.#client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
    args.shortString();
    return args.long();
  }

  async #exists(name: string): Promise<boolean> {
    this.#client.send(channel.open(2), queue.declare(2, name, { passive: true }));
    await this.#client.reply("channel.open-ok");
    const frame = await this.#client.next();
    const exists = frame?.name === REPLIES["queue.declare-ok"];
    if (exists) await this.#client.call("channel.close-ok", channel.close(2));
    else this.#client.send(channel.closeOk(2));
    return exists;
  }
}

/** A connection that beats, listens, and holds a message that it does not acknowledge. */
class Idle {
  beats = 0;
  /** What the broker ended it with. */
  ended: string | null = null;
  readonly #client: RawAmqp;
  readonly #timer: ReturnType<typeof setInterval>;
  #closed = false;

  static async open(port: number): Promise<Idle> {
    return new Idle(await RawAmqp.open(port, { heartbeat: HEARTBEAT_S, channels: 1 }));
  }

  private constructor(client: RawAmqp) {
    this.#client = client;
    this.#timer = setInterval(() => client.send(BEAT_FRAME), HEARTBEAT_S * 500);
    void this.#listen();
  }

  async hold(name: string): Promise<void> {
    this.#client.send(basic.consume(1, name));
    await waitFor("a delivery", () => this.#held);
  }
  #held = false;

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#client.reset();
  }

  async #listen(): Promise<void> {
    try {
      while (true) {
        const frame = await this.#client.next();
        if (frame === null) throw new Error("the connection is gone");
        if (frame.type === HEARTBEAT) this.beats++;
        else if (frame.name === REPLIES["basic.deliver"]) this.#held = true;
        else if (frame.name === REPLIES["basic.cancel"] || frame.name.endsWith(".40") || frame.name === "10.50") {
          throw new Error(`the broker sent ${frame.name}`);
        }
      }
    } catch (error) {
      if (!this.#closed) this.ended = (error as Error).message;
    }
  }
}
