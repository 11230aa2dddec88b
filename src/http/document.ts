// The API's own description: the OpenAPI document, made of the schemas that check requests, and a page to read it with
// that asks nobody else for anything.

import { z } from "@hono/zod-openapi";
import { PAGE, SCRIPT, STYLE } from "./document_page.ts";
import type { Router } from "./router.ts";

const TAG = "Description";

export interface DocumentInfo {
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

export function addDocument(router: Router, info: DocumentInfo): void {
  let document: string | null = null;
  router.add(
    "get",
    "/api/openapi.json",
    { summary: "This description as an OpenAPI document", tag: TAG, answer: z.looseObject({ openapi: z.string() }) },
    () => {
      document ??= JSON.stringify(router.openApi(info));
      return new Response(document, { headers: { "content-type": "application/json" } });
    },
  );
  const file = (path: string, type: string, text: string, summary: string): void => {
    router.add("get", path, { summary, tag: TAG, statuses: [200] }, () => {
      return new Response(text, { headers: { "content-type": `${type}; charset=utf-8` } });
    });
  };
  file("/api", "text/html", PAGE, "This description as a page");
  file("/api/index.html", "text/html", PAGE, "This description as a page");
  file("/api/page.js", "text/javascript", SCRIPT, "The page's script");
  file("/api/page.css", "text/css", STYLE, "The page's style");
}
