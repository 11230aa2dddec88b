// The shapes of answers: which fields, of which types. For holding one broker's answers against another's.

/** The name of a type, "any", a list with the one shape that its items have together, or the fields of an object. */
export type Shape = string | readonly Shape[] | { readonly [name: string]: Shape };

export interface Comparison {
  /** Where differences are known, by a field's path: `queues[].message_stats.ack`. */
  readonly known: readonly RegExp[];
  /** Names within answers that are not the same at both: of nodes, and the like. */
  readonly names: ReadonlyMap<string, string>;
}

const kindOf = (value: unknown): string => value === null ? "null" : Array.isArray(value) ? "list" : typeof value;

/** The shape of an answer. */
export function shapeOf(value: unknown): Shape {
  if (Array.isArray(value)) return value.length === 0 ? [] : [value.map(shapeOf).reduce(both)];
  if (typeof value !== "object" || value === null) return kindOf(value);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shapeOf(inner)]));
}

/** What holds for either: of what is null or empty in one the other tells more. */
function both(a: Shape, b: Shape): Shape {
  if (a === "null" || b === "any") return b;
  if (b === "null" || a === "any") return a;
  if (typeof a === "string" || typeof b === "string") return a === b ? a : "any";
  if (Array.isArray(a) && Array.isArray(b)) return a.length === 0 || b.length === 0 ? [...a, ...b] : [both(a[0], b[0])];
  if (Array.isArray(a) || Array.isArray(b)) return "any";
  const [first, second] = [new Map(Object.entries(a)), new Map(Object.entries(b))];
  for (const [name, shape] of second) first.set(name, first.has(name) ? both(first.get(name)!, shape) : shape);
  return Object.fromEntries(first);
}

/** What `actual` lacks of `shape`. */
export function differences(shape: Shape, actual: unknown, path: string, comparison: Comparison): string[] {
  const { known, names } = comparison;
  if (known.some((difference) => difference.test(path))) return [];
  if (actual === undefined) return [`${path}: not there`];
  // What was null when the shape was taken may be anything.
  if (shape === "null" || shape === "any" || (kindOf(actual) === "null" && typeof shape === "string")) return [];
  if (typeof shape === "string") return kindOf(actual) === shape ? [] : [`${path}: ${kindOf(actual)}, not ${shape}`];
  if (Array.isArray(shape)) {
    if (!Array.isArray(actual)) return [`${path}: ${kindOf(actual)}, not list`];
    if (shape.length === 0) return [];
    if (known.some((difference) => difference.test(`${path}[]`))) return [];
    if (actual.length === 0) return [`${path}[]: empty`];
    return ofList(shape[0]!, actual, `${path}[]`, comparison);
  }
  if (kindOf(actual) !== "object") return [`${path}: ${kindOf(actual)}, not object`];
  return Object.entries(shape).flatMap(([name, inner]) => {
    const key = names.get(name) ?? name;
    return differences(inner, (actual as Record<string, unknown>)[key], `${path}.${name}`, comparison);
  });
}

/** The shape of a list is that of all its items together, so each field has to be in some item. */
function ofList(shape: Shape, items: readonly unknown[], path: string, comparison: Comparison): string[] {
  const all = items.map((item) => differences(shape, item, path, comparison));
  return all[0]!.filter((difference) => all.every((others) => others.includes(difference)));
}
