// Definitions: everything that is declared, as one file that RabbitMQ and its tools read and write.

import { z } from "@hono/zod-openapi";
import { HTTP_DEFINITIONS_BYTES_MAX } from "../limits.ts";
import type { HttpExchange } from "../runtime/http_exchange.ts";
import { badRequest } from "./problem.ts";
import { jsonOf, type Router } from "./router.ts";
import type { HttpServices } from "./services.ts";

const TAG = "Definitions";

export function addDefinitions(router: Router, { management, realm }: HttpServices): void {
  const access = "administrator";
  const answer = z.looseObject({
    rabbitmq_version: z.string(),
    queues: z.array(z.looseObject({ name: z.string() })),
    exchanges: z.array(z.looseObject({ name: z.string() })),
    bindings: z.array(z.looseObject({ source: z.string() })),
  }).openapi("Definitions");
  const query = z.object({ download: z.string().max(255).optional().describe("the name under which to save it") });
  const upload = { tag: TAG, access, uploads: true } as const;
  router.add(
    "get",
    "/api/definitions",
    { summary: "Everything that is declared", tag: TAG, access, query, answer },
    ({ query }) => saved(management.exportDefinitions(), query.download),
  );
  router.add(
    "post",
    "/api/definitions",
    { ...upload, summary: "Make what a definitions file says; all of it or nothing" },
    async ({ exchange }) => await management.importDefinitions(await fileOf(exchange)),
  );
  router.add(
    "get",
    "/api/definitions/{vhost}",
    { summary: "Everything that is declared in a virtual host", tag: TAG, access, query, answer },
    ({ params, query }) => {
      // RabbitMQ's answer.
      if (!realm.vhosts.has(params.vhost)) throw badRequest("vhost_not_found");
      return saved(management.exportDefinitions(params.vhost), query.download);
    },
  );
  router.add(
    "post",
    "/api/definitions/{vhost}",
    { ...upload, summary: "Make what a file says in a virtual host; all of it or nothing" },
    async ({ params, exchange, caller }) => {
      const { name: vhost } = caller.vhostToChange(params.vhost);
      await management.importDefinitions(await fileOf(exchange), { vhost });
    },
  );
}

function saved(definitions: object, name: string | undefined): Response {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (name !== undefined) {
    headers["content-disposition"] = `attachment; filename="${name.replace(/[^A-Za-z0-9._-]/g, "_")}"`;
  }
  return new Response(JSON.stringify(definitions), { headers });
}

/** The file: the body itself, or the field `file` of a form, as a browser sends it. */
async function fileOf(exchange: HttpExchange): Promise<object> {
  const bytes = await exchange.readBody(HTTP_DEFINITIONS_BYTES_MAX);
  if (bytes === null) throw badRequest(`the definitions are longer than ${HTTP_DEFINITIONS_BYTES_MAX} bytes`);
  const type = exchange.request.headers.get("content-type") ?? "";
  if (!type.toLowerCase().startsWith("multipart/form-data")) return parsed(bytes);
  let file: FormDataEntryValue | null;
  try {
    file = (await new Response(bytes as Uint8Array<ArrayBuffer>, { headers: { "content-type": type } }).formData()).get(
      "file",
    );
  } catch {
    throw badRequest("the form cannot be read");
  }
  if (file === null) throw badRequest("the form has no field 'file'");
  return parsed(typeof file === "string" ? new TextEncoder().encode(file) : new Uint8Array(await file.arrayBuffer()));
}

function parsed(bytes: Uint8Array): object {
  return jsonOf(bytes, "failed_to_parse_json");
}
