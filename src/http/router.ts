// The routes of the API: each says once what it takes and gives, and that both checks requests and makes the OpenAPI
// document. Authentication comes before anything is read of a body; errors leave as `{error, reason}`, never with a stack.

import { OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTP_BODY_BYTES_MAX } from "../limits.ts";
import type { HttpExchange } from "../runtime/http_exchange.ts";
import type { Access, Caller } from "./access.ts";
import { json, noContent } from "./json.ts";
import { expectOwnOrigin } from "./origin.ts";
import { pathOf } from "./path.ts";
import { badRequest, notAuthenticated, notFound, type Problem, problemOf } from "./problem.ts";

export type Method = "get" | "put" | "post" | "delete";

/** What a request brings along to hono's handlers. */
export interface HttpEnv {
  Bindings: { exchange: HttpExchange };
}

type NamesIn<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;

export interface RouteOptions<Query extends z.ZodType, Body extends z.ZodType> {
  readonly summary: string;
  readonly tag: string;
  /** "none": without a password. "management" unless said otherwise. */
  readonly access?: Access | "none";
  readonly query?: Query;
  /** What the body must be; without one, none is read. An absent body counts as an empty object. */
  readonly body?: Body;
  readonly bodyBytesMax?: number;
  /** The handler reads a file from the body by itself. */
  readonly uploads?: boolean;
  /** What is answered, for the document; without it nothing is. */
  readonly answer?: z.ZodType;
  /** Status codes that it answers, beside those that every route may. */
  readonly statuses?: readonly number[];
}

export interface Call<Name extends string, Query, Body> {
  readonly params: Readonly<Record<Name, string>>;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Caller;
  readonly headers: Headers;
  readonly exchange: HttpExchange;
}

export type Handler<Name extends string, Query, Body> = (
  call: Call<Name, Query, Body>,
) => unknown | Promise<unknown>;

export interface Authenticator {
  /** Who asks without a password where none is needed. */
  readonly nobody: Caller;
  /** Who a request comes from; null when it does not say so or is not right. */
  authenticate(exchange: HttpExchange): Promise<Caller | null>;
}

/** Where Erlang breaks the lines of what it prints. */
const ERLANG_LINE_CHARS = 78;
const EMPTY = z.object({});
const STATUS_TEXTS: Readonly<Record<number, string>> = {
  200: "as asked",
  201: "created",
  204: "done; or it was there before",
  400: "the request makes no sense, or is refused",
  401: "no or a wrong password, or not allowed",
  404: "there is no such thing",
  503: "not well",
};
const problemSchema = z.object({ error: z.string(), reason: z.string() }).openapi("Problem");

export class Router {
  readonly app = new OpenAPIHono<HttpEnv>({ getPath: pathOf });
  readonly #authenticator: Authenticator;
  readonly #report: (text: string) => void;
  readonly #methods = new Map<string, Method[]>();

  constructor(authenticator: Authenticator, report: (text: string) => void) {
    this.#authenticator = authenticator;
    this.#report = report;
    this.app.notFound(() => problemAnswer(notFound()));
    this.app.onError((error) => this.#answerError(error));
  }

  /** Adds a route. A handler gives a Response, or what becomes JSON; undefined becomes 204. */
  add<Path extends string, Query extends z.ZodType = typeof EMPTY, Body extends z.ZodType = typeof EMPTY>(
    method: Method,
    path: Path,
    options: RouteOptions<Query, Body>,
    handler: Handler<NamesIn<Path>, z.output<Query>, z.output<Body>>,
  ): void {
    this.#document(method, path, options);
    const methods = this.#methods.get(path);
    if (methods === undefined) this.#methods.set(path, [method]);
    else methods.push(method);
    const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]! as NamesIn<Path>);
    this.app.on(method.toUpperCase(), [honoPath(path)], async (context) => {
      const exchange = context.env.exchange;
      expectOwnOrigin(exchange.request);
      const caller = await this.#callerOf(exchange, options.access ?? "management");
      if (caller === null) return unauthorized();
      const params = Object.fromEntries(names.map((name) => [name, paramOf(context, name)])) as Record<
        NamesIn<Path>,
        string
      >;
      const query = parse(options.query ?? EMPTY, queryOf(context), "query") as z.output<Query>;
      const body = (options.body === undefined ? {} : await bodyOf(exchange, options)) as z.output<Body>;
      const { headers } = exchange.request;
      const result = await handler({ params, query, body, caller, headers, exchange });
      if (result instanceof Response) return result;
      return result === undefined ? noContent() : json(result);
    });
  }

  /** Answers other methods on the paths that are there. To be called when all routes are added. */
  close(): void {
    for (const [path, methods] of this.#methods) {
      const allow = [...new Set(["head", ...methods, "options"])].join(", ").toUpperCase();
      this.app.all(honoPath(path), (context) => {
        const status = context.req.method === "OPTIONS" ? 200 : 405;
        return new Response(null, { status, headers: { allow } });
      });
    }
  }

  /** Answers a request, whatever happens. */
  async answer(exchange: HttpExchange): Promise<Response> {
    try {
      return await this.app.fetch(exchange.request, { exchange });
    } catch (thrown) {
      // Hono handles what is an Error.
      return this.#answerError(thrown);
    }
  }

  /** The whole API as an OpenAPI document. */
  openApi(info: { title: string; version: string; description: string }): object {
    this.app.openAPIRegistry.registerComponent("securitySchemes", "basic", { type: "http", scheme: "basic" });
    return this.app.getOpenAPI31Document({
      openapi: "3.1.0",
      info,
      servers: [{ url: "/" }],
      security: [{ basic: [] }],
    });
  }

  #document<Query extends z.ZodType, Body extends z.ZodType>(
    method: Method,
    path: string,
    options: RouteOptions<Query, Body>,
  ): void {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
    const { query, body, answer, access } = options;
    const statuses = options.statuses ?? [answer === undefined ? 204 : 200];
    const responses: Record<number, object> = {};
    for (const status of statuses) {
      const withBody = answer !== undefined && status < 300;
      const content = withBody ? { content: { "application/json": { schema: answer } } } : {};
      responses[status] = { description: STATUS_TEXTS[status] ?? String(status), ...content };
    }
    const problem = { "application/json": { schema: problemSchema } };
    responses[400] ??= { description: STATUS_TEXTS[400], content: problem };
    if (access !== "none") responses[401] ??= { description: STATUS_TEXTS[401], content: problem };
    if (names.length > 0) responses[404] ??= { description: STATUS_TEXTS[404], content: problem };
    this.app.openAPIRegistry.registerPath({
      method,
      path,
      summary: options.summary,
      tags: [options.tag],
      ...(access === "none" ? { security: [] } : {}),
      request: {
        ...(names.length === 0
          ? {}
          : { params: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))) }),
        ...(query === undefined ? {} : { query: query as unknown as z.ZodObject }),
        ...(body === undefined ? {} : { body: { content: { "application/json": { schema: body } } } }),
        ...(options.uploads === true
          ? { body: { content: { "application/json": { schema: z.looseObject({}) } } } }
          : {}),
      },
      responses: responses as Parameters<typeof this.app.openAPIRegistry.registerPath>[0]["responses"],
    });
  }

  async #callerOf(exchange: HttpExchange, access: Access | "none"): Promise<Caller | null> {
    if (access === "none") return this.#authenticator.nobody;
    const caller = await this.#authenticator.authenticate(exchange);
    caller?.expect("management");
    caller?.expect(access);
    return caller;
  }

  #answerError(error: unknown): Response {
    const problem = problemOf(error);
    if (problem !== null) return problemAnswer(problem);
    this.#report(error instanceof Error ? error.stack ?? error.message : String(error));
    return json({ error: "internal_error", reason: "an internal error occurred; the broker's log tells more" }, 500);
  }
}

function problemAnswer(problem: Problem): Response {
  return json({ error: problem.error, reason: problem.message }, problem.status);
}

function unauthorized(): Response {
  const answer = problemAnswer(notAuthenticated());
  answer.headers.set("www-authenticate", 'Basic realm="Leveret Management"');
  return answer;
}

function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

function paramOf(context: Context<HttpEnv>, name: string): string {
  const value = context.req.param(name);
  if (value === undefined) throw notFound();
  return value;
}

/** Keys come from the client, so there is no prototype; what is given several times is a list. */
function queryOf(context: Context<HttpEnv>): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = Object.create(null);
  for (const [name, values] of Object.entries(context.req.queries())) {
    query[name] = values.length === 1 ? values[0]! : values;
  }
  return query;
}

async function bodyOf<Body extends z.ZodType>(
  exchange: HttpExchange,
  { body, bodyBytesMax = HTTP_BODY_BYTES_MAX }: RouteOptions<z.ZodType, Body>,
): Promise<unknown> {
  const bytes = await exchange.readBody(bodyBytesMax);
  if (bytes === null) throw badRequest(`the request body is longer than ${bodyBytesMax} bytes`);
  return parse(body!, bytes.length === 0 ? {} : jsonOf(bytes), "body");
}

/** As with RabbitMQ the content type means nothing: what is sent is JSON. */
export function jsonOf(bytes: Uint8Array, fault = "not_json"): object {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw badRequest(fault);
  }
  if (value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value;
  const type = Array.isArray(value) ? "list" : typeof value;
  const hint = type === "string" ? ". Is the input doubly-JSON-encoded?" : "";
  throw badRequest(`invalid payload: the request body JSON-decoded to a ${type}${hint}`);
}

function parse(schema: z.ZodType, value: unknown, where: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const missing = result.error.issues.filter((issue) => {
    return where === "body" && issue.path.length === 1 && !Object.hasOwn(value as object, issue.path[0]!);
  });
  // RabbitMQ's words for it.
  if (missing.length > 0) {
    const keys = missing.map((issue) => `{key_missing,${String(issue.path[0])}}`);
    const line = `[${keys.join(",")}]`;
    throw badRequest(line.length < ERLANG_LINE_CHARS ? line : `[${keys.join(",\n ")}]`);
  }
  const issue = result.error.issues[0]!;
  throw badRequest(`${issue.path.length === 0 ? where : issue.path.join(".")}: ${issue.message}`);
}
