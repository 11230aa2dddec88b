// `leveret doctor` as an operator meets it: what it says of a directory that is sound or damaged, that it changes nothing
// unless told to, what its repair leaves, and what it says of a disk; for each way to run it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import * as amqplib from "amqplib";
import type { DataDirReport } from "../../src/doctor/check_data_dir.ts";
import type { DiskReport } from "../../src/doctor/measure_disk.ts";
import { xxh32 } from "../../src/store/checksum.ts";
import {
  BrokerProcess,
  commandOf,
  Program,
  type Target,
  temporaryDirectory,
  testTargets,
} from "../support/broker_process.ts";

const TEST_TIMEOUT_MS = 120_000;
const COUNT = 20;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function doctor(target: Target, ...words: string[]): Promise<Ended> {
  const { program, args } = commandOf(target);
  const run = new Program(program, [...args, "doctor", ...words], { NO_COLOR: "1" });
  const { code } = await run.waitForExit();
  return { code, stdout: run.stdout, stderr: run.stderr };
}

async function reportOf(target: Target, dataDir: string, ...words: string[]): Promise<[number | null, DataDirReport]> {
  const { code, stdout, stderr } = await doctor(target, "--data-dir", dataDir, "--json", ...words);
  assert.equal(stderr, "");
  return [code, JSON.parse(stdout) as DataDirReport];
}

/** Every path below a directory with what is in it and when it was changed. */
function snapshot(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mtimeMs, mode, size } = statSync(path);
    const content = entry.isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "";
    found.set(relative(directory, path), [mtimeMs, mode, size, content].join(" "));
  }
  return found;
}

async function withChannel<T>(uri: string, act: (channel: amqplib.ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await amqplib.connect(uri);
  const channel = await connection.createConfirmChannel();
  const result = await act(channel);
  await connection.close();
  return result;
}

/** A directory of a broker that was killed: a queue, one with priorities, a stream; 5 of each queue's are acknowledged. */
async function filledDirectory(target: Target): Promise<string> {
  const dataDir = temporaryDirectory();
  const broker = await BrokerProcess.start(target, { dataDir });
  await withChannel(broker.uri, async (channel) => {
    await channel.assertQueue("plain");
    await channel.assertQueue("prio", { maxPriority: 5 });
    await channel.assertQueue("stream", { arguments: { "x-queue-type": "stream" } });
    for (let i = 0; i < COUNT; i++) {
      for (const queue of ["plain", "prio", "stream"]) {
        channel.sendToQueue(queue, Buffer.from(`${queue} ${i}`), { persistent: true, priority: 3 });
      }
    }
    await channel.waitForConfirms();
    for (const queue of ["plain", "prio"]) {
      for (let i = 0; i < 5; i++) channel.ack((await channel.get(queue)) as amqplib.GetMessage);
    }
    // Behind the acknowledgements.
    await channel.checkQueue("plain");
  });
  await broker.kill9();
  return dataDir;
}

function flip(path: string, text: string): void {
  const bytes = readFileSync(path);
  const at = bytes.indexOf(text);
  assert.ok(at > 0, `'${text}' is in ${path}`);
  bytes[at]! ^= 0x20;
  writeFileSync(path, bytes);
}

const queueOf = (report: DataDirReport, name: string) => report.queues.find((queue) => queue.name === name)!;
const kindsOf = (report: DataDirReport) => report.findings.map(({ kind }) => kind);

for (const target of testTargets()) {
  if (target === "command") continue;
  describe(`leveret doctor, ${target}`, () => {
    const test = (name: string, act: () => Promise<void>) => it(name, { timeout: TEST_TIMEOUT_MS }, act);

    test("tells what is in a sound directory, and leaves it as it was to the byte", async () => {
      const dataDir = await filledDirectory(target);
      const before = snapshot(dataDir);
      const [code, report] = await reportOf(target, dataDir);
      assert.deepEqual([code, report.isSound, report.findings, report.kept], [0, true, [], []]);
      for (const [name, type, ready, settled] of [["plain", "queue", 15, 5], ["prio", "priority", 15, 5]] as const) {
        const { records, ...queue } = queueOf(report, name);
        assert.deepEqual([queue.type, records, queue.ready, queue.settled], [type, 20, ready, settled], name);
        assert.ok(queue.segments > 0 && queue.segmentBytes > 0 && queue.logEntries > 0);
      }
      const stream = queueOf(report, "stream");
      assert.deepEqual([stream.type, stream.records, stream.ready], ["stream", 20, 20]);
      // Three queues, and the virtual host, the user and the permission that every directory begins with.
      assert.equal(report.definitions.entries, 6);
      const text = await doctor(target, "--data-dir", dataDir);
      assert.equal(text.code, 0);
      assert.match(text.stdout, /queue 'plain' in vhost '\/' \(\d{10}\): .*20 records, 15 ready, 5 settled: sound\n/);
      assert.match(text.stdout, /\nsound\n$/);
      assert.deepEqual(snapshot(dataDir), before);
    });

    test("finds what is damaged, changes nothing, repairs on demand, and the broker serves the rest", async () => {
      const dataDir = await filledDirectory(target);
      const [, sound] = await reportOf(target, dataDir);
      const pathOf = (name: string, ...rest: string[]) =>
        join(dataDir, "queues", String(queueOf(sound, name).id).padStart(10, "0"), ...rest);
      const first = "msgs.0000000001";
      flip(pathOf("plain", first), "plain 7");
      flip(pathOf("prio", "p003", first), "prio 9");
      flip(pathOf("stream", first), "stream 3");
      const acks = readFileSync(pathOf("plain", "acks.0000000001"));
      acks[24 + 9]! ^= 1;
      writeFileSync(pathOf("plain", "acks.0000000001"), acks);
      writeFileSync(pathOf("plain", "notes"), "mine");
      mkdirSync(join(dataDir, "queues", "0000000099"));
      writeFileSync(join(dataDir, "queues", "0000000099", first), readFileSync(pathOf("plain", first)));
      const definitions = readFileSync(join(dataDir, "definitions.log"));
      writeFileSync(join(dataDir, "definitions.log"), Buffer.concat([definitions, Buffer.from("torn")]));

      const before = snapshot(dataDir);
      const [code, report] = await reportOf(target, dataDir);
      const expected = [
        "torn-tail",
        "orphan-queue",
        "foreign-file",
        "damaged-acks",
        "damaged-record",
        "damaged-record",
        "damaged-record",
      ];
      assert.deepEqual([code, report.isSound, kindsOf(report)], [1, false, expected]);
      assert.equal(queueOf(report, "plain").damaged, 2);
      const text = await doctor(target, "--data-dir", dataDir);
      assert.equal(text.code, 1);
      assert.match(text.stdout, /6 places damaged: nothing was changed\n$/);
      assert.deepEqual(snapshot(dataDir), before, "nothing is changed unless it is told to");

      const [repairCode, repaired] = await reportOf(target, dataDir, "--repair");
      assert.deepEqual([repairCode, kindsOf(repaired)], [1, expected]);
      const [soundCode, after] = await reportOf(target, dataDir);
      assert.deepEqual([soundCode, kindsOf(after)], [0, ["foreign-file"]]);
      assert.deepEqual([after.orphans, after.kept.length], [[99], 3]);
      assert.ok(existsSync(pathOf("plain", "notes")));
      assert.deepEqual(Buffer.compare(readFileSync(join(dataDir, "definitions.log")), definitions), 0);

      const broker = await BrokerProcess.start(target, { dataDir });
      const counts = await withChannel(broker.uri, async (channel) => {
        return [await channel.checkQueue("plain"), await channel.checkQueue("prio")].map((ok) => ok.messageCount);
      });
      // An acknowledgement that was damaged brings its messages back.
      assert.ok(counts[0]! >= 14 && counts[0]! <= 19, `${counts}`);
      assert.equal(counts[1], 14);
      assert.doesNotMatch(broker.stderr, /damaged/, "told once");
      await broker.kill9();
    });

    test("a directory that is in use, is none, or is of another version ends it with 2", async () => {
      const broker = await BrokerProcess.start(target);
      const inUse = await doctor(target, "--data-dir", broker.dataDir);
      assert.deepEqual([inUse.code, inUse.stdout], [2, ""]);
      assert.equal(inUse.stderr, `leveret: data directory ${broker.dataDir} is in use by another process\n`);
      assert.equal((await doctor(target, "--data-dir", broker.dataDir, "--repair")).code, 2);
      await broker.kill9();

      const empty = temporaryDirectory();
      const none = await doctor(target, "--data-dir", empty, "--repair");
      assert.deepEqual([none.code, readdirSync(empty)], [2, []]);
      assert.match(none.stderr, /is no data directory: neither queues\/ nor definitions\.log is in it\n$/);
      const missing = await doctor(target, "--data-dir", join(empty, "missing"));
      assert.deepEqual([missing.code, readdirSync(empty)], [2, []]);

      const header = Buffer.from([0x4c, 0x56, 0x44, 0x46, 9, 0, 12, 0, 0, 0, 0, 0]);
      header.writeInt32LE(xxh32(header, 0, 8, 0), 8);
      writeFileSync(join(empty, "definitions.log"), header);
      const later = await doctor(target, "--data-dir", empty);
      assert.equal(later.code, 2);
      assert.match(later.stderr, /unknown version of a definitions log: expected 1, found 9\n$/);
    });

    test("bad usage ends it with 2 and one line", async () => {
      for (const words of [["--nonsense"], ["--disk", "/tmp", "--repair"], ["--data-dir"], ["extra"]]) {
        const { code, stdout, stderr } = await doctor(target, ...words);
        assert.deepEqual([code, stdout, stderr.split("\n").length], [2, "", 2], `${words}: ${stderr}`);
        assert.match(stderr, /^leveret: /);
      }
      const help = await doctor(target, "--help");
      assert.equal(help.code, 0);
      assert.match(help.stdout, /--repair[\s\S]*Exit code: 0 sound/);
    });

    test("measures a disk, says what it allows, warns of one that is none, and leaves nothing behind", async () => {
      const directory = temporaryDirectory();
      const { code, stdout } = await doctor(target, "--disk", directory, "--json");
      const report = JSON.parse(stdout) as DiskReport;
      assert.equal(code, report.warnings.length === 0 ? 0 : 1);
      assert.deepEqual(readdirSync(directory), []);
      assert.deepEqual(report.rows.map(({ bytes, files }) => [bytes, files]), [
        [64, 1],
        [1024, 1],
        [4096, 1],
        [16_384, 1],
        [65_536, 1],
        [1_024_000, 1],
        [4096, 6],
      ]);
      for (const { syncs, p50Ms, p99Ms, maxMs } of report.rows) {
        assert.ok(syncs >= 5 && p50Ms > 0 && p50Ms <= p99Ms && p99Ms <= maxMs);
      }
      assert.ok(report.confirmsOneByOne > 0 && report.confirmsOutstanding > report.confirmsOneByOne);
      assert.equal((await doctor(target, "--disk", join(directory, "missing"))).code, 2);
      if (!existsSync("/dev/shm")) return;
      const memory = join("/dev/shm", `leveret-doctor-test-${process.pid}-${target}`);
      mkdirSync(memory);
      try {
        const { code, stdout } = await doctor(target, "--disk", memory);
        assert.equal(code, 1);
        assert.match(stdout, /WARNING: the file system is tmpfs: it is memory/);
        assert.deepEqual(readdirSync(memory), []);
      } finally {
        rmSync(memory, { recursive: true });
      }
    });
  });
}
