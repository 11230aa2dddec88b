// Arguments as JSON writes them in definitions files and in the HTTP API: readable, at the price of what JSON has no
// word for. The definitions log has its own, exact form (`argumentsToJson`).

import type { Arguments, ArgumentValue } from "./arguments.ts";
import type { Json, JsonObject } from "./policies/json.ts";

export function argumentsOfJson(json: JsonObject): Arguments {
  return new Map(Object.entries(json).map(([name, value]) => [name, valueOfJson(value)]));
}

function valueOfJson(value: Json): ArgumentValue {
  if (Array.isArray(value)) return value.map(valueOfJson);
  if (typeof value === "object" && value !== null) return argumentsOfJson(value as JsonObject);
  return value;
}

export function jsonOfArguments(args: Arguments): JsonObject {
  return Object.fromEntries([...args].map(([name, value]) => [name, jsonOf(value)]));
}

function jsonOf(value: ArgumentValue): Json {
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (value instanceof Map) return jsonOfArguments(value as Arguments);
  if (Array.isArray(value)) return value.map(jsonOf);
  return value as Json;
}
