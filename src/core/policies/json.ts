// Values of policies and parameters, as JSON has them.

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [name: string]: Json;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As RabbitMQ's errors print it: Erlang's spelling of the value. */
export function erlangText(value: Json): string {
  if (typeof value === "string") return `<<"${value}">>`;
  if (Array.isArray(value)) return `[${value.map(erlangText).join(",")}]`;
  if (isJsonObject(value)) {
    return `#{${Object.entries(value).map(([name, member]) => `<<"${name}">> => ${erlangText(member)}`).join(",")}}`;
  }
  return String(value);
}
