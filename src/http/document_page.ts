// The page that shows the OpenAPI document: three small files of text. The script writes text only, never markup.

export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>HTTP API</title>
<link rel="stylesheet" href="/api/page.css">
<h1 id="title">HTTP API</h1>
<p id="description"></p>
<p><a href="/api/openapi.json">openapi.json</a></p>
<p><label>Filter <input id="filter" type="search" autocomplete="off"></label></p>
<main id="routes"></main>
<script src="/api/page.js"></script>
</html>
`;

export const STYLE = `:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2rem; }
details { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .4rem 0; }
summary { cursor: pointer; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
.method { display: inline-block; width: 5rem; font-weight: bold; text-transform: uppercase; }
pre { overflow-x: auto; padding: .5rem; background: color-mix(in srgb, currentColor 7%, transparent); }
`;

export const SCRIPT = `"use strict";
const make = (name, text, className) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className !== undefined) element.className = className;
  return element;
};
const shown = [];
const showRoute = (method, path, operation, schemas) => {
  const details = make("details");
  const summary = make("summary");
  summary.append(make("span", method, "method"), make("code", path), " ", operation.summary || "");
  details.append(summary);
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    for (const { name, in: place, required, description, schema } of operation.parameters || []) {
      const row = make("div");
      row.append(make("code", name), " (" + place + (required ? ", required" : "") + ") " + (description || (schema && schema.description) || ""));
      details.append(row);
    }
    const body = operation.requestBody && operation.requestBody.content["application/json"];
    if (body) details.append(make("div", "Body"), make("pre", JSON.stringify(resolve(body.schema, schemas), null, 2)));
    for (const [status, response] of Object.entries(operation.responses)) {
      details.append(make("div", status + ": " + response.description));
      const content = response.content && response.content["application/json"];
      if (content && status < 300) details.append(make("pre", JSON.stringify(resolve(content.schema, schemas), null, 2)));
    }
  });
  shown.push([details, (method + " " + path + " " + (operation.summary || "")).toLowerCase()]);
  return details;
};
const resolve = (schema, schemas) => {
  if (schema && schema.$ref) return schemas[schema.$ref.split("/").pop()] || schema;
  if (schema && schema.items) return { ...schema, items: resolve(schema.items, schemas) };
  return schema;
};
fetch("/api/openapi.json").then((answer) => answer.json()).then(({ info, paths, components }) => {
  document.title = info.title;
  document.getElementById("title").textContent = info.title + " " + info.version;
  document.getElementById("description").textContent = info.description;
  const groups = new Map();
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(showRoute(method, path, operation, components.schemas));
    }
  }
  for (const [tag, routes] of groups) document.getElementById("routes").append(make("h2", tag), ...routes);
});
document.getElementById("filter").addEventListener("input", ({ target }) => {
  const wanted = target.value.toLowerCase();
  for (const [element, text] of shown) element.hidden = !text.includes(wanted);
});
`;
