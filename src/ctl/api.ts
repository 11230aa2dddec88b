// Requests to the HTTP API: what is asked, what came back, and what went wrong in words that name the thing.

import { type IncomingMessage, request } from "node:http";
import { request as requestSecurely } from "node:https";
import { addressReason } from "../runtime/address.ts";
import { CtlFault, EXIT_UNREACHABLE, usageFault } from "./fault.ts";
import { EventParser } from "./event_parser.ts";
import type { Place } from "./place.ts";
import { quoted } from "./text.ts";

export type Method = "GET" | "PUT" | "POST" | "DELETE";
/** What the API answers, not checked further: it is shown, not interpreted. */
export type Row = Readonly<Record<string, unknown>>;

/** A path below `/api/`; made by `at` alone, so that no name gets into it as it is. */
export interface Path {
  readonly text: string;
}

/** at`queues/${vhost}/${name}`: names are encoded, and those that a URL cannot hold are refused. */
export function at(parts: TemplateStringsArray, ...names: readonly string[]): Path {
  return { text: String.raw({ raw: parts }, ...names.map(segmentOf)) };
}

function segmentOf(name: string): string {
  if (name === "") throw usageFault("a name is empty");
  // Whoever reads a URL takes these for directions, however they are written, and another thing would be meant.
  if (name === "." || name === "..") throw usageFault(`the name ${quoted(name)} cannot be told over HTTP`);
  try {
    return encodeURIComponent(name);
  } catch {
    throw usageFault(`the name ${quoted(name)} is not Unicode`);
  }
}

export interface AskOptions {
  readonly query?: Readonly<Record<string, string>>;
  /** Becomes JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long the broker may be silent at least, milliseconds. */
  readonly silentMs?: number;
  /** Somebody else than the place says. */
  readonly as?: { readonly user: string; readonly password: string };
}

export interface Follower {
  begun(): void;
  /** `kind` is "message" where the broker gives none. */
  event(kind: string, data: string): void;
  readonly stop: Promise<void>;
}

/** Events of a broker that has nothing to tell come every 15 s, milliseconds. */
const SIGN_OF_LIFE_MS = 40_000;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** The words for it that say no more than that. */
const NOT_FOUND = /^(|Not Found|vhost_not_found|NOT_FOUND - .*)$/;

export class Api {
  readonly place: Place;
  readonly #timeoutMs: number;

  /** `timeoutMs`: how long the broker may be silent. */
  constructor(place: Place, timeoutMs: number) {
    this.place = place;
    this.#timeoutMs = timeoutMs;
  }

  /** `what` is asked for, for whoever reads what went wrong: "queue 'a' in vhost '/'". */
  async get<T = Row>(path: Path, what: string, query: Readonly<Record<string, string>> = {}): Promise<T> {
    return JSON.parse((await this.#succeed("GET", path, what, { query })).text) as T;
  }

  async put(path: Path, what: string, body: unknown = {}): Promise<Answer> {
    return await this.#succeed("PUT", path, what, { body });
  }

  async post<T = void>(path: Path, what: string, body: unknown): Promise<T> {
    const { text } = await this.#succeed("POST", path, what, { body });
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async delete(path: Path, what: string, options: AskOptions = {}): Promise<void> {
    await this.#succeed("DELETE", path, what, options);
  }

  /** Whether there is such a thing. */
  async has(path: Path, what: string): Promise<boolean> {
    const answer = await this.ask("GET", path);
    if (answer.status === 404) return false;
    this.#expect(answer, what);
    return true;
  }

  async #succeed(method: Method, path: Path, what: string, options: AskOptions): Promise<Answer> {
    const answer = await this.ask(method, path, options);
    this.#expect(answer, what);
    return answer;
  }

  #expect({ status, text }: Answer, what: string): void {
    if (status < 400) return;
    const reason = reasonOf(text);
    if (status === 401) {
      const user = `user ${quoted(this.place.user)}`;
      if (reason === "Login failed") throw new CtlFault(`${this.place.text} refuses ${user} or its password`);
      throw new CtlFault(`${what}: ${user} may not: ${reason}`);
    }
    if (status === 404 && NOT_FOUND.test(reason)) throw new CtlFault(`${what}: not found`);
    throw new CtlFault(`${what}: ${reason === "" ? `the broker answered ${status}` : reason}`);
  }

  /** One request, whatever the answer. Rejects when there is none. */
  async ask(method: Method, path: Path, options: AskOptions = {}): Promise<Answer> {
    const { answer, failed } = await this.#send(method, path, options);
    return await Promise.race([wholeOf(answer), failed]);
  }

  /**
   * Server-sent events as they come, until the broker ends them, or `stop` is asked for. Rejects when the broker refuses,
   * or is silent for longer than it would ever be.
   */
  async follow(path: Path, what: string, { begun, event, stop }: Follower): Promise<void> {
    const { answer, failed } = await this.#send("GET", path, { silentMs: SIGN_OF_LIFE_MS });
    if (answer.statusCode !== 200) return this.#expect(await Promise.race([wholeOf(answer), failed]), what);
    begun();
    const parser = new EventParser(event);
    const decoder = new TextDecoder();
    const ended = new Promise<void>((resolve) => answer.on("end", resolve));
    answer.on("data", (part: Uint8Array) => parser.push(decoder.decode(part, { stream: true })));
    try {
      await Promise.race([ended, stop, failed]);
    } finally {
      answer.destroy();
    }
  }

  /** Resolves with the head of an answer; `failed` rejects when its rest does not come. */
  #send(method: Method, { text: path }: Path, options: AskOptions): Promise<Sent> {
    const { place } = this;
    const { query = {}, body, as = place.socketPath === null ? place : null, headers = {} } = options;
    const timeoutMs = Math.max(this.#timeoutMs, options.silentMs ?? 0);
    const search = new URLSearchParams(query).toString();
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
    const failed = Promise.withResolvers<never>();
    // Whoever has its answer waits for it no more.
    failed.promise.catch(() => {});
    const fail = (reason: string) => {
      failed.reject(new CtlFault(`no answer from ${place.text}: ${reason}`, EXIT_UNREACHABLE));
    };
    const { secure, trusted } = place;
    const head = new Promise<Sent>((resolve) => {
      const asked = (secure ? requestSecurely : request)({
        ...(trusted === null ? {} : { ca: trusted }),
        ...(place.socketPath === null ? { host: place.host, port: place.port } : { socketPath: place.socketPath }),
        method,
        path: `${place.prefix}/api/${path}${search === "" ? "" : `?${search}`}`,
        agent: false,
        headers: {
          ...(as === null ? {} : { authorization: `Basic ${encoded(`${as.user}:${as.password}`)}` }),
          ...(payload === null ? {} : { "content-type": "application/json", "content-length": payload.length }),
          ...headers,
        },
      }, (answer) => {
        answer.on("error", (error) => fail(addressReason(error)));
        answer.on("close", () => {
          if (!answer.complete) fail("the answer is cut off");
        });
        resolve({ answer, failed: failed.promise });
      });
      asked.on("error", (error) => fail(certificateReason(error) ?? addressReason(error)));
      asked.setTimeout(timeoutMs, () => {
        fail(`silent for ${timeoutMs / 1000} s`);
        asked.destroy();
      });
      asked.end(payload ?? undefined);
    });
    return Promise.race([head, failed.promise]);
  }
}

interface Sent {
  readonly answer: IncomingMessage;
  readonly failed: Promise<never>;
}

/** Never resolves when it does not come whole. */
function wholeOf(answer: IncomingMessage): Promise<Answer> {
  return new Promise((resolve) => {
    const parts: Uint8Array[] = [];
    answer.on("data", (part: Uint8Array) => parts.push(part));
    answer.on("end", () => {
      if (answer.complete) resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") });
    });
  });
}

/** What is wrong with the broker's certificate, where that is the reason; runtimes have their own words for it. */
function certificateReason(error: Error): string | null {
  const code = (error as { code?: unknown }).code ?? "";
  const text = `${code} ${error.message}`;
  if (/ALTNAME|NotValidForName/i.test(text)) return "its certificate is for another name";
  if (/CERT_HAS_EXPIRED|Expired/.test(text)) return "its certificate has expired";
  if (!/SELF_SIGNED|VERIFY|ISSUER|UnknownIssuer|CERT/i.test(text)) return null;
  return "its certificate is not trusted: --tls-ca-cert-file names those that are";
}

function encoded(text: string): string {
  return Buffer.from(text).toString("base64");
}

function reasonOf(text: string): string {
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown };
    return typeof reason === "string" ? reason : "";
  } catch {
    return "";
  }
}
