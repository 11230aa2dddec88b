// `leveret serve` as an operator meets it: what it prints, how it ends, where its settings come from, and what lies on
// disk; for each way to run it. What single flags and faults read like is tested beside the code.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as amqplib from "amqplib";
import {
  commandOf,
  ONLY_AMQP,
  Program,
  type Target,
  temporaryDirectory,
  testTargets,
} from "../support/broker_process.ts";
import { Inbox, waitFor, within } from "../support/wait.ts";
import { VERSION } from "../../src/version.ts";

const TEST_TIMEOUT_MS = 60_000;
const READY = new RegExp(`^leveret ${VERSION.replaceAll(".", "\\.")} ready: amqp 127\\.0\\.0\\.1:(\\d+)\\n$`);
/** Published and not confirmed, at most. */
const OUTSTANDING_MAX = 500;

type Environment = Record<string, string>;

/** `leveret WORDS`, gone at the end of the test. */
class Leveret {
  readonly program: Program;

  constructor(target: Target, words: readonly string[], environment: Environment = {}) {
    const { program, args } = commandOf(target);
    this.program = new Program(program, [...args, ...words], { NO_COLOR: "1", ...ONLY_AMQP, ...environment });
  }

  /** The port of the ready line, which must be all that was printed. */
  async port(): Promise<number> {
    const line = await this.program.until("ready line", () => /^.*\n/.exec(this.program.stdout)?.[0]);
    const port = Number(READY.exec(line)?.[1]);
    assert.ok(port > 0, `not a ready line: ${line}`);
    return port;
  }

  async uri(): Promise<string> {
    return `amqp://guest:guest@127.0.0.1:${await this.port()}`;
  }

  /** Waits for its end; its exit code. */
  async exit(): Promise<number | null> {
    return (await this.program.waitForExit()).code;
  }

  async stop(): Promise<void> {
    this.program.kill("SIGTERM");
    assert.equal(await this.exit(), 0, this.program.describe());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.program.kill("SIGKILL");
    await this.program.exited;
  }
}

/** A connection that expects to be ended; `ended` gives the error, if there is one, when it is closed. */
async function connect(uri: string) {
  const connection = await amqplib.connect(uri);
  connection.on("error", () => {});
  const ended = new Promise<{ code?: number } | undefined>((resolve) => connection.on("close", resolve));
  return { connection, ended };
}

async function withChannel<T>(uri: string, act: (channel: amqplib.ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await amqplib.connect(uri);
  const result = await act(await connection.createConfirmChannel());
  await connection.close();
  return result;
}

/** Puts one persistent message into the durable queue `kept`. */
async function keepOne(uri: string): Promise<void> {
  await withChannel(uri, async (channel) => {
    await channel.assertQueue("kept");
    channel.sendToQueue("kept", Buffer.from("kept"), { persistent: true });
    await channel.waitForConfirms();
  });
}

async function keptCount(uri: string): Promise<number> {
  return await withChannel(uri, async (channel) => (await channel.assertQueue("kept")).messageCount);
}

for (const target of testTargets()) {
  describe(`leveret serve, ${target}`, () => {
    const test = (name: string, act: () => Promise<void>) => it(name, { timeout: TEST_TIMEOUT_MS }, act);
    const start = (words: readonly string[], environment?: Environment) => new Leveret(target, words, environment);
    const serve = (dataDir: string, ...flags: string[]) =>
      start(["serve", "--port", "0", "--data-dir", dataDir, ...flags]);

    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      test(`${signal} ends it with 0: clients are told why, and the directory is free again`, async () => {
        const dataDir = temporaryDirectory();
        await using leveret = serve(dataDir, "--log-level", "none");
        const uri = await leveret.uri();
        await keepOne(uri);
        const { connection, ended } = await connect(uri);
        const channel = await connection.createChannel();
        const deliveries = new Inbox<amqplib.Message | null>();
        await channel.consume("kept", (message) => deliveries.push(message));
        await deliveries.next();
        leveret.program.kill(signal);
        assert.equal((await within("end of the connection", ended))?.code, 320);
        assert.equal(await leveret.exit(), 0);
        assert.match(leveret.program.stdout, READY);
        assert.equal(leveret.program.stderr, "");
        await using again = serve(dataDir);
        assert.equal(await keptCount(await again.uri()), 1);
      });
    }

    test("a second signal ends it at once with 1, while a client does not answer", async () => {
      const dataDir = temporaryDirectory();
      await using leveret = serve(dataDir);
      const uri = await leveret.uri();
      await keepOne(uri);
      const { connection } = await connect(uri);
      (connection.connection as unknown as { accept(frame: unknown): void }).accept = () => {}; // deaf
      leveret.program.kill("SIGTERM");
      await leveret.program.until(
        "word of stopping",
        () => /SIGTERM: stopping/.exec(leveret.program.stderr) ?? undefined,
      );
      leveret.program.kill("SIGINT");
      assert.equal(await leveret.exit(), 1);
      await using again = serve(dataDir);
      assert.equal(await keptCount(await again.uri()), 1);
    });

    test("SIGTERM while a publisher waits for confirms loses nothing that was confirmed", async () => {
      const dataDir = temporaryDirectory();
      await using leveret = serve(dataDir, "--log-level", "none");
      const { connection, ended } = await connect(await leveret.uri());
      const channel = await connection.createConfirmChannel();
      channel.on("error", () => {});
      await channel.assertQueue("kept");
      let [sent, confirmed, over] = [0, 0, false];
      void ended.then(() => over = true);
      const publish = () => {
        while (!over && sent - confirmed < OUTSTANDING_MAX) {
          channel.sendToQueue("kept", Buffer.from(`${sent++}`), { persistent: true }, (error) => {
            if (error !== null) return;
            confirmed++;
            publish();
          });
        }
      };
      publish();
      await waitFor("confirms", () => confirmed > 1_000);
      leveret.program.kill("SIGTERM");
      await within("end of the connection", ended);
      assert.equal(await leveret.exit(), 0);
      assert.ok(sent > confirmed, "it was stopped in the middle");

      await using again = serve(dataDir);
      await withChannel(await again.uri(), async (channel) => {
        const { messageCount } = await channel.checkQueue("kept");
        assert.ok(messageCount >= confirmed, `${confirmed} were confirmed, ${messageCount} are there`);
        assert.ok(messageCount <= sent);
        const inbox = new Inbox<amqplib.ConsumeMessage | null>();
        await channel.consume("kept", (message) => inbox.push(message), { noAck: true });
        for (const [index, message] of (await inbox.take(messageCount)).entries()) {
          assert.equal(`${message?.content}`, `${index}`);
        }
      });
    });

    test("a listener that is off is left out of the ready line, and the broker stays until it is told to go", async () => {
      await using leveret = start(["--memory", "--port", "-1"]);
      await leveret.program.until("ready line", () => leveret.program.stdout || undefined);
      await using meanwhile = start(["--version"]);
      assert.equal(await meanwhile.exit(), 0);
      assert.equal(meanwhile.program.stdout, `leveret ${VERSION}\n`);
      assert.equal(leveret.program.exit, undefined, leveret.program.describe());
      await leveret.stop();
      assert.equal(leveret.program.stdout, `leveret ${VERSION} ready: no listeners\n`);
      assert.match(leveret.program.stderr, /SIGTERM: stopping/);
    });

    test("a directory in use is refused with one line, and the broker that has it goes on", async () => {
      const dataDir = temporaryDirectory();
      await using first = serve(dataDir);
      const uri = await first.uri();
      await keepOne(uri);
      await using second = serve(dataDir);
      assert.equal(await second.exit(), 1);
      assert.match(second.program.stderr, /^leveret: [^\n]*\n$/);
      assert.ok(second.program.stderr.includes(dataDir), second.program.stderr);
      assert.equal(second.program.stdout, "");
      assert.equal(await keptCount(uri), 1);
    });

    test("a directory whose broker was killed is not in use", async () => {
      const dataDir = temporaryDirectory();
      await using first = serve(dataDir);
      await keepOne(await first.uri());
      first.program.kill("SIGKILL");
      await first.program.exited;
      await using second = serve(dataDir);
      assert.equal(await keptCount(await second.uri()), 1);
    });

    test("a port that is taken is refused with one line, and the directory is let go", async () => {
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
      try {
        const { port } = taken.address() as { port: number };
        const dataDir = temporaryDirectory();
        await using leveret = start(["--port", `${port}`, "--data-dir", dataDir]);
        assert.equal(await leveret.exit(), 1);
        assert.match(leveret.program.stderr, new RegExp(`^leveret: [^\\n]*127\\.0\\.0\\.1:${port}[^\\n]*\\n$`));
        assert.equal(leveret.program.stdout, "");
        await using again = serve(dataDir);
        await again.port();
      } finally {
        taken.close();
      }
    });

    test("what it does not understand it refuses with one line, before it touches anything", async () => {
      const folder = temporaryDirectory();
      const dataDir = join(folder, "data");
      const file = join(folder, "leveret.ini");
      writeFileSync(file, "[main]\nlog_levle = info\n");
      const gone = join(folder, "gone.ini");
      const refused: [string[], Environment, RegExp][] = [
        [["--prot", "1"], {}, /unknown option '--prot'; did you mean '--port'\?/],
        [["--port", "many"], {}, /bad value 'many' for 'port' in \[amqp\], from flag --port/],
        [
          ["--config", file],
          {},
          /leveret\.ini: unknown key 'log_levle' in \[main\], line 2; did you mean 'log_level'\?/,
        ],
        [["--config", gone], {}, /cannot read the configuration file .*gone\.ini/],
        [["--config", folder], {}, /cannot read the configuration file/],
        [
          [],
          { LEVERET_AMQP_PROT: "1" },
          /unknown environment variable 'LEVERET_AMQP_PROT'; did you mean 'LEVERET_AMQP_PORT'/,
        ],
      ];
      for (const [flags, environment, text] of refused) {
        await using leveret = start(["serve", "--data-dir", dataDir, ...flags], environment);
        assert.equal(await leveret.exit(), 1, leveret.program.describe());
        assert.match(leveret.program.stderr, /^leveret: [^\n]*\n$/);
        assert.match(leveret.program.stderr, text);
        assert.equal(leveret.program.stdout, "");
      }
      assert.ok(!existsSync(dataDir));
    });

    test("in memory it keeps nothing and writes nothing", async () => {
      const folder = temporaryDirectory();
      const words = ["serve", "--memory", "--port", "0", "--data-dir", join(folder, "data")];
      for (let round = 0; round < 2; round++) {
        await using leveret = start(words, { HOME: folder, XDG_DATA_HOME: folder, TMPDIR: folder });
        const uri = await leveret.uri();
        assert.equal(await keptCount(uri), 0);
        await keepOne(uri);
        assert.equal(await keptCount(uri), 1);
        await leveret.stop();
      }
      // What a runtime keeps for itself (caches) begins with a dot or bears its name.
      const left = readdirSync(folder).filter((name) => !/^\.|bun|deno/i.test(name));
      assert.deepEqual(left, []);
    });

    test("without sync it says so, and a clean end still keeps everything", async () => {
      const dataDir = temporaryDirectory();
      await using leveret = serve(dataDir, "--no-sync");
      await keepOne(await leveret.uri());
      await leveret.stop();
      assert.match(leveret.program.stderr, /warn.*sync is off/);
      await using again = serve(dataDir, "--no-sync");
      assert.equal(await keptCount(await again.uri()), 1);
    });

    test("a flag goes before the environment, that before the file", async () => {
      const folder = temporaryDirectory();
      const [ofFile, ofEnvironment, ofFlag] = ["file", "environment", "flag"].map((name) => join(folder, name));
      const file = join(folder, "leveret.ini");
      writeFileSync(file, `[main]\ndata_dir = ${ofFile}\n[amqp]\nport = 0\nheartbeat = 7\nchannel_max = 9\n`);
      const byFile = { LEVERET_CONFIG: file };
      const byEnvironment = { ...byFile, LEVERET_DATA_DIR: ofEnvironment!, LEVERET_AMQP_HEARTBEAT: "8" };
      const runs: [string[], Environment, string, number][] = [
        [["--config", file], {}, ofFile!, 7],
        [[], byFile, ofFile!, 7],
        [[], byEnvironment, ofEnvironment!, 8],
        [["--data-dir", ofFlag!], byEnvironment, ofFlag!, 8],
      ];
      const used = new Set<string>();
      for (const [flags, environment, dataDir, heartbeat] of runs) {
        await using leveret = start(["serve", ...flags], environment);
        const { connection, ended } = await connect(await leveret.uri());
        const tuned = connection.connection as unknown as { heartbeat: number; channelMax: number };
        assert.deepEqual([tuned.heartbeat, tuned.channelMax], [heartbeat, 9]);
        used.add(dataDir);
        for (const directory of [ofFile!, ofEnvironment!, ofFlag!]) {
          assert.equal(existsSync(directory), used.has(directory), directory);
        }
        await connection.close();
        await ended;
        await leveret.stop();
      }
    });

    test("the user that is there from the start is as the environment says", async () => {
      const environment = { LEVERET_DEFAULT_USER: "hare", LEVERET_DEFAULT_PASSWORD: "p#;=ss" };
      await using leveret = start(["--memory", "--port", "0"], environment);
      const port = await leveret.port();
      await assert.rejects(amqplib.connect(`amqp://guest:guest@127.0.0.1:${port}`), /403/);
      const connection = await amqplib.connect(`amqp://hare:${encodeURIComponent("p#;=ss")}@127.0.0.1:${port}`);
      await connection.close();
      assert.ok(!leveret.program.stderr.includes("p#;=ss"));
    });

    test("while the disk is short publishers wait and are told, and others go on (behaviours 46)", async () => {
      const words = ["serve", "--port", "0", "--data-dir", temporaryDirectory()];
      await using leveret = start(words, { LEVERET_FREE_DISK_MIN: "1000000 GiB" });
      const uri = await leveret.uri();
      const { connection } = await connect(uri);
      const blocked = new Promise<string>((resolve) => connection.on("blocked", resolve));
      const channel = await connection.createConfirmChannel();
      channel.on("error", () => {});
      let confirmed = false;
      channel.publish("amq.fanout", "", Buffer.from("held"), {}, () => confirmed = true);
      assert.equal(await within("connection.blocked", blocked), "low on disk");
      await withChannel(uri, (other) => other.checkExchange("amq.fanout"));
      assert.ok(!confirmed);
      await leveret.stop();
    });

    test("a directory that is not there is made, and nobody else may look into it", async () => {
      const parent = join(temporaryDirectory(), "deep");
      mkdirSync(parent);
      const dataDir = join(parent, "down", "data");
      await using leveret = serve(dataDir);
      await keepOne(await leveret.uri());
      await leveret.stop();
      assert.ok(readdirSync(dataDir).length > 0);
      assert.equal(statSync(dataDir).mode & 0o077, 0);
    });
  });
}
