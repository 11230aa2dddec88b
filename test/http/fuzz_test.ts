// The API fuzzed from its own OpenAPI document: whatever is asked in its terms, or nearly so, is answered, never with a
// fault, and the broker lives on.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { HttpApi } from "../support/http_api.ts";
import { within } from "../support/wait.ts";

const RUNS = 1_500;
const api = new HttpApi();
after(() => api.stop());

interface Schema {
  readonly type?: string | readonly string[];
  readonly properties?: Record<string, Schema>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly $ref?: string;
}
interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
  readonly body: Schema | null;
  readonly statuses: readonly number[];
}

/** Names that are there, and such as should hurt. */
const name = fc.oneof(
  fc.constantFrom(
    "/",
    "q",
    "x",
    "amq.topic",
    "amq.default",
    "guest",
    "~",
    "fuzz",
    "limits",
    "vhost-limits",
    "max-queues",
  ),
  fc.constantFrom("__proto__", "constructor", "../..", "%00", "a/b", "\u0000", "ä\ud83d\ude00", '"><img>', " ", "{}"),
  fc.string({ minLength: 1, maxLength: 300 }),
);
const anything = fc.anything({ maxDepth: 2, withNullPrototype: false }).filter((value) => {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
});

function valueOf(schema: Schema, schemas: Record<string, Schema>): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return valueOf(schemas[schema.$ref.split("/").at(-1)!]!, schemas);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => valueOf(choice, schemas)));
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "string":
      return fc.oneof(name, fc.constantFrom("1", "true", ".*", "(a+)+", "-1", "name", "999999999999"));
    case "integer":
      return fc.oneof(fc.integer(), fc.constantFrom(0, 1, 500, -1, 2 ** 53));
    case "number":
      return fc.double();
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(schema.items === undefined ? anything : valueOf(schema.items, schemas), { maxLength: 3 });
    case "object": {
      if (schema.properties === undefined) return fc.dictionary(fc.string({ maxLength: 10 }), anything, { maxKeys: 3 });
      const fields = Object.entries(schema.properties).map(([key, inner]) => [key, valueOf(inner, schemas)] as const);
      return fc.record(Object.fromEntries(fields), { requiredKeys: [...(schema.required ?? [])] });
    }
    default:
      return anything;
  }
}

// deno-lint-ignore no-explicit-any
function operationsOf(document: any): Operation[] {
  const operations: Operation[] = [];
  for (const [path, methods] of Object.entries<Record<string, Record<string, unknown>>>(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const body = operation["requestBody"] as { content: Record<string, { schema: Schema }> } | undefined;
      operations.push({
        method: method.toUpperCase(),
        path,
        parameters: (operation["parameters"] ?? []) as Operation["parameters"],
        body: body?.content["application/json"]?.schema ?? null,
        statuses: Object.keys(operation["responses"] as object).map(Number),
      });
    }
  }
  // An endless answer is not for here.
  // Those answer without end.
  return operations.filter(({ path }) => path !== "/api/livelog" && !path.endsWith("/tail"));
}

test(
  "whatever is asked in the document's terms is answered, and never with a fault",
  { timeout: 600_000 },
  async () => {
    const document = await api.get("openapi.json");
    const { schemas } = document.components;
    const operations = operationsOf(document);
    assert.ok(operations.length > 120, `${operations.length}`);
    const unseen = new Set(operations.map(({ method, path }) => `${method} ${path}`));
    const request = fc.integer({ min: 0, max: operations.length - 1 }).chain((index) => {
      const operation = operations[index]!;
      const parameters = operation.parameters.map(({ name: key, in: place, schema }) => {
        const value = place === "path" ? name : fc.option(valueOf(schema, schemas), { nil: undefined, freq: 3 });
        return value.map((given) => ({ key, place, given }));
      });
      const garbage = fc.oneof(anything.map((value) => JSON.stringify(value)), fc.string({ maxLength: 50 }));
      const body = operation.body === null
        ? fc.constant(undefined)
        : fc.oneof({ weight: 5, arbitrary: valueOf(operation.body, schemas).map((value) => JSON.stringify(value)) }, {
          weight: 1,
          arbitrary: garbage,
        });
      return fc.record({ index: fc.constant(index), parameters: fc.tuple(...parameters), body });
    });
    await fc.assert(
      fc.asyncProperty(request, async ({ index, parameters, body }) => {
        const { method, path, statuses } = operations[index]!;
        unseen.delete(`${method} ${path}`);
        let asked = path;
        const query = new URLSearchParams();
        for (const { key, place, given } of parameters) {
          // Dots alone are resolved by every client before it asks.
          const text = String(given).replace(/^\.+$/, "dots");
          if (place === "path") asked = asked.replace(`{${key}}`, wellFormed(text));
          else if (given !== undefined) query.append(key, String(given));
        }
        // Nobody may lock himself out: each failed login waits longer than the last.
        if (method === "DELETE" && /users\/guest|permissions\/%2F\/guest|vhosts\/%2F/.test(asked)) return;
        if (method === "PUT" && /users\/guest$|permissions\/%2F\/guest/.test(asked)) return;
        if (path === "/api/users/bulk-delete" && body?.includes("guest")) return;
        const url = query.size === 0 ? asked : `${asked}?${query}`;
        const asking = api.ask(method, url, body === undefined ? {} : { body });
        const answer = await within(`answer to ${method} ${url} ${body}`, asking);
        const allowed = [...statuses, 200, 201, 204, 400, 401, 404, 405, 503];
        assert.ok(allowed.includes(answer.status), `${method} ${url} ${body}: ${answer.status} ${answer.text}`);
        if (answer.status >= 400 && answer.text !== "" && !asked.startsWith("/api/health")) {
          assert.deepEqual(Object.keys(answer.json), ["error", "reason"], `${method} ${url}: ${answer.text}`);
          assert.ok(!answer.text.includes("node_modules") && !/\.ts:\d+/.test(answer.text), answer.text);
        }
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
    assert.ok(unseen.size < operations.length / 10, `not asked: ${[...unseen].join(", ")}`);
    assert.equal((await api.get("whoami")).name, "guest");
  },
);

function wellFormed(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

test("every answer of a GET is what the document says it is", async () => {
  const document = await api.get("openapi.json");
  await api.ask("PUT", "queues/%2f/q", { body: {} });
  const node = (await api.get("overview")).node;
  for (const { method, path } of operationsOf(document)) {
    if (method !== "GET" || path.startsWith("/metrics") || path.includes("{") && !path.startsWith("/api/nodes")) {
      continue;
    }
    const answer = await api.ask("GET", path.replace("{name}", node));
    assert.equal(answer.status, 200, `${path}: ${answer.text}`);
    const schema = document.paths[path].get.responses["200"].content?.["application/json"].schema;
    if (schema !== undefined) assert.deepEqual(faults(schema, answer.json, document.components.schemas, path), []);
  }
});

/** Where a value is not what a schema says. */
function faults(schema: Schema, value: unknown, schemas: Record<string, Schema>, path: string): string[] {
  if (schema.$ref !== undefined) return faults(schemas[schema.$ref.split("/").at(-1)!]!, value, schemas, path);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) {
    const all = choices.map((choice) => faults(choice, value, schemas, path));
    return all.some((found) => found.length === 0) ? [] : all[0]!;
  }
  const types = schema.type === undefined ? [] : [schema.type].flat();
  const kind = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
  const fits = types.length === 0 || types.includes(kind) || (kind === "number" && types.includes("integer"));
  if (!fits) return [`${path}: ${kind}, not ${types}`];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${path}: ${value}`];
  if (kind === "array" && schema.items !== undefined) {
    return (value as unknown[]).flatMap((item) => faults(schema.items!, item, schemas, `${path}[]`));
  }
  if (kind !== "object") return [];
  const missing = (schema.required ?? []).filter((key) => !Object.hasOwn(value as object, key));
  const inner = Object.entries(schema.properties ?? {}).flatMap(([key, of]) => {
    const member = (value as Record<string, unknown>)[key];
    return member === undefined ? [] : faults(of, member, schemas, `${path}.${key}`);
  });
  return [...missing.map((key) => `${path}.${key}: not there`), ...inner];
}

test("the page and its files ask nobody else for anything", async () => {
  const page = await api.ask("GET", "index.html");
  assert.match(page.headers.get("content-type")!, /^text\/html/);
  assert.ok(!/<script>|<style>|\son\w+=|https?:/.test(page.text));
  for (const [, file] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
    const answer = await api.ask("GET", `${file}`);
    assert.equal(answer.status, 200, `${file}`);
    assert.ok(!/innerHTML|https?:/.test(answer.text) || file!.endsWith(".json"));
  }
});
