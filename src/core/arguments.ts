// The optional arguments of exchanges, queues, bindings and consumers, as plain values that any protocol can give and
// the definitions log can keep.

export type ArgumentValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly ArgumentValue[]
  | Arguments;

export type Arguments = ReadonlyMap<string, ArgumentValue>;

export const NO_ARGUMENTS: Arguments = new Map();

/** Equal as a redeclaration sees it: numbers by value, tables without regard to order. */
export function argumentsEqual(a: ArgumentValue, b: ArgumentValue): boolean {
  if (a === b) return true;
  if (typeof a === "bigint" || typeof b === "bigint") {
    // Loose on purpose: 1n and 1 are the same argument, whatever width they travelled in.
    return (typeof a === "number" || typeof a === "bigint") && (typeof b === "number" || typeof b === "bigint") &&
      a == b;
  }
  if (a instanceof Map && b instanceof Map) {
    if (a.size !== b.size) return false;
    for (const [key, value] of a as Arguments) {
      const other = (b as Arguments).get(key);
      if (other === undefined || !argumentsEqual(value, other)) return false;
    }
    return true;
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((value, index) => argumentsEqual(value, b[index]));
  }
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    return a.length === b.length && a.every((byte, index) => byte === b[index]);
  }
  return false;
}

/** As JSON: what JSON has no word for is wrapped in an object of one member. */
export function argumentsToJson(value: ArgumentValue): unknown {
  if (typeof value === "bigint") return { integer: value.toString() };
  if (typeof value === "number" && !Number.isFinite(value)) return { float: String(value) };
  if (value instanceof Uint8Array) return { bytes: Array.from(value) };
  if (value instanceof Map) {
    return { table: [...(value as Arguments)].map(([key, member]) => [key, argumentsToJson(member)]) };
  }
  if (Array.isArray(value)) return value.map(argumentsToJson);
  return value;
}

/** The inverse of `argumentsToJson`; throws a TypeError for anything else. */
export function argumentsFromJson(json: unknown): ArgumentValue {
  if (json === null || typeof json === "boolean" || typeof json === "number" || typeof json === "string") return json;
  if (Array.isArray(json)) return json.map(argumentsFromJson);
  if (typeof json === "object") {
    const wrapped = json as { integer?: string; float?: string; bytes?: number[]; table?: [string, unknown][] };
    if (wrapped.integer !== undefined) return BigInt(wrapped.integer);
    if (wrapped.float !== undefined) return Number(wrapped.float);
    if (wrapped.bytes !== undefined) return Uint8Array.from(wrapped.bytes);
    if (wrapped.table !== undefined) {
      return new Map(wrapped.table.map(([key, value]) => [key, argumentsFromJson(value)]));
    }
  }
  throw new TypeError(`expected an argument value, found ${JSON.stringify(json)}`);
}

/** For error texts: what a client would recognise. */
export function describeArgument(value: ArgumentValue | undefined): string {
  if (value === undefined) return "none";
  if (value === null) return "the value 'undefined' of type 'void'";
  if (typeof value === "object") return "a table or array";
  return `the value '${value}' of type '${describeType(value)}'`;
}

/** The type as RabbitMQ names it in error texts. */
export function describeType(value: ArgumentValue | undefined): string {
  if (value === undefined) return "undefined";
  if (value === null) return "void";
  if (typeof value === "string") return "longstr";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number" && !Number.isInteger(value)) return "double";
  if (typeof value !== "object") return "signedint";
  if (value instanceof Uint8Array) return "binary";
  return value instanceof Map ? "table" : "array";
}
