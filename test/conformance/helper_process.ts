// Another process for the suites: holds a lock until it is killed, leaves a connection without reading it, or uses every
// thread and then ends.

import fs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { currentRuntime } from "../../src/runtime/current.ts";

const [task, path] = process.argv.slice(2) as [string, string];
const runtime = await currentRuntime();

if (task === "hold") {
  console.log(runtime.lock(path) === null ? "refused" : "held");
  setInterval(() => {}, 60_000);
} else if (task === "leave") {
  // A reset follows, for what was not read.
  await runtime.connect({ host: "127.0.0.1", port: Number(path) }, (conn) => {
    conn.out.append(Uint8Array.of(0));
    conn.flush();
    return {
      onData() {
        conn.pause();
        setTimeout(() => process.exit(), 500);
      },
      onDrain() {},
      onClose() {},
    };
  });
} else {
  const files = runtime.mappedFiles() ?? runtime.plainFiles();
  const file = await files.prepare(join(path, "a"), 65_536);
  const syncer = runtime.startSyncer();
  const fault = await new Promise((resolve) => syncer.sync([file.fd], resolve));
  if (fault !== null) process.exitCode = 1;
  await syncer.close();
  await files.close();
  file.close();
  fs.rmSync(join(path, "a"));
}
