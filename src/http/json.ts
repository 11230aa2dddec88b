// Answers in JSON.

const JSON_TYPE = "application/json";

export function jsonHeaders(): Record<string, string> {
  return { "content-type": JSON_TYPE };
}

export function json(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: jsonHeaders() });
}

export function created(): Response {
  return new Response(null, { status: 201 });
}

export function noContent(): Response {
  return new Response(null, { status: 204 });
}
