// `leveret ctl` run against a broker of its own, for black-box tests: what it prints, how it ends.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { BrokerProcess, commandOf, projectRoot, type Target } from "./broker_process.ts";
import { ask } from "./http_api.ts";

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `leveret ctl` against one broker, and remembers which commands were run. */
export class Ctl {
  readonly run = new Set<string>();
  readonly target: Target;
  #broker: Promise<BrokerProcess> | null = null;

  constructor(target: Target) {
    this.target = target;
  }

  get broker(): Promise<BrokerProcess> {
    return this.#broker ??= BrokerProcess.start(this.target, { http: true });
  }

  async dispose(): Promise<void> {
    await (await this.#broker)?.dispose();
  }

  async uri(login = "guest:guest"): Promise<string> {
    return `http://${login}@127.0.0.1:${(await this.broker).httpPort}`;
  }

  /** Whatever comes of it. */
  async try(words: readonly string[], { stdin = "", uri }: { stdin?: string; uri?: string } = {}): Promise<Ended> {
    for (const word of words) if (/^[a-z]+(_[a-z]+)*$/.test(word)) this.run.add(word);
    const { program, args } = commandOf(this.target);
    const env = { ...process.env, LEVERET_CTL_URI: uri ?? await this.uri(), NO_COLOR: "1" };
    const child = spawn(program, [...args, "ctl", ...words], { cwd: projectRoot, env, stdio: "pipe" });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => stdout += text);
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr += text);
    child.stdin.on("error", () => {});
    child.stdin.end(stdin);
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    return { code, stdout, stderr };
  }

  /** Succeeds; gives what it printed. */
  async do(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(words);
    assert.deepEqual([code, stderr], [0, ""], words.join(" "));
    return stdout;
  }

  async doWith(stdin: string, ...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(words, { stdin });
    assert.deepEqual([code, stderr], [0, ""], words.join(" "));
    return stdout;
  }

  // deno-lint-ignore no-explicit-any
  async json(...words: string[]): Promise<any> {
    return JSON.parse(await this.do(...words, "--json"));
  }

  /** Lines and fields of a table without its head. */
  async rows(...words: string[]): Promise<string[][]> {
    const text = await this.do("-s", ...words);
    return text.split("\n").slice(0, -1).map((line) => line.split("\t"));
  }

  /** Ends with a code and one line on standard error. */
  async refuses(code: number, line: string | RegExp, ...words: string[]): Promise<void> {
    const ended = await this.try(words);
    assert.deepEqual([ended.code, ended.stdout], [code, ""], `${words.join(" ")}: ${ended.stderr}`);
    assert.match(ended.stderr, /^leveret ctl: [^\n]*\n$/);
    const text = ended.stderr.slice("leveret ctl: ".length, -1);
    if (typeof line === "string") assert.equal(text, line);
    else assert.match(text, line);
  }

  // deno-lint-ignore no-explicit-any
  async api(path: string): Promise<any> {
    const answer = await ask((await this.broker).httpPort, "GET", path);
    assert.equal(answer.status, 200, path);
    return answer.json;
  }
}
