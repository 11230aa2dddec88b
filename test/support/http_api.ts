// The HTTP API of a broker in memory, in the process of the test: started by the first test that asks, one per file.

import assert from "node:assert/strict";
import { Broker, type PartialConfig } from "../../src/mod.ts";
import { RawAmqp } from "./raw_amqp.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; fails when it is none. */
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

export interface RequestOptions {
  readonly body?: unknown;
  /** `name:password`; null for none. */
  readonly as?: string | null;
  readonly headers?: Record<string, string>;
}

/** One request; `path` below `/api/`, or from `/` on. */
export async function ask(port: number, method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
  const { body, as = "guest:guest", headers = {} } = options;
  const url = `http://127.0.0.1:${port}${path.startsWith("/") ? path : `/api/${path}`}`;
  const response = await fetch(url, {
    method,
    // As every client says, and RabbitMQ demands.
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(as === null ? {} : { authorization: `Basic ${Buffer.from(as).toString("base64")}` }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

export class HttpApi {
  readonly #config: PartialConfig;
  readonly #faults: Error[] = [];
  readonly #clients: RawAmqp[] = [];
  #started: Promise<Broker> | undefined;

  constructor(config: PartialConfig = {}) {
    this.#config = config;
  }

  get broker(): Promise<Broker> {
    return this.#started ??= this.#start();
  }

  async #start(): Promise<Broker> {
    const config: PartialConfig = {
      memory: true,
      amqp: { port: 0 },
      http: { port: 0 },
      metrics: { port: 0 },
      ...this.#config,
    };
    const broker = new Broker(config, { onFault: (fault) => this.#faults.push(fault) });
    await broker.start();
    return broker;
  }

  async port(protocol: "amqp" | "http" | "https" | "metrics"): Promise<number> {
    return (await this.broker).listeners.find((listener) => listener.protocol === protocol)!.port;
  }

  async ask(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    return await ask(await this.port("http"), method, path, options);
  }

  /** A GET that succeeds, as JSON. */
  // deno-lint-ignore no-explicit-any
  async get(path: string): Promise<any> {
    const answer = await this.ask("GET", path);
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    return answer.json;
  }

  /** Expects a status; gives the answer. */
  async expect(status: number, method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await this.ask(method, path, body === undefined ? {} : { body });
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    return answer;
  }

  /** An AMQP connection with channel 1 open. */
  async amqp(): Promise<RawAmqp> {
    const client = await RawAmqp.open(await this.port("amqp"), { channels: 1 });
    this.#clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    await (await this.#started)?.stop();
    assert.deepEqual(this.#faults, []);
  }
}
